"""Keys on PKCS#11 tokens."""
