"""Decisions: the result of applying a rule to a call."""
