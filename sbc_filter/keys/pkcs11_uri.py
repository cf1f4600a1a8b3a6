"""Names of keys on PKCS#11 tokens (RFC 7512): `pkcs11:token=STIR;object=shaken`."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

SCHEME = "pkcs11:"
TOKEN_ATTRIBUTES = ("token", "serial", "manufacturer", "model")
_KNOWN = (*TOKEN_ATTRIBUTES, "object", "id", "type")
_VALUE = re.compile(r"(?:[A-Za-z0-9\-._~:\[\]@!$'()*+,=&]|%[0-9A-Fa-f]{2})*")  # pk11-pchar, RFC 7512 §2.3


class Pkcs11Uri(NamedTuple):
    """Identifies a key on a token; None matches any. `id` is CKA_ID, `object` is CKA_LABEL."""

    token: str | None = None
    serial: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    object: str | None = None
    id: bytes | None = None

    def is_token(self, attributes: Mapping[str, str]) -> bool:
        """Whether the URI matches a token with these `TOKEN_ATTRIBUTES`."""
        return all(getattr(self, name) in (None, attributes[name]) for name in TOKEN_ATTRIBUTES)


def parse_pkcs11_uri(text: str) -> Pkcs11Uri:
    """Parse a URI that names a private key; `ValueError` with a sentence that never repeats a PIN.

    What `p11tool --list-all` prints is taken as it is. A key needs a token (`token` or `serial`) and a name there
    (`object` or `id`).
    """
    path, question, _ = text.removeprefix(SCHEME).partition("?")
    if question:
        raise ValueError("has a query: say `pin` and `pkcs11_module` in keys of their own")
    found: dict[str, bytes] = {}
    for part in path.split(";"):
        name, equals, value = part.partition("=")
        if not equals or _VALUE.fullmatch(value) is None:
            raise ValueError("is not a URI such as pkcs11:token=STIR;object=shaken (RFC 7512)")
        if name not in _KNOWN:
            raise ValueError(f"has the attribute {name!r}; known here are {', '.join(_KNOWN)}")
        if name in found:
            raise ValueError(f"has the attribute {name!r} twice")
        found[name] = unquote_to_bytes(value)
    if found.pop("type", b"private") != b"private":
        raise ValueError("names no private key: leave `type` out")
    if not found.keys() & {"token", "serial"} or not found.keys() & {"object", "id"}:
        raise ValueError("has to name a token (token=… or serial=…) and a key on it (object=… or id=…)")
    identifier = found.pop("id", None)
    try:
        texts = {name: value.decode() for name, value in found.items()}
    except UnicodeDecodeError:
        raise ValueError("is not in UTF-8") from None
    return Pkcs11Uri(**texts, id=identifier)
