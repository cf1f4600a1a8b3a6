"""The calls of a capture: all messages of each, and what was decided about it."""
