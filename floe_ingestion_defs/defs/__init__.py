"""What this code location loads: a folder for each component, with its `defs.yaml`."""
