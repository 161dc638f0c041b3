"""Sources written in Python, one package each."""
