"""Capture files in and out, and the replay shell."""
