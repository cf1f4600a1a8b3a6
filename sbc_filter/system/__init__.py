"""Helpers around the operating system: files, sockets, programs, signals, clocks."""
