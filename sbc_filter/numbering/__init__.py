"""Numbering plans of all regions, and which numbers can exist: tables made from public metadata, and their readers."""
