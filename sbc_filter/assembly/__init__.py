"""Settings made into running parts."""
