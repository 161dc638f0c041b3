"""Schema contracts: what happens to columns and types that are not declared."""
