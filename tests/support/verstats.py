"""A planted verstat in all spellings, and a judge who does not share our pattern.

The judge undoes percent escapes as lenient stacks do, once or not at all, and looks for the parameter.
"""

import re
from urllib.parse import unquote_to_bytes

CLAIM = "TN-Validation-Passed"
# A parameter as a peer may write it; each is a verstat for who reads it as it stands, or with its escapes undone.
SPELLINGS = (
    f";verstat={CLAIM}",
    f";VerStat={CLAIM}",
    f"%3bverstat={CLAIM}",
    f"%3Bverstat={CLAIM}",
    f";verstat%3d{CLAIM}",
    f";verstat%3D{CLAIM}",
    f"%3bverstat%3d{CLAIM}",
    f"%3BVERSTAT%3D{CLAIM}",
    f";%76erstat={CLAIM}",
    f";%56erstat%3d{CLAIM}",
    f";ver%73tat%3D{CLAIM}",
    f";versta%74%3d{CLAIM}",
    f";versta%54%3d{CLAIM}",
    f"%3b%76%65%72%73%74%61%74%3d{CLAIM}",
    f"%3B%56%45%52%53%54%41%54%3D{CLAIM}",
    ";verstat%3d%54N-Validation-Passed",
    ";verstat%3d%54%4e%2dValidation%2DPassed",
    f";verstat%3d%22{CLAIM}%22",
    f"%3bverstat%3d%22{CLAIM}%22",
    f";verstat%3d%3d{CLAIM}",
    f";verstat%3d={CLAIM}",
    f";verstat=%3d{CLAIM}",
    ";verstat%3d",
    "%3bverstat%3d",
    ";verstat",
    "%3bverstat",
    ";verstat%3bx",
    "%3bverstat%3bx%3d1",
    ";verstat%2cx",
    f";verstat%20={CLAIM}",
    f";verstat%20%3d{CLAIM}",
    f";verstat%3d%20{CLAIM}",
    f";%20verstat%3d{CLAIM}",
    f"%3b%20verstat%20%3d%20{CLAIM}",
    f";%09verstat%09%3d{CLAIM}",
    f";%0d%0a%20verstat%3d{CLAIM}",
    f";%00verstat%3d{CLAIM}",
    f";\x0bverstat%3d{CLAIM}",
    f";\x01verstat\x7f%3d{CLAIM}",
    f";x=1;verstat%3d{CLAIM}",
    f";x=1;verstat%3d{CLAIM};y=2",
    f";x%3d1%3bverstat%3d{CLAIM}%3by%3d2",
    # More than one: what is cut out of them must not leave another.
    f";verstat%3d{CLAIM};verstat%3d{CLAIM}",
    f";verstat%3d{CLAIM}%3bverstat%3d{CLAIM}",
    f"%3bverstat%3d{CLAIM};verstat={CLAIM}",
    f";verstat%3bverstat%3d{CLAIM}",
    f";;verstat%3dx%3bverstat={CLAIM}",
    f";verstat;verstat%3d{CLAIM}",
    f";%3bverstat%3d{CLAIM}",
    f";verstat%3dx:verstat%3d{CLAIM}",
    f";verstat%3dx%40;verstat%3d{CLAIM}",
    f";%3;verstat%3dx;bverstat%3d{CLAIM}",
)
_ESCAPED_OR_NOT = (bytes, unquote_to_bytes)
_PARAMETER = re.compile(rb";[\0-\x20\x7f-\xff]*verstat[\0-\x20\x7f-\xff]*(?:=[^;:>@\r\n]*|(?![!%*+.`'~\w-]))", re.I)


def seen_by_others(message: bytes) -> list[bytes]:
    """Every verstat that another reader finds before the body."""
    head = message.partition(b"\r\n\r\n")[0]
    return [found for undone in _ESCAPED_OR_NOT for found in _PARAMETER.findall(undone(head))]
