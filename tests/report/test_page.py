"""The text of the page: its policy, its data, and that nothing in it is taken as markup."""

import base64
import hashlib
import html
import json
import re
from html.parser import HTMLParser

import pytest
from support.reports import HOSTILE, detail, invite_of, line, report

from sbc_filter.outcomes import Outcome
from sbc_filter.report.figures import Group, group_of
from sbc_filter.report.headline import headline
from sbc_filter.report.page import page
from sbc_filter.report.selection import fails


class Parsed(HTMLParser):
    """The elements of a page, their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self._within = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within = tag
        if tag in self.raw:
            self.raw[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within in self.raw:
            self.raw[self._within][-1] += data


def test_the_policy_permits_only_the_style_and_the_script_of_the_page() -> None:
    parsed = Parsed(page(report([line(1)], [detail(1, invite_of(1))])))
    policy = next(each["content"] for tag, each in parsed.elements if each.get("http-equiv"))
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (parsed.raw["script"][-1], parsed.raw["style"][0])
    ]
    assert policy == (
        f"default-src 'none'; script-src {hashes[0]}; style-src {hashes[1]}; base-uri 'none'; form-action 'none';"
        " require-trusted-types-for 'script'; trusted-types 'none'"
    )
    assert len(parsed.raw["script"]) == 3
    assert len(parsed.raw["style"]) == 1


def test_the_script_groups_results_as_the_figures_do() -> None:
    """In the order of `Group`: the colours of the table are those of the chart."""
    script = Parsed(page(report([line(1)]))).raw["script"][-1]
    failing = json.loads(re.search(r"FAILING = new Set\((.*?)\)", script)[1])  # type: ignore[index]
    assert sorted(failing) == sorted(each for each in Outcome if fails(each))
    others = re.search(r"function groupOf(.*?)\n}\n", script, re.DOTALL)[1]  # type: ignore[index]
    bare, good = (re.findall(r'outcome === "([a-z-]+)"', each) for each in others.split("\n")[3:5])
    assert sorted(bare) == sorted(each for each in Outcome if group_of(each) is Group.BARE)
    assert sorted(good) == sorted(each for each in Outcome if group_of(each) is Group.GOOD)


def test_nothing_leads_out_of_the_page() -> None:
    text = page(report([line(1)], [detail(1, invite_of(1))]))
    parsed = Parsed(text)
    for _tag, attributes in parsed.elements:
        assert not {"src", "srcset", "action", "data", "poster", "background", "ping", "formaction"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|innerHTML|eval\(|import\(", text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_add_no_element(text: str) -> None:
    """Wherever a text comes from, the page has the same elements as for a harmless text."""

    def made(word: str) -> str:
        lines = [
            line(1, caller=word, called=word, call_id=word, rule=word, peer=word, signer=word, attestation=word),
            line(2, treatment=word, file=word),
        ]
        message = b"INVITE sip:a SIP/2.0\r\nFrom: " + word.encode() + b"\r\n\r\n"
        given = {"title": word, "configuration": word, "notes": [word], "commands": word, "totals": [(word, 1)]}
        return page(report(lines, [detail(1, message)], **given))

    hostile, harmless = made(text), made("harmless")
    assert hostile.isascii()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", hostile)
    elements = [tag for tag, _ in Parsed(hostile).elements]
    assert elements == [tag for tag, _ in Parsed(harmless).elements]
    decoded = html.unescape(re.sub(r"<script.*?</script>", "", hostile, flags=re.DOTALL))
    assert not set("\u202e\u2066\u2028\u2029\x00\x1b") & set(decoded)
    for data in Parsed(hostile).raw["script"][:2]:
        assert "<" not in data
        json.loads(data)


def test_a_page_without_calls() -> None:
    text = page(report([], notes=["There is nothing."]))
    assert "No call was found." in text
    assert "There is nothing." in text


def test_the_page_says_how_many_calls_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sbc_filter.report.columns.MOST", 2)
    text = page(report([line(1), line(2), line(3)]))
    assert "The table has 2 of 3 calls." in text
    assert '<strong class="fails">3 fail STIR/SHAKEN.</strong>' in text


def test_the_headline_of_the_page_is_that_of_the_terminal() -> None:
    """The calls that lack a certificate or an anchor are part of those that fail; those without token are not."""
    lines = [
        line(1)._replace(outcome="invalid", detail="orig-mismatch"),
        line(2)._replace(outcome="unfetchable", detail="fetch-refused"),
        line(3)._replace(outcome="untrusted", detail="untrusted-chain", only_anchor_missing=True),
        line(4)._replace(outcome="no-identity", detail="absent"),
        line(5)._replace(outcome="not-examined", detail="no-rule"),
    ]
    lead = re.sub(r"<.*?>|\s+", " ", page(report(lines)).partition('<p class="lead">')[2].partition("</p>")[0])
    assert (
        lead.split()
        == (
            "5 calls. 3 fail STIR/SHAKEN, 2 of them since a certificate or an anchor is missing. 1 has no token."
            " 1 not examined. The filter would change 5."
        ).split()
    )
    assert str(headline((each.outcome, each.only_anchor_missing) for each in lines)) == (
        "Calls: 5; 3 fail STIR/SHAKEN, 2 of them since a certificate or an anchor is missing; 1 has no token;"
        " 1 not examined"
    )


def test_the_calls_to_look_at_are_marked_where_they_fail() -> None:
    text = page(report([line(1), line(2)._replace(outcome="no-identity", detail="absent")]))
    table = text.partition('<table class="causes">')[2].partition("</table>")[0].partition("<tbody>")[2]
    assert re.findall(r"<tr.*?>|#result=[a-z.-]+", table) == [
        '<tr class="failing">',
        "#result=invalid.orig-mismatch",
        "<tr>",
        "#result=no-identity.absent",
    ]


def test_a_page_of_calls_that_were_not_examined_says_nothing_of_failures() -> None:
    text = page(report([line(1)._replace(outcome="not-examined", detail="no-rule")]))
    lead = re.sub(r"<.*?>|\s+", " ", text.partition('<p class="lead">')[2].partition("</p>")[0])
    assert lead.split() == "1 call. 1 not examined. The filter would change 1.".split()
