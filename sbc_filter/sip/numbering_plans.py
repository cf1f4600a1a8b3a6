"""Numbering plans: how each country writes its telephone numbers (RFC 8224 §8.3; S-042, S-043)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """How a country writes numbers that are not in international form (S-042), and which prefixes it adds to them."""

    name: str
    country: str = ""
    international: tuple[str, ...] = ()  # prefixes that mean "+"
    trunk: str = ""  # prefix of a national number
    trunk_optional: bool = False  # a national number may be written without it
    national: frozenset[int] = frozenset()  # lengths of a national number without the trunk prefix
    routing: int = 0  # digits of the prefix after the country code of a ported number (S-043)

    def normalise(self, digits: str) -> str:
        """The international form of digits dialled without "+"; unchanged if they cannot be converted."""
        for prefix in self.international:
            if digits.startswith(prefix) and len(digits) > len(prefix) + 6:
                return digits[len(prefix) :]
        national = digits.removeprefix(self.trunk)
        if len(national) in self.national and (self.trunk_optional or national != digits):
            return self.country + national
        return digits

    def subscriber(self, number: str) -> str:
        """The number without its routing prefix: the called party is the same with and without it."""
        if not self.routing or not number.isdigit() or not number.startswith(self.country):
            return number
        behind = len(self.country) + self.routing
        return self.country + number[behind:] if len(number) - behind in self.national else number


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("e164", international=("00",)),
        Profile("nanp", country="1", international=("011",), trunk="1", trunk_optional=True, national=frozenset({10})),
        Profile("france", country="33", international=("00",), trunk="0", national=frozenset({9}), routing=5),
    )
}
NANP = PROFILES["nanp"]
AS_WRITTEN = Profile("as-written")
