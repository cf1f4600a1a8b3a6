"""Where other parties' certificates come from."""
