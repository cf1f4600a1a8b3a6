"""Keys that never lie on a disk: on a PKCS#11 token, a hardware security module or SoftHSM.

The library is an extra (`pip install 'sbc-filter[pkcs11]'`), so it is imported when a key is on a token.
"""

import contextlib
import hashlib
import logging
import os
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sbc_filter.errors import FilterError, SigningError
from sbc_filter.keys.pkcs11_uri import TOKEN_ATTRIBUTES, Pkcs11Uri
from sbc_filter.outcomes import Detail

_LOG = logging.getLogger(__name__)
_SIZE = 32  # octets of r and of s on P-256
_TURNS: defaultdict[str, Lock] = defaultdict(Lock)  # by the module's path
_OWNERS: dict[str, int] = {}  # the process that initialised the module
os.register_at_fork(after_in_child=_TURNS.clear)  # whoever had a turn is not here
_FIELDS = dict(zip(TOKEN_ATTRIBUTES, ("label", "serial", "manufacturer_id", "model"), strict=True))


class TokenError(FilterError):
    """The token, the key on it or the library is not there; one sentence."""


class TokenKey:
    """A `stir.signature.Signer`: a private key on a token, for ECDSA on P-256 with SHA-256.

    Hashes here and has the digest signed (CKM_ECDSA), which every token can. Any thread may sign; they take turns
    at a module, for `python-pkcs11` does not tell it of threads (C_Initialize without CKF_OS_LOCKING_OK). The
    device is waited for without Python's own lock. A session that broke is opened anew, once for each signature,
    but a PIN that was refused is never tried again: a few more tries would lock the token.

    It may be made in one process and used in those that are forked from it: each opens a session of its own when it
    signs first.

    Raises `TokenError` when the key cannot be had.
    """

    def __init__(self, module: Path, uri: Pkcs11Uri, pin: str | None) -> None:
        self._library = _library()
        self._module = str(module.resolve())  # by two names it would be initialised twice, which it refuses
        self._named = module
        self._uri = uri
        self._pin = pin
        self._refused = False
        self._process = os.getpid()
        with _TURNS[self._module]:
            self._key: Any = self._open()

    def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm, /) -> bytes:
        """See `Signer`; the algorithm is always ECDSA with SHA-256."""
        digest = hashlib.sha256(data).digest()
        try:
            with _TURNS[self._module]:
                raw = self._sign(digest)
        except TokenError as error:
            _LOG.warning("a call is not signed: %s", error)
            raise SigningError(Detail.CRYPTO, str(error)) from None
        if len(raw) != 2 * _SIZE:
            raise SigningError(Detail.CRYPTO, f"the token answers with {len(raw)} octets: the key is not on P-256")
        return encode_dss_signature(int.from_bytes(raw[:_SIZE], "big"), int.from_bytes(raw[_SIZE:], "big"))

    def _sign(self, digest: bytes) -> bytes:
        ask = partial(self._asked, lambda: self._key.sign(digest, mechanism=self._library.Mechanism.ECDSA))
        if self._process != os.getpid():
            self._process, self._key = os.getpid(), None
        if self._key is not None:
            try:
                return bytes(ask())
            except TokenError as error:
                _LOG.info("a session of the token broke: %s", error)
                self._key = None
        self._key = self._open()
        return bytes(ask())

    def _open(self) -> Any:
        """The key, in a session of its own."""
        if self._refused:
            raise TokenError("the token refused the PIN before: put it right, and reload or start again")
        return self._asked(self._find)

    def _find(self) -> Any:
        attribute, kinds = self._library.Attribute, self._library.ObjectClass
        session = self._session(self._token())
        wanted = {attribute.CLASS: kinds.PRIVATE_KEY, attribute.KEY_TYPE: self._library.KeyType.EC}
        if self._uri.object is not None:
            wanted[attribute.LABEL] = self._uri.object
        if self._uri.id is not None:
            wanted[attribute.ID] = self._uri.id
        keys = list(session.get_objects(wanted))
        if len(keys) != 1:
            has = "no such key on an elliptic curve" if not keys else f"{len(keys)} such keys"
            raise TokenError(f"the token has {has}" + ("" if self._pin or keys else ", or shows it only with a `pin`"))
        return keys[0]

    def _token(self) -> Any:
        slots = self._initialised().get_slots(token_present=True)
        tokens = [slot.get_token() for slot in slots]
        found = [token for token in tokens if self._uri.is_token(_fields(token))]
        if len(found) != 1:
            labels = ", ".join(repr(token.label) for token in tokens if token.label) or "none"
            count = f"{len(found)} such tokens" if found else "no such token"
            raise TokenError(f"{self._named} has {count}; all that it has: {labels}")
        return found[0]

    def _initialised(self) -> Any:
        """The module, initialised by this very process, as PKCS#11 has it for who was forked."""
        module = self._library.lib(self._module)
        if _OWNERS.setdefault(self._module, os.getpid()) != os.getpid():
            with contextlib.suppress(self._library.PKCS11Error):  # it may have noticed by itself
                module.finalize()
            module.initialize()
            _OWNERS[self._module] = os.getpid()
        return module

    def _session(self, token: Any) -> Any:
        """Who has logged in is logged in with all sessions of this process, until the last of them is closed."""
        if self._pin is None:
            return token.open()
        try:
            return token.open(user_pin=self._pin)
        except self._library.UserAlreadyLoggedIn:
            return token.open()
        except (self._library.PinIncorrect, self._library.PinLocked, self._library.PinExpired):
            self._refused = True
            raise

    def _asked(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except self._library.PKCS11Error as error:
            raise TokenError(f"PKCS#11 answers {_why(error)}") from None


def _library() -> Any:
    try:
        import pkcs11
    except ImportError:
        sentence = "a key on a token needs the library: run `pip install 'sbc-filter[pkcs11]'`"
        raise TokenError(sentence) from None
    return pkcs11


def _fields(token: Any) -> dict[str, str]:
    """What it says of itself, by the names of RFC 7512; it pads with spaces."""
    values = {name: getattr(token, field) for name, field in _FIELDS.items()}
    return {
        name: (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).rstrip("\0 ")
        for name, value in values.items()
    }


def _why(error: Exception) -> str:
    """Its class says what happened: `PinIncorrect`, `DeviceRemoved`."""
    return f"{type(error).__name__}{f' ({error})' if str(error) else ''}"
