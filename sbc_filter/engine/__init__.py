"""From packet bytes and a time to a decision. No effects: no socket, file, clock or thread."""
