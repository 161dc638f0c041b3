"""Sources of type `rest_api`."""
