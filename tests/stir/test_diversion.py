"""S-100 to S-105: diverted calls (RFC 8946): what div tokens say, and which of them make a chain."""

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, permutations
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key
from hypothesis import given
from hypothesis import strategies as st
from support import vectors
from support.calls import CREDENTIAL, LAB, NOW, claims

from sbc_filter.errors import SigningError, VerificationError
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.stir.diversion import MAX_DIVERSIONS, Link, Nested, find_chain, make_link, parse_div, parse_opt, unnest
from sbc_filter.stir.passport import canonical_json, decode_segment, encode_segment, parse_claims, parse_jose
from sbc_filter.stir.sign_div import sign_div
from sbc_filter.stir.signature import sign_es256, verify_es256
from sbc_filter.stir.token import Token, parse_parameters, split_identity

A, B, C, D = "12155551212", "12155551213", "12155551214", "12155551215"


def refusal(function: Any, *arguments: Any) -> Detail:
    with pytest.raises(VerificationError) as caught:
        function(*arguments)
    assert caught.value.outcome is Outcome.INVALID
    return caught.value.detail


def token(ppt: str | None, **changes: Any) -> str:
    """A well-formed token, signed by the laboratory."""
    header = {"alg": "ES256", "typ": "passport", "x5u": X5U} | ({"ppt": ppt} if ppt else {})
    signed = encode_segment(canonical_json(header)) + b"." + encode_segment(canonical_json(claims(**changes)))
    return (signed + b"." + sign_es256(CREDENTIAL.key, signed)).decode()


def read(text: str) -> Any:
    return json.loads(decode_segment(text.split(".")[1].encode()))


@pytest.mark.parametrize(
    ("value", "identity"),
    [
        ({"tn": "12155551213"}, "12155551213"),
        ({"tn": "+1 (215) 555-1213"}, "12155551213"),  # S-041, as dest is read
        ({"tn": "*67"}, "*67"),
        ({"uri": "SIP:Al%69ce:secret@EXAMPLE.com:5060"}, "sip:alice@example.com"),  # S-044
        ({"uri": "urn:service:sos"}, "urn:service:sos"),
        ({"uri": "bob"}, "bob"),
        ({"tn": "12155551213", "hi": "1.2"}, "12155551213"),  # S-106
    ],
)
def test_s100_the_claim_div(value: Any, identity: str) -> None:
    assert parse_div({"div": value}) == identity
    kind, text = next(iter(value.items()))
    dest = parse_claims(encode_segment(canonical_json(claims(dest={kind: [text]})))).dest
    assert dest == (identity,)  # or the two could not be compared


@pytest.mark.parametrize(
    "value",
    [
        None, "12155551213", 12155551213, [], {}, ["tn"], {"tn": None}, {"tn": 12155551213}, {"tn": ""}, {"tn": "bob"},
        {"tn": ["12155551213"]}, {"tn": {"tn": "1"}}, {"tn": "1", "uri": "sip:a@b"}, {"hi": "1"}, {"tn": "1", "hi": 1},
        {"tn": "1", "hi": None}, {"tn": "1", "x": "1"}, {"TN": "1"}, {"uri": ""}, {"uri": "\ud800"}, {"tn": "\ud800"},
        {"": "1"},
    ],
)  # fmt: skip
def test_s100_what_is_no_claim_div(value: Any) -> None:
    assert refusal(parse_div, {"div": value}) is Detail.CLAIM_DIV
    assert refusal(parse_div, {}) is Detail.CLAIM_DIV


def test_links() -> None:
    plain = parse_claims(encode_segment(canonical_json(claims(orig={"tn": A}, dest={"tn": [B, C]}))))
    diverted = parse_claims(
        encode_segment(canonical_json(claims(orig={"tn": A}, dest={"tn": [C]}, div={"tn": B}, attest=None)))
    )
    assert make_link(0, None, plain) == make_link(0, "shaken", plain) == (A, (B, C), None, 0)
    assert make_link(1, "div", diverted) == make_link(1, "div-o", diverted) == (A, (C,), B, 1)
    assert make_link(0, None, plain).authority == A
    assert make_link(1, "div", diverted).authority == B  # S-100: the certificate is the diverting party's
    assert refusal(make_link, 1, "div", plain) is Detail.CLAIM_DIV


def links(*texts: str) -> list[Link]:
    """`A>BC` is a token of a call from A to B and C, `A>C<B` the div token of B who diverted it to C."""
    made = []
    for at, text in enumerate(texts):
        way, _, div = text.partition("<")
        orig, _, dest = way.partition(">")
        made.append(Link(orig, tuple(dest), div or None, at))
    return made


@pytest.mark.parametrize(
    ("texts", "ruri", "chain"),
    [
        pytest.param(["A>B", "A>C<B"], "C", [1, 0], id="S-101 one diversion"),
        pytest.param(["A>C<B", "A>B"], "C", [0, 1], id="S-101 in no order"),
        pytest.param(["A>B", "A>C<B", "A>D<C"], "D", [2, 1, 0], id="S-101 two diversions"),
        pytest.param(["A>D<C", "A>B", "A>C<B"], "D", [0, 2, 1], id="S-101 two, in no order"),
        pytest.param(["A>BX", "A>CY<X"], "Y", [1, 0], id="several dest"),
        pytest.param(["A>B", "A>C<B", "A>B"], "C", [1, 0], id="of two ends the first"),
        pytest.param(["A>X", "A>B", "A>C<B"], "C", [2, 1], id="an end that does not fit"),
        pytest.param(["Z>B", "A>C<B", "A>B"], "C", [1, 2], id="S-102 an end of another orig beside"),
        pytest.param(["A>B", "A>C<B", "A>Z<Y"], "C", [1, 0], id="S-103 a stray diversion beside"),
        pytest.param(["A>B", "A>C<B", "Z>C<B"], "C", [1, 0], id="S-103 a stray diversion of another orig"),
        pytest.param(["A>B", "A>C<B", "A>C<B"], "C", [1, 0], id="the same said twice"),
        pytest.param(["A>B", "A>C<B", "A>D<C", "A>D<B"], "D", [3, 0], id="the shortest way"),
        pytest.param(["A>B", "A>C<B", "A>B<C"], "C", [1, 0], id="S-104 a loop beside the way"),
        pytest.param(["A>P", "A>Q<P", "A>R<Q", "A>S<R", "A>T<S", "A>U<T"], "U", [5, 4, 3, 2, 1, 0], id="S-104 five"),
        pytest.param(["A>B", "A>A<B"], "A", [1, 0], id="diverted to the caller"),
    ],
)
def test_s101_chains(texts: list[str], ruri: str, chain: list[int]) -> None:
    found = find_chain(links(*texts), ruri)
    assert [link.at for link in found] == chain
    assert (found[0].at, found[-1].div) == (chain[0], None)


@pytest.mark.parametrize(
    ("texts", "ruri", "detail"),
    [
        pytest.param(["A>B", "A>C<B"], "B", Detail.DIV_CHAIN, id="S-101 dest is the To, not the Request-URI"),
        pytest.param(["A>B", "A>C<B"], "X", Detail.DIV_CHAIN, id="S-101 another Request-URI"),
        pytest.param(["A>B", "A>C<B"], None, Detail.DIV_CHAIN, id="S-101 no Request-URI"),
        pytest.param(["A>B", "A>C<X"], "C", Detail.DIV_CHAIN, id="S-101 div not in the inner dest"),
        pytest.param(["A>B", "A>D<C"], "D", Detail.DIV_CHAIN, id="S-103 a link is missing"),
        pytest.param(["A>C<B"], "C", Detail.DIV_CHAIN, id="S-103 the end is missing"),
        pytest.param(["A>B"], "B", Detail.DIV_CHAIN, id="no diversion"),
        pytest.param([], "B", Detail.DIV_CHAIN, id="nothing"),
        pytest.param(["Z>B", "A>C<B"], "C", Detail.DIV_ORIG, id="S-102 another orig"),
        pytest.param(["A>B", "Z>C<B", "A>D<C"], "D", Detail.DIV_ORIG, id="S-102 another orig in the middle"),
        pytest.param(["Z>B", "A>C<X"], "C", Detail.DIV_CHAIN, id="S-102 broken besides"),
        pytest.param(["A>B", "A>C<C"], "C", Detail.DIV_CHAIN, id="S-104 diverted to itself"),
        pytest.param(["A>B", "A>BC<B"], "C", Detail.DIV_CHAIN, id="S-104 diverted to itself and another"),
        pytest.param(["A>B", "A>C<B", "A>B<C"], "B", Detail.DIV_CHAIN, id="S-104 back where it began"),
        pytest.param(["A>C<B", "A>B<C"], "B", Detail.DIV_CHAIN, id="S-104 a ring"),
        pytest.param(
            ["A>P", "A>Q<P", "A>R<Q", "A>S<R", "A>T<S", "A>U<T", "A>V<U"], "V", Detail.DIV_CHAIN, id="S-104 six"
        ),
    ],
)
def test_s101_what_is_no_chain(texts: list[str], ruri: str | None, detail: Detail) -> None:
    assert refusal(find_chain, links(*texts), ruri) is detail


def test_s101_provisioned_numbers() -> None:
    """The SBC may have put an address of its own into the Request-URI. Our own numbers may divert to each other."""
    ours = frozenset("BCX")
    assert [link.at for link in find_chain(links("A>B", "A>C<B"), "gateway", ours)] == [1, 0]
    assert [link.at for link in find_chain(links("A>B", "A>C<B"), None, ours)] == [1, 0]
    assert refusal(find_chain, links("A>B", "A>D<B"), None, ours) is Detail.DIV_CHAIN
    assert refusal(find_chain, links("A>B", "A>C<B", "A>B<C"), None, frozenset("B")) is Detail.DIV_CHAIN


def test_s103_a_link_that_does_not_verify_is_left_out() -> None:
    known = links("A>B", "A>C<B", "A>D<C", "A>D<B")
    assert [link.at for link in find_chain(known, "D")] == [3, 0]
    del known[3]
    assert [link.at for link in find_chain(known, "D")] == [2, 1, 0]


LINKS = st.builds(
    lambda orig, dest, div: (orig, tuple(dest), div),
    st.sampled_from("AAAZ"),
    st.lists(st.sampled_from("ABCDE"), min_size=1, max_size=3),
    st.none() | st.sampled_from("ABCDE"),
)


def is_chain(chain: Sequence[Link], reached: set[str]) -> bool:
    """The rules once more, said of a finished chain."""
    numbers = [link.div for link in chain[:-1]]
    return (
        1 <= len(numbers) <= MAX_DIVERSIONS
        and None not in numbers
        and chain[-1].div is None
        and len(set(numbers)) == len(numbers)
        and bool(reached & set(chain[0].dest) - set(numbers))
        and all(link.div not in link.dest for link in chain)
        and all(outer.div in inner.dest and outer.orig == inner.orig for outer, inner in pairwise(chain))
    )


@given(st.lists(LINKS, max_size=16), st.none() | st.sampled_from("ABCDE"), st.frozensets(st.sampled_from("ABCDE")))
def test_any_links_give_a_chain_or_one_of_two_errors(
    made: list[tuple[str, tuple[str, ...], str | None]], ruri: str | None, provisioned: frozenset[str]
) -> None:
    known = [Link(*each, at) for at, each in enumerate(made)]
    try:
        chain = find_chain(known, ruri, provisioned)
    except VerificationError as error:
        assert error.detail in (Detail.DIV_CHAIN, Detail.DIV_ORIG)
    else:
        assert is_chain(chain, {*provisioned, *filter(None, [ruri])})
        assert all(known[link.at] is link for link in chain)


@given(st.lists(LINKS, max_size=5), st.sampled_from("ABCDE"))
def test_a_chain_is_found_where_there_is_one(made: list[tuple[str, tuple[str, ...], str | None]], ruri: str) -> None:
    known = [Link(*each, at) for at, each in enumerate(made)]
    orders = (order for size in range(2, len(known) + 1) for order in permutations(known, size))
    exists = any(is_chain(order, {ruri}) for order in orders)
    try:
        found = bool(find_chain(known, ruri))
    except VerificationError:
        found = False
    assert found == exists


def test_s016_many_links_take_no_time() -> None:
    """All of sixteen lead to each other, and none to an end: 360 360 ways of five."""
    everybody = tuple("ABCDEFGHIJKLMNOP")
    tangle = [Link("0", tuple(set(everybody) - {div}), div, at) for at, div in enumerate(everybody)]
    assert refusal(find_chain, tangle * 4, "A") is Detail.DIV_CHAIN


def test_s104_nested_tokens() -> None:
    inner = token(None, orig={"tn": A}, dest={"tn": [B]}, attest=None, origid=None)
    middle = token("div-o", orig={"tn": A}, dest={"tn": [C]}, div={"tn": B}, opt=inner)
    outer = token("div-o", orig={"tn": A}, dest={"tn": [D]}, div={"tn": C}, opt=middle)
    nested = unnest(read(outer))
    assert [each.jose.ppt for each in nested] == ["div-o", None]
    for each, text in zip(nested, (middle, inner), strict=True):
        assert f"{each.signed.decode()}.{each.signature.decode()}" == text
        verify_es256(LAB.leaf.key.public_key(), each.signed, each.signature)
    assert Token(*nested[0]).claims.dest == (C,)

    whole = parse_claims(outer.split(".")[1].encode())
    known = [make_link(0, "div-o", whole), *(make_link(at, n.jose.ppt, n.claims) for at, n in enumerate(nested, 1))]
    assert [link.at for link in find_chain(known, D)] == [0, 1, 2]
    assert [link.at for link in find_chain(known, C)] == [1, 2]  # for a call that is at C
    assert refusal(find_chain, known[:2], D) is Detail.DIV_CHAIN


def test_s104_nested_too_deeply() -> None:
    text = token("shaken")
    for _ in range(MAX_DIVERSIONS):
        text = token("div-o", opt=text, div={"tn": B})
    assert len(unnest(read(text))) == MAX_DIVERSIONS
    assert refusal(unnest, read(token("div-o", opt=text, div={"tn": B}))) is Detail.DIV_CHAIN


@pytest.mark.parametrize(
    "value",
    [None, 5, "", [], ["a.b.c"], {"a": "b"}, "a", "a.b", "a.b.c.d", "..c", "a..c", ".b.c", "a.b.", "a.b.c=", " a.b.c",
     "a.b.c\n", "a.b+.c", "a.b.c;info=<x>", "\ud800.b.c", "ä.b.c"],
)  # fmt: skip
def test_s104_opt_is_the_full_form(value: Any) -> None:
    assert refusal(parse_opt, {"opt": value}) is Detail.CLAIM_OPT
    assert refusal(parse_opt, {}) is Detail.CLAIM_OPT
    assert refusal(unnest, {"opt": value}) is Detail.CLAIM_OPT


def test_s104_a_nested_token_is_as_well_formed_as_any() -> None:
    header, payload, signature = token("shaken").split(".")
    assert refusal(unnest, {"opt": f"{header}A.{payload}.{signature}"}) is Detail.BASE64
    assert refusal(unnest, {"opt": f"{payload}.{payload}.{signature}"}) is Detail.TYP
    assert refusal(unnest, {"opt": f"{header}.{header}.{signature}"}) is Detail.CLAIM_ORIG
    assert refusal(unnest, {"opt": token("div-o", div={"tn": B})}) is Detail.CLAIM_OPT


@given(st.text(alphabet="ab.e30_-=", max_size=40))
def test_any_opt_is_refused_in_one_way_only(text: str) -> None:
    assert refusal(unnest, {"opt": text}) in Detail


def public() -> ec.EllipticCurvePublicKey:
    key = load_der_public_key(base64.b64decode(vectors.RFC8946_PUBLIC))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def private() -> ec.EllipticCurvePrivateKey:
    key = load_der_private_key(base64.b64decode(vectors.RFC8946_PRIVATE), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def test_s105_the_vectors_verify_and_do_not_link() -> None:
    """S-022: good signatures; but 12155551213 was called and 121555551213, a digit more, diverted."""
    found = []
    for at, text in enumerate((vectors.RFC8946_BASE, vectors.RFC8946_DIV, vectors.RFC8946_DIV_O)):
        header, payload, signature = text.encode().split(b".")
        verify_es256(public(), header + b"." + payload, signature)
        found.append(make_link(at, parse_jose(header).ppt, parse_claims(payload)))
    assert found == [(A, (B,), None, 0), (A, (C,), "121555551213", 1), (A, (C,), "121555551213", 2)]
    assert refusal(find_chain, found, C) is Detail.DIV_CHAIN
    mended = [link._replace(div=B) if link.div else link for link in found]
    assert [link.at for link in find_chain(mended, C)] == [1, 0]

    (nested,) = unnest(read(vectors.RFC8946_DIV_O))
    assert isinstance(nested, Nested)
    assert f"{nested.signed.decode()}.{nested.signature.decode()}" == vectors.RFC8946_BASE
    verify_es256(public(), nested.signed, nested.signature)


def test_s022_we_write_the_token_of_the_rfc() -> None:
    """RFC 8946 §3.1: the same octets are signed; our signature is the deterministic one."""
    theirs = replace(CREDENTIAL, key=private(), x5u="https://www.example.com/cert.cer", not_before=0.0)
    value = sign_div(theirs, A, [C], "121555551213", 1443208345, 1443208345.0)
    header, payload, signature, parameters, _ = split_identity(value)
    assert header + b"." + payload == vectors.RFC8946_DIV.rpartition(".")[0].encode()
    verify_es256(public(), header + b"." + payload, signature)
    assert parse_parameters(parameters) == ("https://www.example.com/cert.cer", "ES256", "div", ())
    assert value == sign_div(theirs, A, [C], "121555551213", 1443208345, 1443208400.0)  # S-004


def test_s100_signing() -> None:
    value = sign_div(CREDENTIAL, A, ["sip:bob@example.com", D, C, D], B, int(NOW), NOW)
    header, payload, signature, parameters, _ = split_identity(value)
    assert decode_segment(header).decode() == f'{{"alg":"ES256","ppt":"div","typ":"passport","x5u":"{X5U}"}}'
    assert decode_segment(payload).decode() == (
        '{"dest":{"tn":["12155551214","12155551215"],"uri":["sip:bob@example.com"]},'
        '"div":{"tn":"12155551213"},"iat":1800000000,"orig":{"tn":"12155551212"}}'
    )
    verify_es256(LAB.leaf.key.public_key(), header + b"." + payload, signature)
    assert parameters.decode() == f";info=<{X5U}>;alg=ES256;ppt=div"
    assert value.decode().endswith(parameters.decode())
    before = Link(A, (B,), None, 0)
    assert find_chain([before, make_link(1, "div", parse_claims(payload))], D)[-1] is before


def test_s100_signing_for_a_uri() -> None:
    payload = split_identity(sign_div(CREDENTIAL, "sip:a@x", [B], "sip:b@x", int(NOW), NOW))[1]
    assert read(f".{payload.decode()}.") == {
        "dest": {"tn": [B]},
        "div": {"uri": "sip:b@x"},
        "iat": 1_800_000_000,
        "orig": {"uri": "sip:a@x"},
    }


@pytest.mark.parametrize(
    ("iat", "now"),
    [
        (CREDENTIAL.not_before - 1, NOW),
        (NOW, CREDENTIAL.not_before - 1),
        (CREDENTIAL.not_after + 1, NOW),
        (NOW, CREDENTIAL.not_after + 1),
    ],
)
def test_s051_no_signing_outside_the_validity_of_the_certificate(iat: float, now: float) -> None:
    with pytest.raises(SigningError) as caught:
        sign_div(CREDENTIAL, A, [C], B, int(iat), now)
    assert caught.value.detail is Detail.CREDENTIAL_EXPIRED
