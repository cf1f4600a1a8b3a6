"""The forms in which an SBC names caller and called party in a call that we sign, and the claims that they become.

Judges that share no code with us (secsipid, and PyJWT with openssl) have to accept the token of every row.
"""

from typing import NamedTuple

from support.calls import CALLED, CALLER, SIGN, invite

ORIG, DEST = {"tn": CALLER}, {"tn": [CALLED]}
FROM, TO = f"<sip:+{CALLER}@carrier.example>", f"<sip:+{CALLED}@sbc.example>"
URI = f"sip:+{CALLED}@192.0.2.1"


class Form(NamedTuple):
    """An INVITE without a token, and what its token says. `names` are the names of From and To as written."""

    sender: str = FROM
    to: str = TO
    headers: tuple[str, ...] = ()
    orig: dict[str, str] = ORIG
    dest: dict[str, list[str]] = DEST
    uri: str = URI
    names: tuple[str, str] = ("From", "To")

    def message(self) -> bytes:
        """The INVITE as the SBC sends it."""
        text = invite(*self.headers).decode()
        for old, new in (
            (f"From: {FROM}", f"{self.names[0]}: {self.sender}"),
            (f"To: {TO}", f"{self.names[1]}: {self.to}"),
            (f"INVITE {URI} ", f"INVITE {self.uri} "),
        ):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return text.encode()


NOBODY = "<sip:anonymous@anonymous.invalid>"
PAI = "P-Asserted-Identity: "
FRENCH, BRITISH = {"tn": "33123456789"}, {"tn": ["442079460123"]}

CALLERS: dict[str, Form] = {
    "sip": Form(),
    "sip, user=phone": Form(f"<sip:+{CALLER}@h;user=phone>"),
    "sips": Form(f"<sips:+{CALLER}@h>"),
    "scheme in capitals": Form(f"<SIP:+{CALLER}@h>"),
    "tel": Form(f"<tel:+{CALLER}>"),
    "tel with separators": Form("<tel:+1-215-555.0100>"),
    "tel with brackets": Form("<tel:+1(215)5550100>"),
    "tel with a local context": Form("<tel:2155550100;phone-context=+1>"),
    "national": Form("<sip:2155550100@h;user=phone>"),
    "national without user=phone": Form("<sip:2155550100@h>"),
    "with 1 in front": Form(f"<sip:{CALLER}@h>"),
    "international prefix": Form("<sip:01133123456789@h;user=phone>", orig=FRENCH),
    "international": Form("<sip:+33123456789@h>", orig=FRENCH),
    "escaped plus": Form(f"<sip:%2B{CALLER}@h>"),
    "escaped digits": Form("<sip:+%31%32155550100@h>"),
    "separators in sip": Form("<sip:+1-215-555-0100@h;user=phone>"),
    "port and parameters": Form(f"<sip:+{CALLER}@h:5070;transport=udp;x=y>;z"),
    "password": Form(f"<sip:+{CALLER}:secret@h>"),
    "cpc": Form(f"<sip:+{CALLER};cpc=ordinary@h;user=phone>"),
    "npdi and rn": Form(f"<sip:+{CALLER};npdi;rn=+16095550000@h;user=phone>"),
    "tel with npdi and rn": Form(f"<tel:+{CALLER};npdi;rn=+16095550000>"),
    "isub": Form(f"<tel:+{CALLER};isub=12345>"),
    "display name": Form(f'"Acme Widgets" <sip:+{CALLER}@h>'),
    "bare display name": Form(f"Acme Widgets <sip:+{CALLER}@h>"),
    "display name with comma and brackets": Form(f'"Widgets, <Acme> Inc." <sip:+{CALLER}@h>'),
    "display name with escapes": Form(f'"the \\"Acme\\" \\\\ Co" <sip:+{CALLER}@h>'),
    "display name in UTF-8": Form(f'"Café Zürich" <sip:+{CALLER}@h>'),
    "display name of another number": Form(f'"+12155550177" <sip:+{CALLER}@h>'),
    "without brackets": Form(f"sip:+{CALLER}@h"),
    "compact name": Form(names=("f", "t")),
    "PAI": Form(headers=(f"{PAI}<sip:+12155550111@h>",), orig={"tn": "12155550111"}),
    "PAI of an anonymous caller": Form(NOBODY, headers=(f"{PAI}<tel:+{CALLER}>",)),
    "PAI, tel and sip": Form(NOBODY, headers=(f"{PAI}<tel:+{CALLER}>, <sip:+{CALLER}@h>",)),
    "PAI, a name and tel": Form(NOBODY, headers=(f'{PAI}"Acme" <sip:acme@h>, <tel:+{CALLER}>',)),
    "PAI in two fields": Form(NOBODY, headers=(f"{PAI}<sip:acme@h>", f"{PAI}<tel:+{CALLER}>")),
    "PAI without a number": Form(headers=(f"{PAI}<sip:acme@h>",)),
    "PAI in a folded field": Form(NOBODY, headers=(f'P-Asserted-Identity:\r\n "Acme"\r\n <tel:+{CALLER}>',)),
    "caller withheld": Form(headers=("Privacy: id",)),
}
CALLED_PARTIES: dict[str, Form] = {
    "to tel": Form(to=f"<tel:+{CALLED}>"),
    "to tel with separators": Form(to="<tel:+1-215-555-0199>"),
    "to sip, user=phone": Form(to=f"<sip:+{CALLED}@h;user=phone>"),
    "to a national number": Form(to="<sip:2155550199@h;user=phone>"),
    "to a national number without user=phone": Form(to="<sip:2155550199@h>"),
    "to an international prefix": Form(to="<sip:011442079460123@h;user=phone>", dest=BRITISH),
    "to another country": Form(to="<sip:+442079460123@h>", dest=BRITISH),
    "to a long number": Form(to="<sip:+4930123456789012@h>", dest={"tn": ["4930123456789012"]}),
    "to an emergency number": Form(to="<sip:911@h>", dest={"tn": ["911"]}),
    "to an emergency service": Form(to="<urn:service:sos>", dest={"uri": ["urn:service:sos"]}),
    "to a short code": Form(to="<sip:3900@h>", dest={"uri": ["sip:3900@h"]}),
    "to a short code as number": Form(to="<sip:3900@h;user=phone>", dest={"tn": ["3900"]}),
    "to a feature code": Form(to="<sip:*67@h;user=phone>", dest={"tn": ["*67"]}),
    "to a toll-free number": Form(to="<sip:+18005550199@h>", dest={"tn": ["18005550199"]}),
    "to a ported number": Form(to=f"<sip:+{CALLED};npdi;rn=+16095550000@h;user=phone>"),
    "to tel, ported": Form(to=f"<tel:+{CALLED};npdi;rn=+16095550000>"),
    "to a name": Form(to="<sip:bob@h>", dest={"uri": ["sip:bob@h"]}),
    "to an extension": Form(to="<sip:1001@h>", dest={"uri": ["sip:1001@h"]}),
    "to a display name": Form(to=f'"Bob \\"B\\"" <sip:+{CALLED}@h>'),
    "to escaped": Form(to="<sip:%2B1%32155550199@h>"),
    "to without brackets": Form(to=f"sip:+{CALLED}@h"),
    "retargeted": Form(uri="sip:+12155550300@192.0.2.1"),
    "diverted by the SBC": Form(
        uri="sip:+12155550300@192.0.2.1",
        headers=(f"Diversion: <sip:+{CALLED}@sbc.example>;reason=no-answer",),
    ),
}
FORMS = CALLERS | CALLED_PARTIES

DIV_RULES = SIGN.replace(f'["{CALLER}"]', f'["{CALLED}", "3900"]') + "div = true\n"
DIVERSIONS = {
    # To, Request-URI, dest of the token that is there: dest and div of ours
    "to sip": (TO, "sip:+12155550300@h", DEST, {"tn": ["12155550300"]}, {"tn": CALLED}),
    "to tel": (TO, "tel:+12155550300", DEST, {"tn": ["12155550300"]}, {"tn": CALLED}),
    "to a national number": (TO, "sip:2155550300@h;user=phone", DEST, {"tn": ["12155550300"]}, {"tn": CALLED}),
    "to an international prefix": (TO, "sip:011442079460123@h;user=phone", DEST, BRITISH, {"tn": CALLED}),
    "to a ported number": (
        *(TO, "sip:+12155550300;npdi;rn=+16095550000@h;user=phone", DEST),
        *({"tn": ["12155550300"]}, {"tn": CALLED}),
    ),
    "to a short code": (TO, "sip:3901@h;user=phone", DEST, {"tn": ["3901"]}, {"tn": CALLED}),
    "to a short code without user=phone": (TO, "sip:3901@h", DEST, {"uri": ["sip:3901@h"]}, {"tn": CALLED}),
    "to a name": (TO, "sip:bob@h", DEST, {"uri": ["sip:bob@h"]}, {"tn": CALLED}),
    "from tel": (f"<tel:+{CALLED}>", "sip:+12155550300@h", DEST, {"tn": ["12155550300"]}, {"tn": CALLED}),
    "from a national number": (
        *("<sip:2155550199@h;user=phone>", "sip:+12155550300@h", DEST),
        *({"tn": ["12155550300"]}, {"tn": CALLED}),
    ),
    "from a short code": (
        *("<sip:3900@h>", "sip:+12155550300@h", {"tn": ["3900"]}),
        *({"tn": ["12155550300"]}, {"tn": "3900"}),
    ),
}
