"""`floe`, the operators' command: it shows, compacts, sweeps and releases what loads left.

It uses the destination's public face only, and imports nothing heavy before a command needs it.
"""
