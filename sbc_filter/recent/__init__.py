"""Recent calls: shown to followers as they happen, and kept for the caller who complains an hour later."""
