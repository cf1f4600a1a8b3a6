"""The rule language: read, compiled, matched. Sees SIP and STIR values, never packets."""
