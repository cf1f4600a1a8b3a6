"""SIP over TCP in a capture: segments, octets in order, messages, and what the engine says of them."""
