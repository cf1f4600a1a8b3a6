"""Several Identity headers in one INVITE: which of them counts (S-063, S-064, S-077)."""

import pytest
from support.calls import VERIFY, arriving, claims, identity, invite, make_engine, result, status
from support.verifying import BAD, OLD, RPH, UNFETCHABLE, UNTRUSTED, V403, V436, V437, V438


@pytest.mark.parametrize("attested", ["AB", "BA", "CB", "BC", "CAB", "BCA"])
def test_s077_of_several_tokens_the_best_attested_counts(attested: str) -> None:
    _, _, record = result(make_engine(VERIFY), arriving(invite(*(identity(claims(attest=each)) for each in attested))))
    assert (record["outcome"], record["attest"], record["identities"]) == ("passed", min(attested), len(attested))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((UNFETCHABLE, UNFETCHABLE), V436),  # 436 only if all were out of reach
        ((UNFETCHABLE, UNTRUSTED), V437),
        ((UNTRUSTED, UNFETCHABLE), V437),
        ((UNTRUSTED, BAD), V438),
        ((UNFETCHABLE, BAD), V438),
        ((OLD, UNTRUSTED), V403),
        ((OLD, UNFETCHABLE), V403),
        ((OLD, BAD), V438),
        ((RPH, UNFETCHABLE), V436),  # S-062: ignored, neither good nor bad
        ((RPH, RPH), "428 Use Supported PASSporT Format"),
    ],
)
def test_s064_the_code_for_several_headers(headers: tuple[str, ...], expected: str) -> None:
    on = "".join(
        f'{outcome} = "reject"\n' for outcome in ("no-identity", "stale", "unfetchable", "untrusted", "invalid")
    )
    for each in (headers, headers[::-1]):
        assert status(result(make_engine(f"{VERIFY}[rule.on]\n{on}"), arriving(invite(*each)))[1]) == expected
