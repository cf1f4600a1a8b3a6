"""PASSporTs and certificates: the authentication service and the verification service."""
