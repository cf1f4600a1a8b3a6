"""The rule language: parsing, compiling and matching. It sees SIP and STIR values, never packets."""
