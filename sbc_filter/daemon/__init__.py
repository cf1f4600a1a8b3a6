"""The processes of `sbc-filter run`."""
