"""The report in a real headless Chromium, as a person meets it: with a mouse, with keys only, on a phone, on paper."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import NOW
from support.chromium import CONTRAST, Chromium, Page, chromium, needs_chromium
from support.reports import detail, explained, invite_of, line, made_lines, report
from support.waiting import eventually

from sbc_filter.report.page import page

pytestmark = needs_chromium
SHOWN = "[...document.querySelectorAll('#rows tr')].map((row) => row.querySelector('.c-number').textContent)"
FOCUSED = "document.activeElement.id || document.activeElement.textContent"
WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of 2,000 calls; number 1 was rejected, number 2 was changed, both are shown in full."""
    folder = tmp_path_factory.mktemp("report")
    lines = [
        line(1, NOW, treatment="reject", caller="13125550123"),
        line(2, NOW + 1, outcome="stale", detail="stale-date", peer="wholesale", attestation="B"),
        *(each._replace(number=each.number + 2) for each in made_lines(1998)),
    ]
    details = [
        detail(1, invite_of(1), explained(invite_of(1), folder), rejected=True),
        detail(2, invite_of(2), explained(invite_of(2), folder))._replace(outcome="stale", detail="stale-date"),
    ]
    (folder / "report.html").write_text(page(report(lines, details)))
    return folder / "report.html"


@pytest.fixture
def screen(browser: Chromium, day: Path) -> Iterator[Page]:
    """The report on a desktop; at its end nothing must have gone wrong."""
    made = Page(browser)
    made.size(1280, 900)
    made.open(day)
    yield made
    assert made.faults() == []


def choose(screen: Page, facet: str, value: str) -> None:
    """Choose a value of a filter."""
    screen.run(
        f"""(() => {{ const found = document.querySelector('[data-filter={facet}]'); found.value = {value!r};
        found.dispatchEvent(new Event("input", {{bubbles: true}})); }})()"""
    )


def count(screen: Page) -> str:
    return screen.text("#count")


def test_the_overview(screen: Page) -> None:
    assert screen.run("document.title") == "day.pcap - sbc-filter report"
    assert screen.text("h1") == "day.pcap"
    assert screen.text(".lead").startswith("2,000 calls. ")
    assert screen.run("document.querySelectorAll('#chart g').length") > 10
    assert screen.run("document.querySelector('.causes a').textContent") == "invalid.orig-mismatch"
    assert count(screen) == "2,000 calls"
    assert screen.run(SHOWN)[:3] == ["1", "2", "3"]


def test_only_the_rows_in_view_are_elements(screen: Page) -> None:
    assert screen.run("document.querySelectorAll('#rows tr').length") < 60
    screen.run("document.getElementById('scroller').scrollTop = 1e9")
    assert eventually(lambda: screen.run(SHOWN)[-1] == "2000")
    assert screen.run("document.querySelectorAll('#rows tr').length") < 60
    assert screen.run("document.getElementById('table').getAttribute('aria-rowcount')") == "2001"


def test_filtering(screen: Page) -> None:
    screen.click("#search")
    screen.write("+1 (312) 555-0123")
    assert eventually(lambda: count(screen) == "2 of 2,000 calls")
    assert screen.run(SHOWN) == ["1", "2"]
    choose(screen, "result", "stale")
    assert count(screen) == "1 of 2,000 calls"
    assert screen.run("location.hash") == "#result=stale&q=%2B1+%28312%29+555-0123"
    screen.click("#clear")
    assert count(screen) == "2,000 calls"


def test_peer_and_response_are_columns_that_filter_and_sort(browser: Chromium, tmp_path: Path) -> None:
    lines = [
        line(1, peer="acme", response="503"),
        line(2, peer="198.51.100.7", response="none"),
        line(3, peer="192.0.2.7", response="200"),
    ]
    (tmp_path / "peers.html").write_text(page(report(lines)))
    screen = Page(browser)
    screen.size(1280, 900)
    screen.open(tmp_path / "peers.html")
    cells = "[...document.querySelectorAll('#rows .c-{}')].map((cell) => cell.textContent)"
    assert screen.run(cells.format("peer")) == ["acme", "198.51.100.7", "192.0.2.7"]
    assert screen.run(cells.format("response")) == ["503", "none", "200"]
    screen.click("[data-sort=peer]")
    assert screen.run(SHOWN) == ["3", "2", "1"]
    screen.click("[data-sort=response]")
    assert screen.run(SHOWN) == ["3", "1", "2"]
    choose(screen, "response", "none")
    assert screen.run(SHOWN) == ["2"]
    screen.click("#clear")
    choose(screen, "peer", "acme")
    assert screen.run(SHOWN) == ["1"]
    screen.size(390, 844)
    assert screen.run("getComputedStyle(document.querySelector('#rows .c-peer')).display") == "none"
    assert not screen.run(WIDER)
    assert screen.faults() == []


@pytest.mark.parametrize("width", [1600, 1200, 1121, 1110, 1000, 865, 720])
def test_numbers_are_not_cut_and_no_column_is_beyond_the_edge(screen: Page, width: int) -> None:
    screen.size(width, 900)
    cut = "[...document.querySelectorAll('#rows .c-{}')].filter((each) => each.scrollWidth > each.clientWidth).length"
    assert [screen.run(cut.format(name)) for name in ("number", "time", "caller", "called", "treatment")] == [0] * 5
    edge = screen.run("document.getElementById('scroller').getBoundingClientRect().right")
    ends = "[...document.querySelectorAll('#rows tr:first-child td')].map((each) => each.getBoundingClientRect().right)"
    assert max(screen.run(ends)) <= edge


def test_a_call_id_that_looks_like_a_number_is_found(browser: Chromium, tmp_path: Path) -> None:
    (tmp_path / "ids.html").write_text(page(report([line(1, call_id="20-4711.8"), line(2, called="2047118")])))
    screen = Page(browser)
    for query, found in (("20-4711.8", ["1", "2"]), ("2047118", ["2"])):
        screen.open(tmp_path / "ids.html", f"#q={query}")
        assert screen.run(SHOWN) == found
    assert screen.faults() == []


def test_the_figures_filter_the_table(screen: Page) -> None:
    screen.click(".breakdown [data-facet=attestation]")
    assert count(screen).endswith(" of 2,000 calls")
    assert screen.run("document.querySelector('[data-filter=attestation]').value") == "A"
    screen.click("#chart g:first-of-type .place")
    assert not screen.run("document.getElementById('span').hidden")
    both = count(screen)
    screen.click("#span")
    assert count(screen) != both


def test_sorting(screen: Page) -> None:
    for _ in range(2):
        screen.click("[data-sort=caller]")
    callers = screen.run("[...document.querySelectorAll('#rows .c-caller')].map((cell) => cell.textContent)")
    assert callers == sorted(callers, reverse=True)
    assert screen.run("document.querySelector('th.c-caller').getAttribute('aria-sort')") == "descending"
    screen.click("[data-sort=result]")
    assert screen.text("#rows .c-result").startswith("invalid.")


def test_a_call_that_was_rejected(screen: Page) -> None:
    screen.click("#row-0")
    assert eventually(lambda: screen.run("!document.getElementById('call').hidden"))
    said = screen.text("#call")
    assert screen.text("#call-heading").split() == ["Call", "1", "invalid.orig-mismatch"]
    for text in (
        "The caller of the call is not that of the token.",
        "originating carrier, you",
        "RFC 8224 §6.2 step 5, §6.2.4; ATIS-1000074 §5.3.1",
        "token 12155550100, From 13125550123",
        "The filter does not send it on.",
        "SIP/2.0 438 Invalid Identity Header",
        '{"tn": "12155550100"}',
        "CN=SHAKEN 1234,O=Laboratory,C=US",
        "21 checks were not reached",
        "sbc-filter explain day.pcap 1",
    ):
        assert text in said, text
    assert screen.run("document.querySelector('.ladder .unseen').textContent") == (
        "INVITE from the peer, stopped by the filter, answered by the filter: 438 Invalid Identity Header"
    )


def test_a_call_that_was_changed(browser: Chromium, day: Path) -> None:
    screen = Page(browser)
    screen.size(1280, 900)
    screen.open(day, "#call=2")
    assert screen.run("document.querySelectorAll('.ladder li').length") == 6
    assert screen.run("[...document.querySelectorAll('.compared .new')].map((line) => line.textContent)") == [
        "+P-Asserted-Identity: <sip:+13125550123;verstat=TN-Validation-Failed@example.org>"
    ]
    assert screen.run("document.querySelector('.compared .new mark').textContent").startswith("P-Asserted-Identity")
    assert "Judged by itself, as if no other call had come before: invalid.orig-mismatch." in screen.text("#call")
    screen.click(".ladder li:nth-child(3) button")
    assert "SIP/2.0 180 Ringing" in screen.text(".panel")
    assert screen.run("document.querySelector('.ladder [aria-pressed=true] .unseen').textContent") == (
        "180 Ringing from the SBC, passed unchanged"
    )
    assert screen.faults() == []


def test_a_call_without_messages(screen: Page) -> None:
    screen.run("location.hash = 'call=50'")
    assert eventually(lambda: "The messages of this call are not in this report" in screen.text("#call"))


def test_back_leads_to_the_same_place(screen: Page) -> None:
    screen.click("#row-6")  # scrolls it into the middle
    assert eventually(lambda: screen.text("#call-heading").startswith("Call 7"))
    assert screen.run("scrollY") == 0
    screen.run("history.back()")
    assert eventually(lambda: screen.run("document.getElementById('call').hidden"))
    assert screen.run("document.querySelector('#rows .active .c-number').textContent") == "7"
    assert eventually(lambda: screen.run("scrollY") > 300)


def test_with_keys_only(screen: Page) -> None:
    screen.press("Tab")
    assert screen.run(FOCUSED) == "Skip to the calls"
    screen.press("Enter")
    assert screen.run(FOCUSED) == "calls-heading"
    screen.press("/")
    assert screen.run(FOCUSED) == "search"
    screen.write("wholesale")
    for _ in range(20):
        screen.press("Tab")
        if screen.run("document.activeElement.id") == "table":
            break
    assert screen.run(FOCUSED) == "table"
    screen.press("ArrowDown", "ArrowDown", "ArrowUp", "End", "PageDown", "Home", "ArrowDown")
    assert screen.run("document.getElementById('table').getAttribute('aria-activedescendant')") == "row-1"
    chosen = screen.run("document.querySelector('#row-1 .c-number').textContent")
    screen.press("Enter")
    assert eventually(lambda: screen.run("document.activeElement.id") == "call-heading")
    assert screen.text("#call-heading").split()[1] == chosen
    screen.press("Escape")
    assert eventually(lambda: screen.run("document.activeElement.id") == "table")
    assert screen.run("document.querySelector('#rows .active .c-number').textContent") == chosen


def test_the_figures_of_the_chart_are_a_table(screen: Page) -> None:
    screen.click(".figures summary")
    totals = screen.run("[...document.querySelectorAll('.figures td:last-child')].map((cell) => cell.textContent)")
    assert sum(map(int, totals)) == 2000
    screen.run("document.querySelector('.figures button').focus()")
    screen.press("Enter")
    assert count(screen) != "2,000 calls"
    assert screen.run("document.querySelectorAll('#chart .chosen').length") == 1


@pytest.mark.parametrize("address", ["", "#call=1", "#call=2", "#result=stale"])
@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_no_page_scrolls_sideways(browser: Chromium, day: Path, width: int, address: str) -> None:
    screen = Page(browser)
    screen.size(width, 780)
    screen.open(day, address)
    assert screen.run("document.documentElement.dataset.ready") == "yes"
    assert not screen.run(WIDER)
    assert screen.run("document.body.scrollWidth <= innerWidth")
    assert screen.faults() == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("address", ["", "#call=2"])
def test_texts_have_contrast(browser: Chromium, day: Path, dark: bool, address: str) -> None:
    """At least 4.5 to 1 for every text (WCAG 2.2, 1.4.3), whatever the colours of the system."""
    screen = Page(browser)
    screen.size(1280, 900, dark=dark)
    screen.open(day, address)
    assert screen.run(CONTRAST) == []


def test_every_control_has_a_name(screen: Page) -> None:
    for address in ("", "#call=2"):
        screen.run(f"location.hash = '{address}'")
        tree = screen.call("Accessibility.getFullAXTree")["nodes"]
        roles = {"button", "link", "textbox", "searchbox", "combobox", "grid", "region", "image"}
        for node in tree:
            if not node["ignored"] and node["role"]["value"] in roles:
                assert node.get("name", {}).get("value"), node


def test_on_paper(screen: Page) -> None:
    screen.run("location.hash = 'result=stale'")
    assert eventually(lambda: "of" in count(screen))
    wanted = int(count(screen).split()[0])
    screen.run("window.dispatchEvent(new Event('beforeprint'))")
    assert screen.run("document.querySelectorAll('#rows tr').length") == wanted
    paper = base64.b64decode(screen.call("Page.printToPDF", printBackground=True)["data"])
    assert paper.startswith(b"%PDF")
    screen.run("window.dispatchEvent(new Event('afterprint'))")


def test_without_a_script_the_figures_are_there(browser: Chromium, day: Path) -> None:
    screen = Page(browser, script=False)
    screen.size(1280, 900)
    screen.open(day)
    assert screen.text("noscript").startswith("The table and the pages of single calls need the script")
    assert screen.text(".lead").startswith("2,000 calls. ")
    assert screen.run("document.documentElement.dataset.ready") is None
