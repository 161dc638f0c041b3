"""Sources of type `filesystem`."""
