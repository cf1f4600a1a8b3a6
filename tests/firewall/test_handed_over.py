"""The counters of the rules, as the programs list them and as they are read."""

import errno
import os
import time
from pathlib import Path

import pytest

from sbc_filter.firewall import handed_over, iptables, nft
from sbc_filter.firewall.handed_over import HandedOverReader, Reading

SAVED = """\
*mangle
:FORWARD ACCEPT [9:900]
:SBC-FILTER - [0:0]
:SBC-FILTER-QUEUE - [0:0]
[71:7100] -A FORWARD -j SBC-FILTER
[8:800] -A FORWARD -p udp -j NFQUEUE --queue-num 50
[70:7000] -A SBC-FILTER -p udp -m multiport --ports 5060 -j SBC-FILTER-SIP
[60:6000] -A SBC-FILTER-QUEUE -d 192.0.2.1/32 -j NFQUEUE --queue-num 50 --queue-bypass
[0:0] -A SBC-FILTER-QUEUE -s 192.0.2.1/32 -j NFQUEUE --queue-num 51
[3:300] -A SBC-FILTER-QUEUE -j NFQUEUE --queue-num 50 --queue-bypass
COMMIT
"""
LISTED = """\
table inet sbc-filter {
	chain hand-over {
		ip daddr 192.0.2.1 counter packets 60 bytes 6000 queue flags bypass to 50
		ip saddr 192.0.2.1 counter packets 0 bytes 0 queue to 51
		counter packets 3 bytes 300 queue num 50 bypass
	}

	chain filter {
		meta l4proto udp exthdr frag exists counter packets 5 bytes 50 return comment "fragments not put together"
	}
}
"""


def test_only_our_rules_count_and_those_at_zero_too() -> None:
    assert iptables.handed_over(SAVED) == nft.handed_over(LISTED) == {50: 63, 51: 0}
    assert 51 in iptables.handed_over(SAVED)
    assert 51 in nft.handed_over(LISTED)
    assert not iptables.handed_over("")
    assert not nft.handed_over("")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the firewall programs, the only one in PATH but for the system's own."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    write(tmp_path, "nft", "exit 1")
    write(tmp_path, "iptables", "echo 'iptables v1.8.9 (nf_tables)'")
    for name in ("iptables-save", "ip6tables-save"):
        write(tmp_path, name, f'[ "$3" = raw ] || cat {tmp_path}/saved')
    (tmp_path / "saved").write_text(SAVED)
    return tmp_path


def collected(reader: HandedOverReader) -> Reading:
    found = reader.collect(60)
    assert found is not None
    return found


def write(folder: Path, name: str, commands: str) -> None:
    new = folder / f"{name}.new"
    new.write_text(f"#!/bin/sh\n{commands}\n")
    new.chmod(0o755)
    new.rename(folder / name)


def test_all_families_and_programs_are_added(programs: Path) -> None:
    write(programs, "nft", f"cat {programs}/listed")
    (programs / "listed").write_text(LISTED)
    reader = HandedOverReader()
    reader.start()
    assert collected(reader).handed_over == {50: 63 * (1 + len(iptables.families())), 51: 0}
    assert not reader.is_running


def test_a_program_that_takes_long_is_read_later_whatever_it_prints(programs: Path) -> None:
    """More than a pipe holds."""
    (programs / "saved").write_text("#" * 300_000 + "\n" + SAVED)
    wait = f"while [ ! -e {programs}/go ]; do sleep 0.01; done"
    write(programs, "iptables-save", f'{wait}; [ "$3" = raw ] || cat {programs}/saved')
    reader = HandedOverReader()
    reader.start()
    assert reader.collect(0.05) is None
    assert reader.is_running
    (programs / "go").touch()
    assert collected(reader).handed_over == {50: 63 * len(iptables.families()), 51: 0}


def test_a_program_that_hangs_is_killed_and_its_rules_are_not_missed(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = HandedOverReader()
    reader.start()
    assert reader.collect(60)
    monkeypatch.setattr(handed_over, "_PATIENCE", 0.1)
    write(programs, "iptables-save", "exec sleep 600")
    begin = time.monotonic()
    reader.start()
    while reader.is_running:
        assert reader.collect(0.05) is None
    assert time.monotonic() - begin < 600


def test_programs_that_cannot_read_count_as_no_rules(programs: Path) -> None:
    for name in ("iptables-save", "ip6tables-save"):
        write(programs, name, "exit 1")
    reader = HandedOverReader()
    reader.start()
    assert collected(reader) == Reading({}, {})


def test_a_reading_can_be_given_up(programs: Path) -> None:
    write(programs, "iptables-save", "exec sleep 600")
    reader = HandedOverReader()
    reader.start()
    assert reader.collect(0.0) is None
    reader.close()
    assert not reader.is_running


@pytest.mark.parametrize("where", ["os.memfd_create", "subprocess.Popen"])
def test_without_descriptors_the_reading_fails(where: str, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules have not gone, and the filter goes on."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    reader = HandedOverReader()
    with monkeypatch.context() as patch:
        patch.setattr(where, fail)
        reader.start()
        assert reader.collect(60) is None
    reader.start()
    assert reader.collect(60) is not None


def test_what_the_programs_print_comes_along_by_table(programs: Path) -> None:
    """nft says of a table that is not there that it is not; of other errors it says nothing about the table."""
    complaint = "Error: No such file or directory"
    write(programs, "nft", f"echo '{complaint}' >&2; exit 1")
    for name in ("iptables-save", "ip6tables-save"):
        write(programs, name, 'echo "$3 of \'$0"')
    expected = {("nft", "sbc-filter"): ""}
    for family in iptables.families():
        for table in ("mangle", "raw"):
            expected[f"{family}-save", table] = f"{table} of '{programs}/{family}-save\n"
    reader = HandedOverReader()
    reader.start()
    assert collected(reader).listings == expected
    write(programs, "nft", "echo 'Operation not permitted' >&2; exit 1")
    reader.start()
    assert ("nft", "sbc-filter") not in collected(reader).listings


def test_programs_without_our_rules_are_read_at_every_fifth_reading_or_when_ours_are_gone(programs: Path) -> None:
    """Each reading runs programs: those that showed our rules show at once whether these are there."""
    log = programs / "log"
    for name in ("iptables-save", "ip6tables-save", "iptables-legacy-save", "ip6tables-legacy-save"):
        shown = "" if "legacy" in name else f"cat {programs}/saved"
        write(programs, name, f'echo "{name} $3" >> {log}; {shown}')
    write(programs, "nft", f"echo 'nft {nft.TABLE}' >> {log}; cat {programs}/listed")
    (programs / "listed").touch()
    reader = HandedOverReader()

    def read() -> tuple[set[str], Reading]:
        log.write_text("")
        reader.start()
        found = collected(reader)
        return set(log.read_text().splitlines()), found

    ours = {f"{family}-save {table}" for family in iptables.families() for table in ("mangle", "raw")}
    readings = [read() for _ in range(6)]
    assert [len(each) > len(ours) for each, _ in readings] == [True, False, False, False, False, True]
    assert [each for each, _ in readings[1:5]] == [ours] * 4
    assert [found for _, found in readings] == [readings[0][1]] * 6
    assert readings[0][1].listings["nft", "sbc-filter"] == ""
    # Another program has them now, and shows it at once.
    (programs / "saved").write_text("")
    (programs / "listed").write_text(LISTED)
    run, found = read()
    assert {f"nft {nft.TABLE}", *ours} <= run
    assert found.listings["nft", "sbc-filter"] == LISTED
    assert found.handed_over == {50: 63, 51: 0}
    assert read()[0] == {f"nft {nft.TABLE}"}
    # Where the rules are not as planned, all programs are asked.
    reader.forget()
    assert {f"nft {nft.TABLE}", *ours} <= read()[0]
