"""A dlt destination over any pyiceberg catalog: exactly once, atomic, its state in Iceberg.

`load.py` is the place to start: a load's whole way, in order.
"""
