"""`replay --diff`: two sets of rules see the same capture, and what they treat differently is shown."""
