"""Private keys on a PKCS#11 token (a hardware security module, or SoftHSM), which never leave it.

The library is an extra (`pip install 'sbc-filter[pkcs11]'`), so it is imported only when a key is on a token.
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
_SIZE = 32  # bytes of r and of s on P-256
_LOCKS: defaultdict[str, Lock] = defaultdict(Lock)  # by the path of the module
_OWNERS: dict[str, int] = {}  # the process that initialised the module
os.register_at_fork(after_in_child=_LOCKS.clear)  # the thread that held a lock does not exist in the child
_FIELDS = dict(zip(TOKEN_ATTRIBUTES, ("label", "serial", "manufacturer_id", "model"), strict=True))


class TokenError(FilterError):
    """The token, its key or the library is not available; the message is one sentence."""


class TokenKey:
    """A `stir.signature.Signer`: a private key on a token, for ECDSA on P-256 with SHA-256.

    Data is hashed here, and the token signs the digest (CKM_ECDSA), which every token supports. Any thread may sign.
    There is one lock for each module, because `python-pkcs11` initialises it without support for threads (C_Initialize
    without CKF_OS_LOCKING_OK). The GIL is released while the token works. A broken session is opened again, once for
    each signature. A PIN that was refused is never tried again: a few more attempts would lock the token.

    The object may be made before a fork: each child opens its own session with its first signature.

    Raises `TokenError` when the key is not available.
    """

    def __init__(self, module: Path, uri: Pkcs11Uri, pin: str | None) -> None:
        self._library = _library()
        self._module = str(module.resolve())  # under two names it would be initialised twice, which fails
        self._named = module
        self._uri = uri
        self._pin = pin
        self._refused = False
        self._process = os.getpid()
        with _LOCKS[self._module]:
            self._key: Any = self._open()

    def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm, /) -> bytes:
        """See `Signer`; the algorithm is always ECDSA with SHA-256."""
        digest = hashlib.sha256(data).digest()
        try:
            with _LOCKS[self._module]:
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
        """The key, in a new session."""
        if self._refused:
            raise TokenError("the token refused the PIN before: correct it, then reload or restart")
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
        """The module, initialised by this process: PKCS#11 requires that again after a fork."""
        module = self._library.lib(self._module)
        if _OWNERS.setdefault(self._module, os.getpid()) != os.getpid():
            with contextlib.suppress(self._library.PKCS11Error):  # some modules detect the fork themselves
                module.finalize()
            module.initialize()
            _OWNERS[self._module] = os.getpid()
        return module

    def _session(self, token: Any) -> Any:
        """A new session. A login is valid for all sessions of the process until the last one is closed."""
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
    """The attributes of a token by their names in RFC 7512, without the padding."""
    values = {name: getattr(token, field) for name, field in _FIELDS.items()}
    return {
        name: (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).rstrip("\0 ")
        for name, value in values.items()
    }


def _why(error: Exception) -> str:
    """The reason: the name of the class says it, such as `PinIncorrect` or `DeviceRemoved`."""
    return f"{type(error).__name__}{f' ({error})' if str(error) else ''}"
