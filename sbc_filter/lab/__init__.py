"""A laboratory: namespaces, a certificate maker, a demo network."""

X5U = "https://certificates.example.org/shaken.pem"
"""The URL of the laboratory's certificate, unless another is given (RFC 2606: the name belongs to no operator)."""
SPC = "1234"
"""The service provider code in that certificate, unless another is given."""
