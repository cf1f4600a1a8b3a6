"""Child processes, the channel to each, and the messages that pass through it."""
