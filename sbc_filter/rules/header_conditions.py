"""The table `header` of a rule: patterns of values, or whether a field is present."""

import re

from sbc_filter.rules.toml_table import TomlTable
from sbc_filter.sip.header import canonical


def read_headers(table: TomlTable) -> dict[str, "re.Pattern[str] | bool"]:
    """The conditions by name of the header field."""
    found: dict[str, re.Pattern[str] | bool] = {}
    for name in table:
        value = table.raw(name)
        if not canonical(name.encode()):
            table.problem(name, "is not a header name")
        elif isinstance(value, bool):
            found[name] = value
        elif canonical(name.encode()) == b"identity":
            table.problem(name, "a token is longer than what is searched: use `has_identity`, or [[rule.when]]")
        elif isinstance(value, str):
            try:
                found[name] = re.compile(value)
            except re.error as error:
                table.problem(name, f"{value!r} is not a regular expression: {error}")
        else:
            table.problem(name, "has to be a regular expression, or true or false for present or absent")
    return found
