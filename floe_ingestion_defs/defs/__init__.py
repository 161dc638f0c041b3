"""What this code location loads: one folder per component, with its `defs.yaml`."""
