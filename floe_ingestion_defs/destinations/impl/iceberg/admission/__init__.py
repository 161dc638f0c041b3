"""Admission: what must hold of the log and the tables before a load is committed."""
