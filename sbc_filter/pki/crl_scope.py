"""For which certificates a CRL speaks: its issuer and its distribution point (RFC 5280 §5.2.5, §6.3.3 (b))."""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

from cryptography import x509

from sbc_filter.pki.certificate import PARSE_ERRORS, Certificate, NameKey, name_key

Names = frozenset[Hashable]


@dataclass(frozen=True, slots=True)
class CrlScope:
    """What a list covers, by its issuer and its extension issuingDistributionPoint.

    - `names`: those of its distribution point; None if the list covers all points.
    - `partial`: it covers some reasons only.
    """

    issuer: NameKey
    names: Names | None = None
    indirect: bool = False
    partial: bool = False
    users_only: bool = False
    authorities_only: bool = False
    attributes_only: bool = False

    @classmethod
    def of(cls, crl: x509.CertificateRevocationList) -> "CrlScope":
        """The scope of a list; one of `PARSE_ERRORS` when it is malformed."""
        issuer = name_key(crl.issuer)
        try:
            point = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
        except x509.ExtensionNotFound:
            return cls(issuer)
        names = None
        if point.full_name is not None:
            names = frozenset(map(_general_name, point.full_name))
        elif point.relative_name is not None:
            names = frozenset({_relative(crl.issuer, point.relative_name)})
        return cls(
            issuer,
            names,
            point.indirect_crl,
            point.only_some_reasons is not None,
            point.only_contains_user_certs,
            point.only_contains_ca_certs,
            point.only_contains_attribute_certs,
        )

    def may_revoke(self, certificate: Certificate, *, appointed: bool) -> bool:
        """Whether the list has authority over the certificate, whose entry then counts.

        That has a list of the certificate's issuer, one of the cRLIssuer of a distribution point if the list is
        indirect, and one of a signer that the operator `appointed`. The part that a list covers does not matter here:
        an authority that names a certificate revokes it.
        """
        if self.attributes_only:
            return False
        return appointed or self._is_of_issuer(certificate) or (self.indirect and self._is_named_by(certificate))

    def covers(self, certificate: Certificate, *, appointed: bool) -> bool:
        """Whether the list would name the certificate if it were revoked, for whatever reason (RFC 5280 §6.3.3 (b)).

        A list of an `appointed` signer fits any certificate but one that names another point of the same cRLIssuer.
        """
        other = self.users_only if certificate.is_ca() else self.authorities_only
        if self.partial or other or not self.may_revoke(certificate, appointed=appointed):
            return False
        own = self._is_of_issuer(certificate)
        if not (own or self.indirect):
            return False
        if appointed and not self._is_named_by(certificate):
            return True
        return any(self.names is None or self.names & names for names in self._points(certificate, own))

    def _is_of_issuer(self, certificate: Certificate) -> bool:
        return self.issuer == name_key(certificate.parsed.issuer)

    def _is_named_by(self, certificate: Certificate) -> bool:
        return any(_is_among(self.issuer, point.crl_issuer) for point in points_of(certificate))

    def _points(self, certificate: Certificate, own: bool) -> Iterator[Names]:
        """The names of the certificate's distribution points that belong to this list's issuer.

        A point for some reasons only does not count. The issuer of a certificate has a further point, of its own name
        (RFC 5280 §6.3.3, last paragraph).
        """
        issuer = certificate.parsed.issuer
        if own:
            yield frozenset({name_key(issuer)})
        for point in points_of(certificate):
            if point.reasons is not None:
                continue
            if _is_among(self.issuer, point.crl_issuer) if point.crl_issuer else own:
                yield _names_of(point, issuer)


def points_of(certificate: Certificate) -> tuple[x509.DistributionPoint, ...]:
    """The distribution points of a certificate (RFC 5280 §4.2.1.13).

    An extension that the library cannot read is not a fault of the certificate: it yields no point.
    """
    try:
        return tuple(certificate.extension(x509.CRLDistributionPoints) or ())
    except PARSE_ERRORS:
        return ()


def distribution_points(certificate: Certificate) -> tuple[str, ...]:
    """The URLs of the CRL that the certificate names, as written; with or without cRLIssuer (S-092)."""
    names = [name for point in points_of(certificate) for name in point.full_name or ()]
    return tuple(str(name.value) for name in names if isinstance(name, x509.UniformResourceIdentifier))


def _names_of(point: x509.DistributionPoint, issuer: x509.Name) -> Names:
    """The names of a distribution point; those of its cRLIssuer without any."""
    if point.full_name is not None:
        return frozenset(map(_general_name, point.full_name))
    above = next((each.value for each in point.crl_issuer or () if isinstance(each, x509.DirectoryName)), issuer)
    if point.relative_name is not None:
        return frozenset({_relative(above, point.relative_name)})
    return frozenset(map(_general_name, point.crl_issuer or ()))


def _is_among(name: NameKey, names: Iterable[x509.GeneralName] | None) -> bool:
    """Whether a cRLIssuer has this name. The order of its parts does not matter: authorities write that of the STI-PA
    in several."""
    wanted = frozenset(name)
    return any(
        isinstance(each, x509.DirectoryName) and frozenset(name_key(each.value)) == wanted for each in names or ()
    )


def _relative(above: x509.Name, last: x509.RelativeDistinguishedName) -> NameKey:
    return name_key(x509.Name([*above.rdns, last]))


def _general_name(name: x509.GeneralName) -> Hashable:
    """A key that is equal for equal names (RFC 5280 §7): scheme and host of a URL in any letter case."""
    if isinstance(name, x509.DirectoryName):
        return name_key(name.value)
    if isinstance(name, x509.UniformResourceIdentifier):
        scheme, mark, rest = name.value.partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme.lower()}{mark}{host.lower()}{slash}{path}"
    return repr(name)
