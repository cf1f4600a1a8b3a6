"""The page: template, style, script and data in one text, under a content security policy that permits only these."""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from sbc_filter.engine.record import printable
from sbc_filter.explanations.explanation import as_text
from sbc_filter.report.charts import HEIGHT, chart, clock
from sbc_filter.report.columns import columns
from sbc_filter.report.contents import Line, Report
from sbc_filter.report.details import details
from sbc_filter.report.figures import Group, breakdowns, causes, over_time
from sbc_filter.report.headline import headline
from sbc_filter.report.octets import cut
from sbc_filter.report.script_data import script_data
from sbc_filter.utc import utc_instant

_PARTS = "data.js", "table.js", "ladder.js", "call.js", "main.js"
_NOTES = 200  # sentences that are shown


def page(report: Report) -> str:
    """The whole file: ASCII only, so that no guess about its encoding can be wrong."""
    style = _file("page.css")
    script = '"use strict";\n(() => {\n' + "".join(map(_file, _PARTS)) + "})();\n"
    template = _environment().get_template("page.html")
    times = over_time(report.lines)
    table = columns(report.lines)
    text = template.render(
        report=report,
        policy=_policy(script, style),
        style=Markup(style),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704 - a file of this package
        calls=_data(table),
        details=_data({**details(report.details), "command": printable(report.commands)}),
        listed=len(table["number"]),
        headline=headline((line.outcome, line.only_anchor_missing) for line in report.lines),
        changed=sum(line.changed for line in report.lines),
        span=_span(report.lines),
        causes=causes(report.lines),
        breakdowns=breakdowns(report.lines),
        chart=chart(times),
        buckets=times.buckets,
        notes=[cut(note, 500) for note in report.notes[:_NOTES]],
        groups=list(Group),
        height=HEIGHT,
    )
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _data(data: object) -> Markup:
    return Markup(script_data(data))  # noqa: S704 - harmless there


def _policy(script: str, style: str) -> str:
    """Only this script and this style; nothing is loaded, sent or framed, and no text becomes markup (CSP Level 3)."""
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none';"
        " form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _environment() -> Environment:
    made = Environment(
        loader=FunctionLoader(_file),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(plain=_plain, prose=_prose, breakable=_breakable, number=_number, percent=_percent)
    made.globals.update(clock=clock)
    return made


def _file(name: str) -> str:
    return (files(__package__) / "page" / name).read_text("ascii")


def _plain(text: object) -> str:
    return printable(str(text))


def _prose(markdown: str) -> Markup:
    """An explanation: names in backquotes as code, links as the pages that they lead to."""
    pieces = as_text(markdown, quotes=True).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if at % 2 else piece for at, piece in enumerate(pieces)
    )


def _breakable(result: str) -> Markup:
    """A result that may break into two lines after its outcome."""
    return Markup("<wbr>.").join(result.split("."))


def _number(count: int) -> str:
    return f"{count:,}"


def _percent(percent: float) -> str:
    return f"{percent:.0f} %" if percent >= 9.95 else f"{percent:.1f} %"


def _span(lines: Sequence[Line]) -> dict[str, Any]:
    """The first and the last time, as text."""
    times = [line.time for line in lines] or [0.0]
    return {"first": utc_instant(min(times)), "last": utc_instant(max(times))}
