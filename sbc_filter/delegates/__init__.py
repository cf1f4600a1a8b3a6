"""Client and server of ATIS-1000082, and local commands: signing and verification by others."""
