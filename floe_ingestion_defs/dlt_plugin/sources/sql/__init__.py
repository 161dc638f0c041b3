"""Sources of type `sql_database`."""
