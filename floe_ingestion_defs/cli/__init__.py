"""`floe`, the operators' command: inspects and maintains the tables that loads write.

It uses the destination's public face only, and imports nothing heavy before a command needs it.
"""
