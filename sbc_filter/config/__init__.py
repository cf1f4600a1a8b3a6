"""The configuration file, read into settings."""
