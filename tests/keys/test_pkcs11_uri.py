"""RFC 7512: which key on which token. What is no such name is refused in one sentence, without a PIN in it."""

import pytest

from sbc_filter.keys.pkcs11_uri import Pkcs11Uri, parse_pkcs11_uri

TOKEN = {"token": "STIR", "serial": "42", "manufacturer": "SoftHSM project", "model": "SoftHSM v2"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pkcs11:token=STIR;object=shaken", Pkcs11Uri("STIR", object="shaken")),
        ("pkcs11:object=shaken;token=STIR;type=private", Pkcs11Uri("STIR", object="shaken")),
        ("pkcs11:serial=42;id=%A1%00", Pkcs11Uri(serial="42", id=b"\xa1\0")),
        ("pkcs11:token=The%20token;object=%C3%BC", Pkcs11Uri("The token", object="ü")),
        (
            "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=42;token=STIR;id=%a1;object=s;type=private",
            Pkcs11Uri("STIR", "42", "SoftHSM project", "SoftHSM v2", "s", b"\xa1"),
        ),  # as p11tool --list-all prints it
    ],
)  # fmt: skip
def test_a_key(text: str, expected: Pkcs11Uri) -> None:
    assert parse_pkcs11_uri(text) == expected


NO_URI = "is not a URI such as pkcs11:token=STIR;object=shaken (RFC 7512)"
NAMES = "has to name a token (token=… or serial=…) and a key on it (object=… or id=…)"
QUERY = "has a query: say `pin` and `pkcs11_module` in keys of their own"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("pkcs11:", NO_URI),
        ("pkcs11:token", NO_URI),
        ("pkcs11:token=STIR;", NO_URI),
        ("pkcs11:token=STIR,object=shaken", NAMES),  # a comma belongs to the value
        ("pkcs11:token=a b;object=c", NO_URI),
        ("pkcs11:token=%4;object=c", NO_URI),
        ("pkcs11:token=STIR", NAMES),
        ("pkcs11:object=shaken", NAMES),
        ("pkcs11:model=m;object=shaken", NAMES),
        ("pkcs11:token=STIR;object=a;object=b", "has the attribute 'object' twice"),
        ("pkcs11:token=STIR;object=a;type=cert", "names no private key: leave `type` out"),
        ("pkcs11:token=%FF;object=a", "is not in UTF-8"),
        (
            "pkcs11:slot-id=1;object=a",
            "has the attribute 'slot-id'; known here are token, serial, manufacturer, model, object, id, type",
        ),
        ("pkcs11:token=STIR;object=a?pin-value=271828", QUERY),
        ("pkcs11:token=STIR;object=a?", QUERY),
    ],
)
def test_what_is_none(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_pkcs11_uri(text)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("uri", "meant"),
    [
        (Pkcs11Uri("STIR"), True),
        (Pkcs11Uri(serial="42"), True),
        (Pkcs11Uri("STIR", "42", "SoftHSM project", "SoftHSM v2"), True),
        (Pkcs11Uri("stir"), False),
        (Pkcs11Uri("STIR", "43"), False),
    ],
)
def test_which_token(uri: Pkcs11Uri, meant: bool) -> None:
    assert uri.is_token(TOKEN) is meant
