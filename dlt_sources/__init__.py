"""Sources that people write themselves, one package each."""
