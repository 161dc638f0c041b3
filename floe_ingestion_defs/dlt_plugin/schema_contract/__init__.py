"""Schema contracts: how new columns and type changes are handled."""
