"""Compiles the hot path with mypyc where the package is built to be installed: the same code, a third of its cost.

An editable installation stays Python, so that what is edited is what runs; so does one without a C compiler.
"""

import sys

from setuptools import Extension, setup

# By room: what every packet, call or certificate file passes. A test compares this with the files that there are.
COMPILED = {
    "": "generational_cache",
    "packet": "ip udp",
    "numbering": "country_codes numbering_plans",
    "pki": "der",
    "sip": "address field header learned_layout marks message numbers",
    "sip/lenient": "plain_form repair repair_fields request_start salvage",
    "stir": "checks passport signature signing token verification",
    "rules": "ruleset",
    "engine": "answers engine record state",
    "engine/call": "asserted call intake network recording scrub verstat",
    "engine/memory": "certificates replays transactions",
    "engine/decide": "apply_rule attestation sign verify",
    "engine/act": "carry_out edit_invite uas",
}
# The other files of these rooms: they serve few calls, or compiling them gains nothing.
INTERPRETED = {
    "": "__main__ cli counters errors outcomes ranked_counts strict_json utc",
    "packet": "fragments reassembly",
    "numbering": "country_table region_table",
    "pki": "certificate claim_constraints crl crl_scope path revocation_table shaken_profile signed_der tnauthlist"
    " trust_store x5u",
    "sip": "date grammar one_message reason response stream",
    "sip/lenient": "",
    "stir": "compact credential delegated_signing delegated_verification delegation diversion extensions media_keys"
    " priority rich_call_data sign_div sti_pa_list",
    "rules": "example example_options header_conditions model number_list rate_limits rule_file sign_options"
    " time_windows toml_table translations treatment_options trunk trunk_options why_not",
    "engine": "verdict",
    "engine/call": "unreadable",
    "engine/memory": "arrivals results shares",
    "engine/decide": "bypass diverted_call preserve request_uri",
    "engine/act": "reasons_received reasons_sent redirects unreadable_calls",
}


def paths(rooms: dict[str, str]) -> list[str]:
    """The files that a table of rooms names."""
    return [
        "/".join(filter(None, ("sbc_filter", room, f"{name}.py"))) for room in rooms for name in rooms[room].split()
    ]


def extensions() -> list[Extension]:
    """The extension modules; none for an editable installation."""
    if "editable_wheel" in sys.argv or not {"bdist_wheel", "build", "build_ext"} & set(sys.argv):
        return []
    from mypyc.build import mypycify

    # Not by the project's own strict settings: the packages whose types those want are not there while building.
    made: list[Extension] = mypycify(["--config-file=", "--ignore-missing-imports", *paths(COMPILED)], opt_level="3")
    for extension in made:
        extension.optional = True
    return made


if __name__ == "__main__":
    setup(ext_modules=extensions())
