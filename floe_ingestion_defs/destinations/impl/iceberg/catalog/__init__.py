"""Opening a catalog, and confining it to a branch."""
