"""What a signer can do that the standards do not say, one deviation a row: what we make of it, what secsipid does.

Rows on which the two disagree stand in docs/interoperability.md too; `test_secsipid.py` asks both sides.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.stir.passport import canonical_json, encode_segment
from sbc_filter.stir.signature import sign_es256
from support.calls import CALLED, CALLER, claims, identity, invite

ACCEPTS = 1
STRANGER = ec.derive_private_key(4711, ec.SECP256R1())
OTHER = "https://other.example.org/shaken.pem"
SEMICOLON, EQUALS = (X5U.replace("shaken.pem", name) for name in ("shaken;1.pem", "shaken=1.pem"))
URLS = (X5U, SEMICOLON, EQUALS)
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Signer(NamedTuple):
    """Who signs the call of `invite()`, and when (POSIX seconds)."""

    key: ec.EllipticCurvePrivateKey
    now: int

    def claims(self, **changes: Any) -> dict[str, Any]:
        """True claims but for these; None takes one out."""
        return claims(**{"iat": self.now, **changes})

    def line(self, payload: Any = None, **options: Any) -> str:
        """An Identity line over true claims, or over these."""
        return identity(self.claims() if payload is None else payload, **{"key": self.key, **options})

    def token(self) -> bytes:
        """A true token, without parameters."""
        return self.line().partition(": ")[2].partition(";")[0].encode()

    def good(self) -> bytes:
        return invite(self.line())

    def said(self, **changes: Any) -> bytes:
        """The call with other claims."""
        return invite(self.line(self.claims(**changes)))

    def protected(self, **changes: Any) -> bytes:
        """The call with another protected header, and the parameters of a token that is as it should be."""
        return invite(self.line(jose=changes, parameters=_GOOD))

    def beside(self, parameters: str) -> bytes:
        """The call with a true token and other parameters behind it."""
        return invite(self.line(parameters=parameters))

    def written(self, old: str, new: str) -> bytes:
        """The call with its true claims written otherwise, and so signed."""
        return invite(self.line(canonical_json(self.claims()).decode().replace(old, new, 1).encode()))

    def spelled(self, token: bytes) -> bytes:
        """The call with these octets for its token."""
        return invite(f"Identity: {token.decode()};{_GOOD}")


class Row(NamedTuple):
    """`ours` is passed or outcome.detail, `theirs` what `secsipid_check_identity` returns."""

    deviation: str
    make: Callable[[Signer], bytes]
    ours: str
    theirs: int
    section: str


def _spaced(by: Signer) -> bytes:
    text = '{ "origid": "o",\n "orig": {"tn":"%s"}, "iat":%d, "dest": {"tn":["%s"]}, "attest":"A" }'
    return invite(by.line((text % (CALLER, by.now, CALLED)).encode()))


def _folded(by: Signer) -> bytes:
    token, _, parameters = by.line().partition(";")
    return invite(token.replace(".", ".\r\n ") + ";\r\n\t" + parameters)


def _stray_bits(by: Signer) -> bytes:
    token = by.token()
    last = _ALPHABET.index(token[-1:]) + 1  # 86 characters hold 516 bits, the signature has 512
    return by.spelled(token[:-1] + _ALPHABET[last : last + 1])


def _padded_and_signed(by: Signer) -> bytes:
    segments = [part + b"=" * (-len(part) % 4) for part in by.token().split(b".")[:2]]
    assert segments != by.token().split(b".")[:2]
    octets = b".".join(segments)
    return by.spelled(octets + b"." + sign_es256(by.key, octets))


def _padded_later(by: Signer) -> bytes:
    return by.spelled(b".".join(part + b"=" * (-len(part) % 4) for part in by.token().split(b".")))


def _der(by: Signer) -> bytes:
    octets = by.token().rpartition(b".")[0]
    return by.spelled(octets + b"." + encode_segment(by.key.sign(octets, ec.ECDSA(hashes.SHA256()))))


def _nested(by: Signer) -> bytes:
    deep: list[Any] = []
    for _ in range(19):
        deep = [deep]
    return by.said(x=deep)


_INFO = f"info=<{X5U}>"
_BASE = f"{_INFO};alg=ES256"
_GOOD = f"{_BASE};ppt=shaken"
ROWS = (
    Row("nothing", Signer.good, "passed", ACCEPTS, "RFC 8224 §4"),
    # the header field
    Row("compact name `y`", lambda by: invite(by.line(name="y")), "passed", -1, "RFC 8224 §13.1"),
    Row("folded, also within the token", _folded, "passed", ACCEPTS, "RFC 3261 §7.3.1"),
    Row(
        "two header fields, the first one of a stranger",
        lambda by: invite(by.line(key=STRANGER), by.line()),
        *("passed", ACCEPTS, "RFC 8224 §6.2.1"),
    ),
    Row("signed with another key", lambda by: invite(by.line(key=STRANGER)), "invalid.bad-signature", -251, ""),
    # parameters
    Row(
        "white space around `;` and `=`",
        lambda by: by.beside(f" info = <{X5U}> ; alg = ES256 ; ppt = shaken"),
        *("passed", ACCEPTS, "RFC 3261 §25.1"),
    ),
    Row("`ppt` first", lambda by: by.beside(f"ppt=shaken;alg=ES256;{_INFO}"), "passed", ACCEPTS, "RFC 8224 §4"),
    Row("unknown parameter", lambda by: by.beside(f"{_GOOD};x=y"), "passed", ACCEPTS, "RFC 8224 §4"),
    Row("no `alg`", lambda by: by.beside(f"{_INFO};ppt=shaken"), "passed", ACCEPTS, "RFC 8224 §4.1"),
    Row("`alg=es256`", lambda by: by.beside(f"{_INFO};alg=es256;ppt=shaken"), "passed", -302, "RFC 3261 §7.3.1"),
    Row('`alg="ES256"`', lambda by: by.beside(f'{_INFO};alg="ES256";ppt=shaken'), "passed", -302, "RFC 8224 §4"),
    Row('`ppt="shaken"`', lambda by: by.beside(f'{_INFO};ppt="shaken"'), "passed", ACCEPTS, "RFC 8224 §4"),
    Row("`ppt=SHAKEN`", lambda by: by.beside(f"{_INFO};ppt=SHAKEN"), "passed", -303, "RFC 3261 §7.3.1"),
    Row("no `ppt`", lambda by: by.beside(f"{_INFO};alg=ES256"), "invalid.ppt-mismatch", ACCEPTS, "RFC 8224 §4.1"),
    Row("`INFO=`", lambda by: by.beside(f"INFO=<{X5U}>;ppt=shaken"), "passed", -303, "RFC 3261 §7.3.1"),
    Row(
        "`ALG=HS256`",
        lambda by: by.beside(f"{_INFO};ALG=HS256;ppt=shaken"),
        *("invalid.alg-mismatch", ACCEPTS, "RFC 3261 §7.3.1"),
    ),
    Row("no `info`", lambda by: by.beside("alg=ES256;ppt=shaken"), "invalid.identity-syntax", -303, "RFC 8224 §4"),
    Row("`info` without `<>`", lambda by: by.beside(f"info={X5U};ppt=shaken"), "passed", ACCEPTS, "RFC 8224 §4"),
    Row("`info` in quotes", lambda by: by.beside(f'info="{X5U}";ppt=shaken'), "passed", -205, "RFC 8224 §4"),
    Row(
        "`info` twice, the second one right",
        lambda by: by.beside(f"info=<{OTHER}>;{_GOOD}"),
        *("invalid.identity-syntax", ACCEPTS, "RFC 3261 §7.3.1"),
    ),
    Row(
        "`info` is not `x5u`",
        lambda by: by.beside(f"info=<{OTHER}>;ppt=shaken"),
        *("invalid.info-mismatch", -205, "RFC 8224 §4.1"),
    ),
    Row("URL with `;`", lambda by: invite(by.line(jose={"x5u": SEMICOLON})), "passed", -205, "RFC 8224 §4"),
    Row("URL with `=`", lambda by: invite(by.line(jose={"x5u": EQUALS})), "passed", -303, "RFC 8224 §4"),
    # base64url
    Row("`=` behind the signature", lambda by: by.spelled(by.token() + b"=="), "passed", ACCEPTS, "RFC 7515 §2"),
    Row("`=` behind segments, not signed", _padded_later, "passed", -251, "RFC 7515 §2"),
    Row("`=` behind segments, signed with them", _padded_and_signed, "invalid.bad-signature", ACCEPTS, "RFC 7515 §2"),
    Row("bits behind the last octet of the signature", _stray_bits, "invalid.base64", ACCEPTS, "RFC 4648 §3.5"),
    Row("signature in DER", _der, "invalid.signature-length", -253, "RFC 7518 §3.4"),
    Row(
        "compact form",
        lambda by: by.spelled(b".." + by.token().rpartition(b".")[2]),
        *("invalid.compact-form", -231, "ATIS-1000074 §5.3.3"),
    ),
    # protected header
    Row("no `typ` in the token", lambda by: by.protected(typ=None), "invalid.typ", ACCEPTS, "RFC 8225 §4.1"),
    Row("`typ` is `JWT`", lambda by: by.protected(typ="JWT"), "invalid.typ", -204, "RFC 8225 §4.1"),
    Row("no `alg` in the token", lambda by: by.protected(alg=None), "invalid.alg-mismatch", ACCEPTS, "RFC 7515 §4.1.1"),
    Row("`alg` is `none`", lambda by: by.protected(alg="none"), "untrusted.alg", -202, "RFC 8225 §4.2"),
    Row("no `ppt` in the token", lambda by: by.protected(ppt=None), "invalid.ppt-mismatch", ACCEPTS, "RFC 8225 §8.1"),
    Row(
        "no `ppt`, neither beside the token nor in it",
        lambda by: invite(
            by.line(by.claims(attest=None, origid=None), jose={"ppt": None}, parameters=f"{_INFO};alg=ES256")
        ),
        *("no-identity.unsupported-ppt", ACCEPTS, "ATIS-1000074 §5.3.1"),
    ),
    Row("no `x5u` in the token", lambda by: by.protected(x5u=None), "invalid.x5u-missing", ACCEPTS, "RFC 8225 §4.3"),
    Row("`crit` in the token", lambda by: by.protected(crit=["x"]), "invalid.crit", ACCEPTS, "RFC 7515 §4.1.11"),
    # JSON
    Row("white space in the claims, in any order", _spaced, "passed", ACCEPTS, "RFC 8225 §9"),
    Row(
        "a claim twice, the second one right",
        lambda by: by.written('{"attest"', '{"orig":{"tn":"1"},"attest"'),
        *("invalid.duplicate-key", ACCEPTS, "RFC 7519 §4"),
    ),
    Row("`IAT` for `iat`", lambda by: by.written("iat", "IAT"), "invalid.claim-iat", ACCEPTS, "RFC 7519 §7.3"),
    Row(
        "claims not in UTF-8",
        lambda by: invite(by.line(canonical_json(by.claims(x="@")).replace(b"@", b"\xff"))),
        *("invalid.json", ACCEPTS, "RFC 8259 §8.1"),
    ),
    Row("20 arrays in one another", _nested, "invalid.json", ACCEPTS, "RFC 8259 §9"),
    Row("12 kB of claims", lambda by: by.said(x="x" * 9000), "invalid.too-large", ACCEPTS, "RFC 8259 §9"),
    # claims
    Row("extra claims", lambda by: by.said(rcd={"nam": "x"}), "passed", ACCEPTS, "RFC 8225 §8.3"),
    Row("`origid` is no UUID", lambda by: by.said(origid="x"), "passed", ACCEPTS, "RFC 8588 §5"),
    Row("no `origid`", lambda by: by.said(origid=None), "invalid.claim-origid", ACCEPTS, "RFC 8588 §5"),
    Row("no `attest`", lambda by: by.said(attest=None), "invalid.claim-attest", ACCEPTS, "RFC 8588 §4"),
    Row("`attest` is `D`", lambda by: by.said(attest="D"), "invalid.claim-attest", ACCEPTS, "RFC 8588 §4"),
    Row("no `iat`", lambda by: by.said(iat=None), "invalid.claim-iat", -232, "RFC 8225 §5.1.1"),
    Row("`iat` is a string", lambda by: by.said(iat=str(by.now)), "invalid.claim-iat", -231, "RFC 7519 §2"),
    Row("`iat` is written `….0`", lambda by: by.said(iat=float(by.now)), "passed", -231, "RFC 7519 §2"),
    Row(
        "200 s old (secsipid allows 300)",
        lambda by: by.said(iat=by.now - 200),
        *("stale.stale-date", ACCEPTS, "RFC 8224 §4.1"),
    ),
    Row("400 s old", lambda by: by.said(iat=by.now - 400), "stale.stale-date", -232, "RFC 8224 §4.1"),
    Row(
        "of next year",
        lambda by: by.said(iat=by.now + 31_536_000),
        *("stale.future-date", ACCEPTS, "RFC 8225 §10.1"),
    ),
    Row(
        "another caller than in SIP",
        lambda by: by.said(orig={"tn": "12155550111"}),
        *("invalid.orig-mismatch", ACCEPTS, "RFC 8224 §6.2"),
    ),
    Row(
        "another called party than in SIP",
        lambda by: by.said(dest={"tn": ["12155550111"]}),
        *("invalid.dest-mismatch", ACCEPTS, "RFC 8224 §6.2"),
    ),
    Row("no `orig`", lambda by: by.said(orig=None), "invalid.claim-orig", ACCEPTS, "RFC 8225 §5.2.1"),
    Row("`+` in `orig`", lambda by: by.said(orig={"tn": f"+{CALLER}"}), "passed", ACCEPTS, "RFC 8225 §5.2.1"),
    Row("`orig.tn` is an array of one", lambda by: by.said(orig={"tn": [CALLER]}), "passed", -231, "RFC 8225 §5.2.1"),
    Row(
        "two members in `orig`",
        lambda by: by.said(orig={"tn": CALLER, "uri": "sip:a@b"}),
        *("invalid.claim-orig", ACCEPTS, "RFC 8225 §5.2.1"),
    ),
    Row("no `dest`", lambda by: by.said(dest=None), "invalid.claim-dest", ACCEPTS, "RFC 8225 §5.2.1"),
    Row("`dest.tn` is not an array", lambda by: by.said(dest={"tn": CALLED}), "passed", -231, "RFC 8225 §5.2.1"),
    Row("`dest.tn` is empty", lambda by: by.said(dest={"tn": []}), "invalid.claim-dest", ACCEPTS, "RFC 8225 §5.2.1"),
)
