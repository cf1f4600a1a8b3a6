"""HTTPS to addresses that untrusted peers choose."""
