"""A second signature for a token, made without its key."""

from sbc_filter.stir.passport import decode_segment, encode_segment

ORDER_OF_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def twin(header: str) -> str:
    """The other signature (r, n-s) that verifies wherever (r, s) does, and that anyone can make."""
    token, _, parameters = header.partition(";")
    signed, _, signature = token.rpartition(".")
    raw = decode_segment(signature.encode())
    s = ORDER_OF_P256 - int.from_bytes(raw[32:], "big")
    return f"{signed}.{encode_segment(raw[:32] + s.to_bytes(32, 'big')).decode()};{parameters}"
