"""Reads and writes capture files, and replays them."""
