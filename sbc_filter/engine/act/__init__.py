"""Execution of decisions: changes to the message, responses, and changes to later responses."""
