"""Records on their way out, and totals."""
