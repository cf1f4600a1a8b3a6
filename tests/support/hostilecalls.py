"""Calls whose tokens are signed with a believed key and say hostile things, and the rules that they meet.

The rest of each INVITE is plain, so that every octet of structure in what leaves is the program's own or the INVITE's.
Everything is a function of the seed.
"""

import json
from random import Random
from typing import Any, NamedTuple

from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.outcomes import TOLERABLE
from support import attacks
from support.calls import CALLED, CALLER, CARRIER, LAB, NOW, SBC, SIGN, claims
from support.mutate import b64, raw_signature
from support.mutate_json import Object, encode, from_python

DATE = "Fri, 15 Jan 2027 08:00:00 GMT"
DIVERTED_TO = "13125550123"
_KINDS = ("shaken",) * 5 + ("base",) * 5 + ("compact", "div", "div", "div-o", "rph", "rcd", "unknown")
_TARGETS = (
    "attest",
    "origid",
    "origid",
    "origid",
    "iat",
    "orig",
    "dest",
    "rcd",
    "rcd",
    "crn",
    "crn",
    "mky",
    "more",
    "more",
)
_IN_BASE = ("attest",) * 8
"""More of what nothing checks where a token is not of SHAKEN."""
_SWITCHES = ("base-passport", "info-mismatch", "no-origid", "iat-string", "standard-base64", "comma-joined")


class Plan(NamedTuple):
    """What the rules of a case do; see `rules`."""

    does: str
    dialect: str
    attestation: str
    tolerate: tuple[str, ...]
    trusted: bool
    strip: bool
    marks_contact: bool

    @property
    def responds(self) -> bool:
        """Whether calls that continue are to be reported of in responses."""
        return self.does in ("stir", "sip")


class HostileCall(NamedTuple):
    """A case: its rules, its INVITE, and what is known of it without reading it. `pai` is whose P-Asserted-Identity
    there is, `grades` what its shaken tokens attest, `origids` what their `origid` says,
    `nested` the signatures of tokens inside `opt`."""

    plan: Plan
    number: int
    message: bytes
    pai: tuple[bytes, ...]
    from_uri: bytes | None
    target: bytes
    grades: frozenset[str]
    origids: frozenset[str]
    nested: frozenset[bytes]
    what: tuple[str, ...]


def rules(plan: Plan) -> str:
    """The rule file of a plan: one rule that verifies, and what its scenario needs; or one that signs."""
    if plan.does == "diverts":
        return SIGN.replace(f'["{CALLER}"]', f'["{CALLED}"]') + "div = true\n"
    lines = ["[[rule]]", 'name = "verify"', 'direction = "inbound"', 'action = "verify"']
    if plan.trusted:
        lines.append('trunk = "peer"')
    if plan.does == "monitor":
        lines.append('mode = "monitor"')
    if plan.does == "insertion":
        lines.append('insertion = "redirect"')
    lines += ["[rule.verify]", f'dialect = "{plan.dialect}"', f'attestation = "{plan.attestation}"']
    lines.append("check_replay = false")  # what came before is no part of a case
    lines.append(f"tolerate = [{', '.join(repr(name) for name in plan.tolerate)}]")
    if plan.strip:
        lines.append('identity = "strip"')
    if plan.marks_contact:
        lines.append("mark_contact = true")
    if plan.responds:
        lines += [f'reason = "{plan.does}"', f"required = {str(plan.trusted).lower()}"]
    if plan.does == "service":
        lines.append('service = "theirs"')
    if plan.does == "reject":
        lines += ["[rule.on]", *(f'{outcome} = "reject"' for outcome in _FAILURES)]
        lines.append('invalid = { action = "reject", reason = "SIP;cause=438" }')
    if plan.does == "redirect":
        lines += ["[rule.on]", *(f'{outcome} = "redirect"' for outcome in ("passed", "invalid", *_FAILURES))]
    if plan.does == "when":
        lines += ["[rule.on]", 'passed = "reject"', "[[rule.when]]", 'outcome = "passed"', 'attest = ["A", "B", "C"]']
        lines += ['action = "continue"', f'indicator = "{FORCED}"']
    text = "\n".join(lines) + "\n"
    if plan.does == "preserve":
        text += SIGN + 'preserve = "session-id"\n'
    if plan.trusted:
        text += f'[trunks.peer]\naddresses = ["{CARRIER}"]\ntrusted = true\n'
    return text


_GRADES = ("A", "B", "C")
_FAILURES = ("no-identity", "stale", "untrusted", "unfetchable")
FORCED = "B"
"""What the SBC is told of every call that passed where the scenario is `when`."""
_SCENARIOS = ("continue",) * 5 + (
    "insertion",
    "redirect",
    "reject",
    "stir",
    "sip",
    "preserve",
    "when",
    "monitor",
    "service",
    "diverts",
    "diverts",
)


def _plan(rng: Random) -> Plan:
    does = rng.choice(_SCENARIOS)
    drawn = rng.choice(((), (), _SWITCHES[:1], _SWITCHES))
    redirects = does in ("insertion", "redirect")
    return Plan(
        does,
        rng.choice(("atis", "3gpp", "graded", "telnyx")),
        rng.choice(("always", "always", "below-a", "never")),
        tuple(name for name in drawn if name in TOLERABLE and not (does == "service" and name == "comma-joined")),
        redirects or rng.random() < 0.3,
        not redirects and rng.random() < 0.2,
        redirects and rng.random() < 0.5,
    )


# --- tokens ---


class _Token(NamedTuple):
    jose: Any
    claims: Any


def _made(kind: str, rng: Random) -> _Token:
    """A true token of this kind, before anything in it is bent."""
    to = CALLED if kind not in ("div", "div-o") else DIVERTED_TO
    bare = {"dest": {"tn": [to]}, "iat": int(NOW), "orig": {"tn": CALLER}}
    ppt = None if kind in ("base", "compact") else kind
    if kind == "shaken":
        bare = claims(attest=rng.choice("ABC"))
    elif kind == "base":
        bare = claims() if rng.random() < 0.9 else bare
    elif kind in ("div", "div-o"):
        bare["div"] = {"tn": CALLED}
    elif kind == "rph":
        bare["rph"] = {"auth": ["ets.0"]}
    elif kind == "rcd":
        bare["rcd"] = {"nam": "Example Parcels"}
    elif kind == "unknown":
        ppt = rng.choice(("msec", "SHAKEN", "shaken ", "", "x-y"))
        bare = claims()
    jose = {"alg": "ES256", "ppt": ppt, "typ": "passport", "x5u": X5U}
    return _Token(from_python({name: each for name, each in jose.items() if each is not None}), from_python(bare))


def _bent(token: _Token, rng: Random, what: list[str]) -> _Token:
    """The token with something hostile in one to three places, most often in what is written for the SBC."""
    jose, said = Object(token.jose), Object(token.claims)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if rng.random() < 0.15:
            name = rng.choice(("x5u", "ppt", "typ", "alg", "kid", "jku"))
            _put(jose, name, attacks.value(rng, dict(jose).get(name, "")))
        else:
            more = _IN_BASE if "ppt" not in dict(jose) else ()
            name = rng.choice((*_TARGETS, *more))
            if name == "more":
                name, bent = attacks.member(rng)
            elif name == "rcd":
                bent = Object(
                    (key, attacks.value(rng, "x")) for key in rng.sample(("nam", "apn", "icn", "jcl", "jcd"), 2)
                )
            else:
                bent = attacks.value(rng, dict(said).get(name, ""))
            if rng.random() < 0.05:
                name = name.swapcase()
            _put(said, name, bent)
        what.append(ascii(name)[:20])
    return _Token(jose, said)


def _put(members: Object, name: str, bent: Any) -> None:
    """The value in place of that of this name, else in its place by the alphabet."""
    for at, (key, _) in enumerate(members):
        if key == name:
            members[at] = (name, bent)
            return
    members.append((name, bent))
    members.sort(key=lambda each: each[0])


def _signed(token: _Token) -> bytes:
    octets = b64(encode(token.jose)) + b"." + b64(encode(token.claims))
    return octets + b"." + b64(raw_signature(LAB.leaf.key, octets))


def _value(token: _Token, kind: str, rng: Random) -> bytes:
    """The Identity value: the token, and parameters that agree with it as far as plain text can."""
    url, ppt = _plain(dict(token.jose).get("x5u", "")), _plain(dict(token.jose).get("ppt", ""))
    parameters = [b"info=<%b>" % url.replace(b"<", b"").replace(b">", b""), b"alg=ES256"]
    if ppt or "ppt" in dict(token.jose):
        quoted = ppt.replace(b"\\", b"").replace(b'"', b"")
        parameters.append(b'ppt="%b"' % quoted if quoted != b"shaken" or rng.random() < 0.1 else b"ppt=shaken")
    octets = _signed(token)
    if kind == "compact":
        octets = b".." + octets.rpartition(b".")[2]
    return b";".join((octets, *parameters))


def _plain(value: object) -> bytes:
    """What of a text can stand in a header field without ending anything there."""
    text = value if isinstance(value, str) else ""
    return "".join(each for each in text if each.isprintable() and each.isascii()).encode()[:2000]


# --- the INVITE ---

_OTHERS = (
    "Subject: a call", "s: another call", "User-Agent: SBC/1.0 (test)", "Allow: INVITE, ACK, BYE", "Supported: timer",
    "k: 100rel,\r\n timer", "X-Customer: 42", "Priority: normal", "P-Charging-Vector: icid-value=1", "Accept: */*",
    "Privacy: none", "X-Long: " + "y" * 500, "Organization: Ex\u00e4mple", "History-Info: <sip:+12155550199@h>;index=1",
)  # fmt: skip
_ASSERTED: tuple[tuple[str, ...], ...] = (
    (), (), (),
    (f"<sip:+{CALLER}@carrier.example>",),
    (f'"A \\"caller\\"; <x>" <sip:+{CALLER}@carrier.example;user=phone>',),
    (f"<tel:+{CALLER}>",),
    (f"sip:+{CALLER}@carrier.example",),
    (f"<sip:+{CALLER}@carrier.example>", f"<tel:+{DIVERTED_TO}>"),
    (f"Bob Example <sip:+{CALLER};cpc=ordinary@carrier.example;isup-oli=00>",),
    (f"<sip:+{CALLER};verstat=TN-Validation-Passed@carrier.example>",),
    (f'"Bob" <sip:+{CALLER}@carrier.example;verstat%3dTN-Validation-Passed;x=[1]>',),
    (f"<sip:%2b{CALLER}@carrier.example>",),
)  # fmt: skip
_PLANTED = ("P-Attestation-Indicator: A", "p-origination-id: 1", "Attestation-Info: B", "Origination-Id: 2")
_BODY = b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def hostile_call(seed: str) -> HostileCall:
    """The case of a seed."""
    rng = Random(seed)
    plan = _plan(rng)
    kind = rng.choice(_KINDS)
    what = [plan.does, plan.dialect, kind]
    tokens = [(kind, _made(kind, rng))]
    if kind != "compact" or rng.random() < 0.5:
        tokens[0] = (kind, _bent(tokens[0][1], rng, what))
    inside: list[_Token] = []
    nested: list[bytes] = []
    if kind == "div-o":
        inside = [_bent(_made("shaken", rng), rng, what) if rng.random() < 0.7 else _made("shaken", rng)]
        said = Object(tokens[0][1].claims)
        nested = [_signed(inside[0])]
        _put(said, "opt", nested[0].decode())
        tokens[0] = (kind, tokens[0][1]._replace(claims=said))
    if kind in ("div", "rph", "rcd") or rng.random() < 0.1:
        other = _made("shaken", rng)
        tokens.insert(rng.randrange(2), ("shaken", _bent(other, rng, what) if rng.random() < 0.4 else other))
    number = rng.randrange(10**9)
    asserted = rng.choice(_ASSERTED)
    anonymous = not asserted and rng.random() < 0.05
    caller = "sip:anonymous@anonymous.invalid" if anonymous else f"sip:+{CALLER}@carrier.example"
    target = f"sip:+{DIVERTED_TO if kind in ('div', 'div-o') or plan.does == 'diverts' else CALLED}@{SBC}".encode()
    fields = [rng.choice((b"Identity: ", b"Identity: ", b"y: ")) + _value(token, of, rng) for of, token in tokens]
    fields += [f"P-Asserted-Identity: {each}".encode() for each in asserted]
    fields += [each.encode() for each in rng.sample(_OTHERS, rng.randrange(5))]
    fields += [each.encode() for each in rng.sample(_PLANTED, rng.choice((0, 0, 0, 1, 2)))]
    if kind == "compact" or rng.random() < 0.3:
        fields.append(f"Date: {DATE}".encode())
    if kind == "rph":
        fields.append(b"Resource-Priority: ets.0")
    if plan.does == "preserve":
        fields.append(f"Session-ID: {number:032x};remote={'0' * 32}".encode())
    rng.shuffle(fields)
    pai = tuple(field.partition(b": ")[2] for field in fields if field.startswith(b"P-Asserted"))
    body = _BODY if rng.random() < 0.3 else b""
    lines = [
        b"INVITE %b SIP/2.0" % target,
        f"Via: SIP/2.0/UDP {CARRIER}:5060;branch=z9hG4bK-{number}".encode(),
        *rng.choice(((), (), (b"Record-Route: <sip:192.0.2.9;lr>",), (b"v: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK-0",))),
        b"Max-Forwards: 70",
        f"{rng.choice(('From', 'f', 'FROM '))}: <{caller}>;tag=f{number}".encode(),
        f"To: <sip:+{CALLED}@sbc.example>".encode(),
        f"Call-ID: call-{number}@carrier.example".encode(),
        *fields,
        b"CSeq: 1 INVITE",
        f"Contact: <sip:+{CALLER}@{CARRIER}>".encode(),
        b"Content-Length: %d" % len(body),
    ]
    said_by = [_read(token) for token in (*(token for _, token in tokens), *inside)]
    return HostileCall(
        plan,
        number,
        b"\r\n".join(lines) + b"\r\n\r\n" + body,
        pai,
        None if anonymous else caller.encode(),
        target,
        frozenset(each["attest"] for ppt, each in said_by if ppt == "shaken" and each.get("attest") in _GRADES),
        frozenset(each["origid"] for _, each in said_by if isinstance(each.get("origid"), str)),
        frozenset(each.rpartition(b".")[2] for each in nested),
        tuple(what),
    )


def _read(token: _Token) -> tuple[object, dict[str, Any]]:
    """(ppt, claims) as `json` reads them; nothing where it cannot."""
    try:
        jose, said = json.loads(encode(token.jose)), json.loads(encode(token.claims))
    except (ValueError, RecursionError):
        return None, {}
    return jose.get("ppt"), said
