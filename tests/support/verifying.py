"""INVITEs for the verification service: good and bad Identity headers, and what it answers them with."""

from typing import Any

from sbc_filter.lab.certificate_maker import X5U
from support.calls import LAB, NOW, claims, identity, invite

PASSED, FAILED, NOT_VALIDATED = "TN-Validation-Passed", "TN-Validation-Failed", "No-TN-Validation"
V438 = "438 Invalid Identity Header"
V437 = "437 Unsupported Credential"
V436 = "436 Bad Identity Info"
V403 = "403 Stale Date"
PARAMETERS = f"info=<{X5U}>;alg=ES256;ppt=shaken"
GOOD = identity()
TOKEN = GOOD.removeprefix("Identity: ").partition(";")[0]
SEGMENTS = TOKEN.split(".")
BAD = identity(key=LAB.root.key)
OLD = identity(claims(iat=int(NOW) - 61))
UNTRUSTED = identity(jose={"alg": "RS256"})
UNFETCHABLE = identity(jose={"x5u": "http://certificates.example.org/a.pem"})
RPH = identity({}, jose={"ppt": "rph"})


def jose(**changes: Any) -> bytes:
    return invite(identity(jose=changes))


def says(**changes: Any) -> bytes:
    return invite(identity(claims(**changes)))
