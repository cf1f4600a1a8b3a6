"""What waits between the engine's question and its answer: packets, and messages of TCP connections."""
