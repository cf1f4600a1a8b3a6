"""Trust lists as the STI-PA signs them, and as it does not (S-091)."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from sbc_filter.lab.certificate_maker import Authority, pem
from sbc_filter.stir.passport import encode_segment
from sbc_filter.stir.signature import sign_es256

X5U = "https://authority.example.org/download/v1/certificate/1.crt"


def trust_list(
    signer: Authority,
    anchors: Sequence[Authority],
    *,
    exp: float,
    sequence: int = 0,
    chain: Sequence[Authority] = (),
    header: Mapping[str, Any] | None = None,
    **claims: Any,
) -> bytes:
    """A list signed by `signer`; `chain` becomes x5c. None takes a member of the header or a claim out."""
    jose: dict[str, Any] = {"alg": "ES256", "typ": "JWT", "x5u": X5U}
    if chain:
        jose["x5c"] = [base64.b64encode(each.certificate.public_bytes(Encoding.DER)).decode() for each in chain]
    listed = [pem(each.certificate).decode() for each in anchors]
    payload = {"version": "1.0", "sequence": sequence, "exp": int(exp), "trustList": listed, **claims}
    parts = [
        {key: value for key, value in part.items() if value is not None}
        for part in (jose | dict(header or {}), payload)
    ]
    # In ASCII, so that a part may be a lone surrogate.
    signed = b".".join(encode_segment(json.dumps(part, sort_keys=True).encode()) for part in parts)
    return signed + b"." + sign_es256(signer.key, signed)
