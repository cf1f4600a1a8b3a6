"""Builds the running parts of the program from its settings."""
