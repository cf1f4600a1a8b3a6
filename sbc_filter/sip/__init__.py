"""SIP messages: read by spans, edited by a list, answered. Knows no STIR."""
