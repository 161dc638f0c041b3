"""Asset checks of Iceberg tables: one module per check."""
