"""The rarely used keys of `[rule.sign]`: the SBC's say on the attestation, additional claims, calls left unsigned.

See STANDARDS §21: A10, A11, A16 to A18, A21; S-100, S-130.
"""

from dataclasses import replace
from typing import Any

from sbc_filter.rules.model import ATTESTATIONS, UNATTESTED, SignOptions
from sbc_filter.rules.toml_table import TomlTable
from sbc_filter.stir.rich_call_data import Unusable, read_rcd
from sbc_filter.stir.token import LEAST

# bytes of a packet: what every IPv4 host accepts (RFC 791), and the maximum of its length field
MIN_SIZE, MAX_SIZE = 576, 65535


def read_more(table: TomlTable, options: SignOptions) -> SignOptions:
    """The options with these keys added."""
    trust_sbc_attestation = table.flag("honour", options.trust_sbc_attestation)
    attest_max = table.choice("attest_max", ATTESTATIONS, options.attest_max)
    if attest_max != options.attest_max and not trust_sbc_attestation:
        table.problem("attest_max", "limits what the SBC asks for: it belongs to honour = true")
    div = table.flag("div", options.div)
    if div and options.listed is None:
        table.problem("div", "signs for your own numbers only: name them in `numbers`")
    if options.attest_unlisted == UNATTESTED and options.listed is None and not trust_sbc_attestation:
        table.problem("attest_unlisted", "is none and there are no `numbers`, so no call would be signed: add them")
    return replace(
        options,
        trust_sbc_attestation=trust_sbc_attestation,
        attest_max=attest_max,
        max_size=table.integer("max_size", MAX_SIZE, MIN_SIZE, MAX_SIZE) if "max_size" in table else None,
        skips_private=table.choice("privacy", ("sign", "skip"), "sign") == "skip",
        removes_reason=table.choice("reason", ("keep", "remove"), "keep") == "remove",
        claims=_claims(table),
        media_keys=table.flag("media_keys", options.media_keys),
        div=div,
        attest_impossible=table.choice("attest_impossible", (LEAST, UNATTESTED), options.attest_impossible),
    )


def _claims(table: TomlTable) -> dict[str, Any]:
    """The claims `rcd`, `rcdi` and `crn` (RFC 9795), in the form that a verifier accepts."""
    rich: dict[str, Any] = {}
    inner = table.table("rcd")
    name, icon, digest = inner.text("nam", required="rcd" in table), inner.text("icn"), inner.text("icn_digest")
    if name:
        rich["rcd"] = {"nam": name}
    if icon and digest:
        rich = {"rcd": {"icn": icon, "nam": name}, "rcdi": {"/icn": digest}}
    elif icon or digest:
        inner.problem(
            "icn", "and icn_digest need each other: an icon without its digest must not be shown (RFC 9795 §6)"
        )
    inner.close()
    reason = {"crn": table.text("crn")} if "crn" in table else {}
    for key, claims in (("rcd", rich), ("crn", reason)):
        read = read_rcd(claims)
        if isinstance(read, Unusable):
            table.problem(key, f"would never be shown: {read.why}")
        elif read is not None and "rcdi" in claims and read.icon is None:
            table.problem("rcd.icn", f"{icon!r} is not an https URL")
    return rich | reason
