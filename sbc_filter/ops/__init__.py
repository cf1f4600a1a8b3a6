"""Commands, configuration and everything else that an operator meets."""
