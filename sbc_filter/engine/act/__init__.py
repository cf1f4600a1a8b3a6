"""Acts: what a decision does to the message, and to the responses that follow."""
