"""Real servers for the tests: on loopback, on free ports, one of each kind for a test session."""
