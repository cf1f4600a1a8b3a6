"""STIR/SHAKEN in the packet path of a session border controller that knows nothing of it."""

__version__ = "0.1.0"
