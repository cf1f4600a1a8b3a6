"""Tables in shared memory, used by all workers."""
