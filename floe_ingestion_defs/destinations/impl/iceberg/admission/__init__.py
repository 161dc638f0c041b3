"""Admission: the conditions on the log and the tables under which a load is committed."""
