"""The state of the trust lists and the CRLs, as lines of `sbc-filter check`."""

from collections.abc import Iterator

from sbc_filter.records.tally import numbered
from sbc_filter.trust.trust_files import InForce, TrustFiles, named
from sbc_filter.utc import utc_text

_UNITS = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second"))


def list_states(files: TrustFiles, now: float) -> Iterator[str]:
    """One line for each list (origin, age, expiry), and for each that is configured but not fetched yet."""
    settings = files.configuration.trust
    for each in files.trust_lists:
        if (listed := each.current) is not None:
            count = numbered(len(listed.anchors), "anchor")
            yield f"list     {each.where}: sequence {listed.sequence}, {count}, {_end('valid', listed.expires, now)}"
        else:
            yield f"list     {each.where}: no good list"
    for crl in files.lists:
        yield f"CRL      {_crl(files, crl, now)}"
    there = {each.where for each in files.lists}
    for url in settings.crl_urls:
        if url not in there:
            yield f"CRL      {url}: not fetched yet: `run` does"
    if settings.crl_policy == "hard" and not files.lists:
        yield "         warning: without any CRL no certificate is believed, for crl_policy is hard"


def _crl(files: TrustFiles, each: InForce, now: float) -> str:
    crl = each.crl
    assert crl.next_update is not None, "no other list is in use"
    end = _end("next update", crl.next_update, now)
    signer = files.store.signer(crl)
    if signer is not None:
        signed = f"signed by {signer.parsed.subject.rfc4514_string()}"
        if not files.store.is_appointed(signer):
            signed += ", for certificates that it issued or that name it as cRLIssuer"
    else:
        signed = f"counts only in chains with its signer, {crl.issuer.rfc4514_string()}"
    origin = ", named by certificates" if each.point else ""
    return (
        f"{each.where}{origin}: {named(crl)} ({_span(now - crl.this_update)} old), {end},"
        f" {numbered(len(crl), 'certificate')} revoked; {signed}"
    )


def _end(what: str, end: float, now: float) -> str:
    if end < now:
        return f"EXPIRED on {utc_text(end)} UTC"
    return f"{what} {'until ' if what == 'valid' else ''}{utc_text(end)} UTC, in {_span(end - now)}"


def _span(seconds: float) -> str:
    """A duration in its largest unit."""
    size, unit = next((each for each in _UNITS if seconds >= each[0]), _UNITS[-1])
    return numbered(int(seconds // size), unit)
