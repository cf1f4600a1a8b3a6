"""A laboratory: namespaces, a certificate maker, a demo network."""
