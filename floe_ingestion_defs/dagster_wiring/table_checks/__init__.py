"""What a check finds out about an Iceberg table; each module is one check.

They read metadata where metadata answers the question and stream columns where it does not, so
their memory does not grow with the table.
"""
