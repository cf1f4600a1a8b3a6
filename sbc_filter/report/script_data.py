"""JSON for a `script` element of HTML: ASCII, and without a character that could end the element or begin markup."""

import json


def script_data(data: object) -> str:
    """The data as JSON. `<` is escaped, so neither `</script` nor `<!--` occurs (HTML Standard, 4.12.1.3)."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
