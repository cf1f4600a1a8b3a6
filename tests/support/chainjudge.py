"""openssl as judge of chains of others, and why the filter refuses some that it believes."""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sbc_filter.errors import CertificateError
from sbc_filter.outcomes import Detail
from sbc_filter.pki.certificate import Certificate, leaf_of
from support.chains import as_pem

REASONS = {
    Detail.TNAUTHLIST: "TNAuthList",
    Detail.CERTIFICATE_PROFILE: "Profile",
    Detail.CRITICAL_EXTENSION: "Extension",
    Detail.CERTIFICATE_KEY: "Key",
    Detail.CERTIFICATE_UNREADABLE: "Form",
}
"""By detail, the name of the reason in docs/certificates.md for which a chain is refused that openssl believes."""
_ABOUT_THE_LEAF = "the key of the leaf is not on the curve P-256"


def believes(chain: Sequence[Certificate], anchors: Sequence[Certificate], at: float) -> bool:
    """Whether openssl believes the leaf of a chain with these anchors at a time (POSIX seconds)."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, certificates in (("leaf", [leaf_of(chain)]), ("others", chain), ("anchors", anchors)):
            (folder / name).write_bytes(b"".join(as_pem(each.encoded) for each in certificates))
        files = ("-CAfile", folder / "anchors", "-untrusted", folder / "others", folder / "leaf")
        command = ("openssl", "verify", "-partial_chain", "-attime", str(int(at)), *files)
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def explained(error: CertificateError) -> str:
    """The reason in docs/certificates.md; empty if there is none for this error."""
    assert isinstance(error.detail, Detail)
    if error.detail is Detail.CERTIFICATE_KEY and str(error) != _ABOUT_THE_LEAF:
        return ""
    return REASONS.get(error.detail, "")
