"""The kernel's queue and the live shell."""
