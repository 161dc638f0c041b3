"""The model of a dataset that other writers, operators and clocks share with this project."""
