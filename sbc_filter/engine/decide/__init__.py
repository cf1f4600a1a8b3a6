"""Decides: what a rule makes of a call."""
