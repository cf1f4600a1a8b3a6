"""Compiles the hot path with mypyc where the package is built to be installed: the same code, a third of its cost.

An editable installation stays Python, so that what is edited is what runs; so does one without a C compiler.
"""

import sys

from setuptools import Extension, setup

HOT = [
    *(f"sbc_filter/packet/{name}.py" for name in ("checksum", "ip", "packet")),
    *(
        f"sbc_filter/sip/{name}.py"
        for name in ("address", "edits", "field", "identity", "layout", "message", "names", "number")
    ),
    *(
        f"sbc_filter/stir/{name}.py"
        for name in ("authentication", "checks", "passport", "signature", "token", "verification")
    ),
    *(f"sbc_filter/rules/{name}.py" for name in ("compiler", "facts", "ruleset")),
    *(
        f"sbc_filter/engine/{name}.py"
        for name in (
            *("case", "certificates", "deviations", "dialects", "editing", "intake", "marking", "memory", "outcomes"),
            *("attesting", "parties", "pipeline", "record", "seen", "services", "transactions", "treating", "uas"),
            "verifying",
        )
    ),
]


def extensions() -> list[Extension]:
    """The extension modules; none for an editable installation."""
    if "editable_wheel" in sys.argv or not {"bdist_wheel", "build", "build_ext"} & set(sys.argv):
        return []
    from mypyc.build import mypycify

    # Not by the project's own strict settings: the packages whose types those want are not there while building.
    made: list[Extension] = mypycify(["--config-file=", "--ignore-missing-imports", *HOT], opt_level="3")
    for extension in made:
        extension.optional = True
    return made


setup(ext_modules=extensions())
