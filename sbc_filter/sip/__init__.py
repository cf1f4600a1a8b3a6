"""SIP messages: read as spans of a buffer, changed by a list of edits, responded to. Contains nothing about STIR."""
