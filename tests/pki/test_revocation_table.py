"""RFC 5280 §5.3: the entries of a list, however many, and what an attacker may write there."""

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from support.chains import LAB, ROOT, crl, make, name
from support.large_lists import carrier, certificate_issuer, entry, extension, many, signed, utc_time

from sbc_filter.errors import CertificateError
from sbc_filter.pki import der, revocation_table
from sbc_filter.pki.certificate import Certificate, name_key
from sbc_filter.pki.crl import CrlHead, RevocationList
from sbc_filter.pki.revocation_table import RevocationTable, name_digest, row_of

SIGNER = make(None, "signer", ca=True, usage="key_cert_sign crl_sign")
A, B, OWN = name("A"), name("B"), SIGNER.certificate.subject
OF_A, OF_B, OF_A_AND_B = certificate_issuer(A), certificate_issuer(B), certificate_issuer(A, B)
REMOVED, HELD = (extension("15", bytes.fromhex(f"0a01{reason}")) for reason in ("08", "06"))
SINCE = extension("18", b"\x18\x0f20260101000000Z")


def listed(octets: bytes, *issuers: x509.Name) -> list[tuple[str, int]]:
    """The small serial numbers that a list has, of these issuers."""
    found = RevocationList.parse(octets)
    names = [(each.rdns[0].rfc4514_string(), name_digest(name_key(each))) for each in issuers]
    pairs = [
        (common, serial) for common, digest in names for serial in range(1, 9) if row_of(digest, serial) in found._table
    ]
    assert len(found) == len(pairs)
    return pairs


@pytest.mark.parametrize(
    ("entries", "indirect", "plain"),
    [
        ([], [], []),
        ([entry(b"\1"), entry(b"\1", HELD)], [("CN=signer", 1)], [("CN=signer", 1)]),
        ([entry(b"\1", REMOVED), entry(b"\2", SINCE)], [("CN=signer", 2)], [("CN=signer", 2)]),
        # §5.3.3: it stays for the entries that follow, also if its own revokes nothing
        ([entry(b"\1", OF_A), entry(b"\2"), entry(b"\3", OF_B), entry(b"\4")],
         [("CN=A", 1), ("CN=A", 2), ("CN=B", 3), ("CN=B", 4)], [("CN=signer", 2), ("CN=signer", 4)]),
        ([entry(b"\1", OF_A, REMOVED), entry(b"\2")], [("CN=A", 2)], [("CN=signer", 2)]),
        ([entry(b"\1", OF_A_AND_B), entry(b"\2")],
         [("CN=A", 1), ("CN=A", 2), ("CN=B", 1), ("CN=B", 2)], [("CN=signer", 2)]),
        ([entry(b"\1", certificate_issuer(A, OWN))], [("CN=A", 1), ("CN=signer", 1)], [("CN=signer", 1)]),
        ([entry(b"\1", HELD, SINCE, OF_A), entry(b"\2", SINCE)], [("CN=A", 1), ("CN=A", 2)], [("CN=signer", 2)]),
    ],
)  # fmt: skip
def test_which_certificates_entries_name(
    entries: list[bytes], indirect: list[tuple[str, int]], plain: list[tuple[str, int]]
) -> None:
    assert listed(signed(SIGNER, entries), A, B, OWN) == indirect
    assert listed(signed(SIGNER, entries, idp=b""), A, B, OWN) == plain


def test_it_agrees_with_the_library() -> None:
    """A list of both readers: serial numbers of all lengths and signs, names in other letters and spaces."""
    serials = [1, 127, 128, 255, 256, 2**64 - 1, 2**158, LAB.leaf.certificate.serial_number]
    made: Any = crl(ROOT, *((serial, carrier(serial % 3)) for serial in serials))
    found = RevocationList.of(made)
    for each in made:
        (issuer,) = each.extensions.get_extension_for_class(x509.CertificateIssuer).value.get_values_for_type(
            x509.DirectoryName
        )
        assert row_of(name_digest(name_key(issuer)), each.serial_number) in found._table
    assert len(found) == len(serials)
    negative = RevocationList.parse(signed(SIGNER, [entry(b"\x80"), entry(b"\xff\x7f"), entry(b"\xff")], idp=b""))
    own = name_digest(name_key(OWN))
    assert [row_of(own, serial) in negative._table for serial in (-128, -129, -1, 128, 127)] == [
        *(True, True, True, False, False)
    ]


DATE = utc_time(1.8e9)
STRANGE = der.encode(0x30, bytes.fromhex("06032a0304 0402 0500"))


def critical(extension: bytes) -> bytes:
    oid, value = der.elements(der.only(extension, 0x30))
    return der.encode(0x30, oid.encoded + bytes.fromhex("0101ff") + value.encoded)


LONG = der.encode(0x30, der.encode(0x30, bytes.fromhex("06032a0304") + der.encode(0x04, b"x" * 300)))


@pytest.mark.parametrize(
    "odd",
    [
        b"\x31\x03\x02\x01\x01",  # a set
        der.encode(0x30, b""),
        der.encode(0x30, b"\x02\x01\x01"),  # no date
        der.encode(0x30, DATE + b"\x02\x01\x01"),
        der.encode(0x30, b"\x02\x00" + DATE),  # no octet of a serial number
        der.encode(0x30, b"\x02\x02\x00\x01" + DATE),  # not minimal
        der.encode(0x30, b"\x02\x02\xff\x81" + DATE),
        der.encode(0x30, b"\x02\x81\x01\x01" + DATE),
        der.encode(0x30, b"\x02\x20\x01" + DATE),  # longer than the entry
        der.encode(0x30, b"\x02\x81\x80" + b"\1" * 128 + DATE),  # longer than any serial number
        der.encode(0x30, b"\x02\x01\x01" + der.encode(0x17, b"2701150800Z")),
        der.encode(0x30, b"\x02\x01\x01" + der.encode(0x17, b"27011508000xZ")),
        der.encode(0x30, b"\x02\x01\x01" + der.encode(0x17, b"2701150800000")),
        der.encode(0x30, b"\x02\x01\x01" + der.encode(0x16, b"270115080000Z")),
        der.encode(0x30, b"\x02\x01\x01" + DATE + b"\x05\x00"),  # NULL for the extensions
        der.encode(0x30, b"\x02\x01\x01" + DATE + der.encode(0x30, HELD) + b"\x00"),
        b"\x30\x81\x12\x02\x01\x01" + DATE,  # a length that is not minimal
        b"\x30\x7f\x02\x01\x01" + DATE,  # longer than the list
        entry(b"\1", HELD, HELD),  # an extension twice
        entry(b"\1", extension("1d", b"\x30\x00")),  # certificateIssuer without a name
        entry(b"\1", extension("1d", b"\x05\x00")),
        entry(b"\1", certificate_issuer()),
        entry(b"\1", der.encode(0x30, bytes.fromhex("0603551d15 010100 0403 0a0106"))),  # an explicit default
        entry(b"\1", der.encode(0x30, bytes.fromhex("0603551d15"))),
        entry(b"\1", der.encode(0x30, b"")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("behind", [[], [entry(b"\7")] * 9])
def test_a_malformed_entry_makes_the_list_unreadable(odd: bytes, behind: list[bytes]) -> None:
    with pytest.raises(CertificateError) as caught:
        RevocationList.parse(signed(SIGNER, [entry(b"\6"), odd, *behind]))
    assert str(caught.value).startswith("the CRL cannot be read: ")


def test_long_entries() -> None:
    serial = b"\1" * 20
    table = RevocationList.parse(
        signed(SIGNER, [der.encode(0x30, der.encode(2, serial) + DATE + LONG)], idp=b"")
    )._table
    assert row_of(name_digest(name_key(OWN)), int.from_bytes(serial, "big")) in table
    assert table.understood


@pytest.mark.parametrize(
    ("extensions", "understood"),
    [
        ([[HELD]], True),
        ([[critical(SINCE)], [critical(HELD)]], True),  # RFC 5280 §5.3.1, §5.3.2: known, though never critical
        ([[STRANGE]], True),
        ([[critical(STRANGE)], [HELD]], False),
        ([[HELD], [HELD, critical(STRANGE)]], False),
    ],
)
def test_unknown_critical_extensions_of_any_entry(extensions: list[list[bytes]], understood: bool) -> None:
    entries = [entry(bytes((at,)), *each) for at, each in enumerate(extensions, 1)]
    assert RevocationList.parse(signed(SIGNER, entries))._table.understood is understood


def test_what_the_limits_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of few octets must not make a large table, nor have the library read very many names."""
    monkeypatch.setattr(revocation_table, "MAX_ROWS", 20)
    monkeypatch.setattr(revocation_table, "MAX_ISSUERS", 4)
    names = [carrier(at) for at in range(5)]
    rows = [entry(b"\1", certificate_issuer(*names[:4])), *(entry(bytes((at,))) for at in range(2, 7))]
    cases = {
        "rows": rows,
        "issuers": [entry(b"\1", certificate_issuer(each)) for each in names],
        "names": [entry(b"\1", certificate_issuer(*names[:4])), entry(b"\1", certificate_issuer(names[4]))],
        "octets": [entry(b"\1"), entry(b"\1", certificate_issuer(*names * 90))],
    }
    why = {}
    for case, entries in cases.items():
        with pytest.raises(CertificateError) as caught:
            RevocationList.parse(signed(SIGNER, entries))
        why[case] = str(caught.value).removeprefix("the CRL cannot be read: ")
        RevocationList.parse(signed(SIGNER, entries[:-1]))
    assert why == {
        "rows": "more than 20 entries",
        "issuers": "more than 4 different issuers of certificates",
        "names": "more than 4 different issuers of certificates",
        "octets": "an entry that is too long",
    }


def test_what_is_not_the_structure_of_a_list() -> None:
    """A second list of entries, which another reader might read; a head that is as long as only entries may be."""
    good = signed(SIGNER, [entry(b"\1")], idp=b"")
    (octets, *rest) = der.elements(der.only(good, 0x30))
    parts = [each.encoded for each in der.elements(octets.content)]
    assert [each[0] for each in parts] == [0x02, 0x30, 0x30, 0x17, 0x17, 0x30, 0xA0]
    more = der.encode(0x30, entry(b"\2"))

    def fault(*inside: bytes) -> str:
        try:
            RevocationList.parse(
                der.encode(0x30, der.encode(0x30, b"".join(inside)) + rest[0].encoded + rest[1].encoded)
            )
        except CertificateError as error:
            return str(error).removeprefix("the CRL cannot be read: ")
        return ""

    assert fault(*parts) == ""
    assert fault(*parts[:6], more, parts[6]) == "something other than extensions follows the entries"
    assert fault(*parts[:5], parts[6], more) != ""
    assert fault(*parts[:6]) == fault(*parts[:5]) == fault(*parts[:5], b"\x30\x00", parts[6]) == ""
    names = b"".join(der.encode(0x31, der.encode(0x30, b"\x06\x03\x55\x04\x03\x0c\x01a")) for _ in range(6000))
    assert fault(*parts[:2], der.encode(0x30, names), *parts[3:]) == "it is too long without its entries"


def test_entries_are_read_after_the_check() -> None:
    """Of a list that may not be used, no entry is looked at."""
    seen: list[tuple[int | None, bool]] = []

    def check(head: CrlHead) -> None:
        seen.append((head.number, head.signer_among([Certificate.of(SIGNER.certificate)]) is not None))
        raise ValueError("not this one")

    with pytest.raises(ValueError, match="not this one"):
        RevocationList.parse(signed(SIGNER, [b"\x05\x00"], number=7), check)
    assert seen == [(7, True)]


def test_a_compiled_list_is_the_same_list() -> None:
    made = RevocationList.parse(signed(SIGNER, many(2000), number=5))
    octets = made.compile()
    again = RevocationList.compiled(octets)
    assert (again.number, again.this_update, again.next_update, len(again)) == (
        *(5, made.this_update, made.next_update, 2000),
    )
    assert again.is_for_the_same(made)
    assert again.signer_among([Certificate.of(SIGNER.certificate)]) is not None
    assert again.compile() == octets
    for end in (0, 10, 17, 60):
        with pytest.raises(ValueError, match="it is damaged"):
            RevocationList.compiled(octets[:end])
    with pytest.raises(ValueError, match="it is damaged"):
        RevocationList.compiled(b"x" + octets[1:])


def test_rows_are_found_at_both_ends() -> None:
    rows = [bytes((at,)) * 16 for at in (0, 1, 7, 254, 255)]
    table = RevocationTable(b"".join(rows), True)
    assert [bytes((at,)) * 16 in table for at in range(256)] == [at in (0, 1, 7, 254, 255) for at in range(256)]
    assert rows[0] not in RevocationTable(b"", True)


def test_a_list_in_pem_with_other_text() -> None:
    text = b"Certificate Revocation List\r\n" + LAB.crl.public_bytes(Encoding.PEM).replace(b"\n", b"\r\n") + b"end"
    assert RevocationList.parse(text).issuer == ROOT.certificate.subject
