"""The STIR/SHAKEN services: PASSporTs, and the authentication and verification of calls with them."""
