"""Hostile bytes in a report, in a real headless Chromium: no script of a message runs, whatever the message says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.chromium import Chromium, Page, chromium, needs_chromium
from support.reports import HOSTILE, detail, explained, invite_of, line, made_lines, report
from support.waiting import eventually

from sbc_filter.report.contents import Detail
from sbc_filter.report.page import page

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with chromium() as made:
        yield made


def findings_that_say(word: str, folder: Path) -> dict[str, Any]:
    """What `explain` says, with the word in each place where a token, a certificate or a rule can put bytes."""
    found = explained(invite_of(1), folder)
    token = found["tokens"][0]
    token["reading"] = {"claims": {word: word, "orig": {"tn": [word]}}, "header": {"x5u": word}, "fault": word}
    token["reading"]["signature"] = word
    token["checks"] = [{**each, "values": word} for each in token["checks"]]
    token["certificates"] = [{**each, "subject": word, "crl": word} for each in token["certificates"]]
    found["rules"] = [{"rule": word, "mode": word, "matched": False, "reason": word}]
    found["notes"] = [word]
    return found


def call_that_says(word: str, folder: Path) -> Detail:
    """A call with the word in its messages, in a header field and as a whole message."""
    octets = word.encode() + b"\xff\xfe\x00"
    received = invite_of(1).replace(b"Date: ", b"Subject: " + octets + b"\r\nDate: ")
    received = received.replace(b"From: ", b'From: "' + octets + b'" ')
    call = detail(1, received, findings_that_say(word, folder))
    whole = call.messages[0]._replace(received=octets, sent=(), answers=(octets,), src=word, file=word)
    return call._replace(messages=[*call.messages, whole])


def report_that_says(word: str, folder: Path) -> Path:
    """A report with the word in every place."""
    said: dict[str, Any] = dict.fromkeys(
        ("caller", "called", "call_id", "rule", "peer", "response", "signer", "attestation", "file"), word
    )
    lines = [line(1, **said), line(2, treatment=word)]
    given = {"title": word, "configuration": word, "notes": [word], "commands": word}
    file = folder / "hostile.html"
    file.write_text(page(report(lines, [call_that_says(word, folder)], **given)))
    return file


@pytest.mark.parametrize("word", HOSTILE)
def test_no_script_of_a_message_runs(browser: Chromium, tmp_path: Path, word: str) -> None:
    screen = Page(browser)
    screen.size(1280, 900)
    screen.open(report_that_says(word, tmp_path))
    screen.run("document.querySelectorAll('#overview button, #overview summary').forEach((each) => each.click())")
    screen.run("location.hash = 'call=1'")
    assert eventually(lambda: screen.run("document.querySelectorAll('#call .ladder li').length") == 7)
    screen.run("document.querySelectorAll('#call button, #call summary').forEach((each) => each.click())")
    assert "\\xff\\xfe\\x00" in screen.text(".panel")
    assert screen.run("typeof canary") == "undefined"
    assert screen.run("document.querySelectorAll('script').length") == 3
    assert screen.run("document.querySelectorAll('img, iframe, object, embed, base, form:not(#filters)').length") == 0
    assert screen.run("[...document.querySelectorAll('a')].every((each) => each.getAttribute('href').startsWith('#'))")
    assert not screen.run("/[\\u202a-\\u202e\\u2066-\\u2069\\u2028\\0]/.test(document.body.innerText)")
    assert screen.faults() == []


@pytest.mark.parametrize("word", ["x" * 3000, "https://certificates.example.net/" * 40, "\u0e01" * 500])
def test_long_words_do_not_make_the_page_wider(browser: Chromium, tmp_path: Path, word: str) -> None:
    file = report_that_says(word, tmp_path)
    for width in (320, 900):
        for address in ("", "#call=1", "#call=2"):
            screen = Page(browser)
            screen.size(width, 780)
            screen.open(file, address)
            assert screen.run("document.documentElement.scrollWidth") == width
            assert screen.faults() == []


@pytest.mark.parametrize("word", ["__proto__", "constructor", "toString", "\x00", "&call=2", "#", "%E0%A4%A"])
def test_names_that_a_script_may_take_for_its_own(browser: Chromium, tmp_path: Path, word: str) -> None:
    """Filtering by such a value finds its calls, and the address of the page brings the filter back."""
    file = tmp_path / "names.html"
    lines = [
        line(1, peer=word, signer=word, rule=word),
        *(each._replace(number=each.number + 1) for each in made_lines(9)),
    ]
    file.write_text(page(report(lines)))
    screen = Page(browser)
    screen.open(file)
    screen.run("[...document.querySelectorAll('.breakdown [data-facet=peer]')].at(-1).click()")
    name = screen.run("document.querySelector('#rows .c-peer').textContent")
    rows = screen.run("document.querySelectorAll('#rows tr').length")
    assert screen.text("#count") == f"{rows} of 10 calls"
    address = screen.run("location.hash")
    screen.open(file, address)
    assert screen.run("document.querySelector('#rows .c-peer').textContent") == name
    assert screen.run("document.querySelector('[data-filter=peer]').value") == name
    assert screen.faults() == []


@pytest.mark.parametrize(
    "address", ["#call=99", "#call=__proto__", "#call=1e3&call=2", "#%", "#from=a&to=b", "#from=1&to=0", "#result=x"]
)
def test_any_address_shows_the_overview(browser: Chromium, tmp_path: Path, address: str) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(report([line(1), line(2)])))
    screen = Page(browser)
    screen.open(file, address)
    assert screen.text("#count") == "2 calls"
    assert screen.run("document.getElementById('call').hidden")
    assert screen.faults() == []


def test_a_script_that_gets_in_does_not_run(browser: Chromium, tmp_path: Path) -> None:
    """The policy is a second wall: even if markup of a message got into the page."""
    file = tmp_path / "broken.html"
    injected = '<h1><img src="x" onerror="canary=1"><script>canary=1</script><a id="calls-data">'
    file.write_text(page(report([line(1)])).replace("<h1>", injected, 1))
    screen = Page(browser)
    screen.open(file)
    assert eventually(lambda: len(screen.run("violations")) >= 2)
    assert screen.run("typeof canary") == "undefined"
