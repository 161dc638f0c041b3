"""The plugin's configuration: models, rules, messages."""
