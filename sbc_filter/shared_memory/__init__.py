"""Tables in memory that the workers share."""
