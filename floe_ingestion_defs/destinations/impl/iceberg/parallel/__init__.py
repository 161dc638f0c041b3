"""The work per data file, and the executors that it runs on."""
