"""Where real certificates depart from their profile (S-082, STANDARDS §19): a closed list of names."""

from enum import StrEnum


class Deviation(StrEnum):
    """One way to depart from the profile. `TOLERABLE` are refused unless the operator says otherwise."""

    NULL_PARAMETERS = "null-parameters"  # NULL beside ecdsa-with-SHA…, which RFC 5758 §3.2 forbids
    CHAIN_ORDER = "chain-order"  # not the leaf first and each issuer behind what it issued
    POLICY = "policy"  # no certificate policy of SHAKEN, or one from before those of 2022
    NO_CRL_ISSUER = "no-crl-issuer"  # no distribution point that names the issuer of the CRL
    COMMON_NAME = "common-name"  # "SHAKEN" or the SPC is missing in the leaf's common name
    TNAUTHLIST_ENCODING = "tnauthlist-encoding"  # implicit tags, or an SPC as an untagged PrintableString
    DER_BODY = "der-body"  # one certificate in DER where PEM belongs
    ISSUER_KEYS = "issuer-keys"  # an issuer with RSA or P-384, or a signature with SHA-384 or SHA-512


TOLERABLE = frozenset({Deviation.TNAUTHLIST_ENCODING, Deviation.DER_BODY, Deviation.ISSUER_KEYS})
NONE: frozenset[str] = frozenset()
