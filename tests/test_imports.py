"""The architecture: which room may import which, no circles, and no effects below the line."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "sbc_filter"

# Every room, lowest first, with the rooms that it may import. A room imports only rooms above it in this table.
ROOMS: dict[str, str] = {
    "outcomes": "",
    "errors": "outcomes",
    "explanations": "outcomes",
    "counters": "",
    "strict_json": "",
    "generational_cache": "",
    "utc": "",
    "ranked_counts": "",
    "packet": "outcomes errors",
    "numbering": "",
    "sip": "outcomes errors numbering",
    "pki": "outcomes errors utc",
    "stir": "outcomes errors counters strict_json utc numbering sip pki",
    "rules": "outcomes errors sip pki stir",
    "engine.record": "",
    "engine.verdict": "outcomes packet stir engine.record",
    "engine.answers": "outcomes",
    "engine.call": "outcomes errors counters numbering sip stir rules engine.record engine.verdict",
    "engine.memory": "outcomes errors generational_cache ranked_counts packet sip"
    " pki stir rules engine.record engine.verdict engine.call",
    "engine.decide": "outcomes errors counters numbering sip pki stir rules"
    " engine.record engine.verdict engine.call engine.memory",
    "engine.act": "outcomes errors counters generational_cache packet sip rules"
    " engine.record engine.verdict engine.answers engine.call engine.memory engine.decide",
    "engine.state": "outcomes counters rules stir engine.memory engine.act",
    "engine.engine": "outcomes errors counters packet numbering sip pki stir"
    " rules engine.verdict engine.call engine.memory engine.decide engine.act engine.state",
    "concurrency": "outcomes ranked_counts",
    "processes": "",
    "keys": "outcomes errors",
    "system": "outcomes errors",
    "web": "outcomes errors pki concurrency",
    "shared_memory": "errors rules engine.memory",
    "records": "outcomes counters stir engine.record processes system",
    "recent": "errors numbering packet sip engine.record engine.verdict processes",
    "capture": "errors packet sip engine.record engine.verdict engine.call system",
    "calls": "outcomes errors packet sip engine.record engine.verdict engine.call capture",
    "report": "outcomes explanations utc engine.record calls",
    "firewall": "errors system",
    "holding": "outcomes counters engine.record engine.verdict concurrency system",
    "live": "outcomes errors counters packet engine.record engine.verdict engine.call"
    " concurrency processes system holding firewall",
    "relay": "errors counters packet sip engine.verdict engine.call engine.memory holding concurrency system",
    "certificates": "outcomes errors strict_json generational_cache pki engine.record"
    " engine.verdict concurrency system web records",
    "delegates": "outcomes errors packet numbering pki stir rules engine.verdict engine.answers engine.memory"
    " concurrency system",
    "config": "outcomes errors numbering sip pki stir rules keys system firewall",
    "trust": "errors utc pki stir engine.verdict concurrency system web certificates config",
    "assembly": "outcomes errors strict_json utc numbering pki stir rules engine.verdict engine.call engine.memory"
    " engine.state engine.engine keys system shared_memory firewall certificates delegates config trust",
    "daemon": "errors counters utc stir engine.record engine.verdict engine.call engine.state engine.engine concurrency"
    " processes system shared_memory records recent firewall live relay certificates config trust assembly",
    "lab": "errors pki stir certificates config",
    "commands": "outcomes errors explanations counters generational_cache utc packet numbering sip pki stir rules"
    " engine.record engine.verdict engine.call engine.memory engine.engine system shared_memory records recent"
    " capture calls report firewall certificates delegates config trust assembly daemon lab",
    "cli": "errors system commands",
}
LINE = "engine.engine"
"""The last room of the core: up to here no file, socket, clock, thread or log handler."""
EFFECTS = {
    "socket", "time", "threading", "requests", "scapy", "netfilterqueue", "logging", "os", "io", "pathlib",
    "subprocess", "selectors", "asyncio", "ssl", "random", "secrets", "sys",
}  # fmt: skip
MAX_FILES = 20  # in one room
MAX_LINES = 400  # in one file
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in FILES}


def room_of(module: str) -> str | None:
    """The room of a module: its folder; below `engine/`, and at the top, each file that stands alone is one."""
    parts = module.split(".")[1:]
    if parts in ([], ["__main__"], ["engine"]):
        return None
    return ".".join(parts[:2]) if parts[0] == "engine" else parts[0]


def imports_of(module: str) -> Iterator[tuple[str, int]]:
    """The modules of this package that a module imports, each with the line."""
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("sbc_filter."):
                    yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}, line {node.lineno}: relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in MODULES:
                    yield whole, node.lineno
                elif node.module in MODULES and node.module != "sbc_filter":
                    yield str(node.module), node.lineno


def circles(arrows: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """The sets of nodes that lead back to themselves."""
    reached: dict[str, set[str]] = {}
    for start in arrows:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for node in arrows.get(waiting.pop(), ()):
                if node not in seen:
                    seen.add(node)
                    waiting.append(node)
        reached[start] = seen
    return sorted({tuple(sorted(b for b in reached[a] if a in reached.get(b, ()))) for a in reached if a in reached[a]})


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_room_imports_only_what_the_table_allows(module: str) -> None:
    room = room_of(module)
    if room is None:
        return
    for imported, line in imports_of(module):
        other = room_of(imported)
        assert other is None or other == room or other in ROOMS[room].split(), (
            f"{module}, line {line}: {room} may not import {other}"
        )


def test_the_table_names_every_room_and_points_downwards() -> None:
    assert set(ROOMS) == {room for room in map(room_of, MODULES) if room is not None}
    order = list(ROOMS)
    for room, allowed in ROOMS.items():
        for other in allowed.split():
            assert order.index(other) < order.index(room), f"{room} -> {other} points upwards"


def test_the_table_allows_no_more_than_is_used() -> None:
    used: dict[str, set[str]] = {room: set() for room in ROOMS}
    for module in MODULES:
        room = room_of(module)
        for imported, _ in imports_of(module):
            other = room_of(imported)
            if room is not None and other is not None and other != room:
                used[room].add(other)
    assert {room: sorted(others) for room, others in used.items()} == {
        room: sorted(allowed.split()) for room, allowed in ROOMS.items()
    }


def test_no_circle_of_files() -> None:
    assert circles({module: {imported for imported, _ in imports_of(module)} for module in MODULES}) == []


def test_circles_are_found() -> None:
    assert circles({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}) == [("a", "b", "c")]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_no_effects_below_the_line(module: str) -> None:
    room = room_of(module)
    if room is None or list(ROOMS).index(room) > list(ROOMS).index(LINE):
        return
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("open", "print", "input"), f"{module}, line {node.lineno}: {node.func.id}()"
        for name in names:
            assert name.split(".")[0] not in EFFECTS, f"{module}: {name} below the line"


def test_rooms_and_files_fit_in_a_head() -> None:
    folders: dict[Path, int] = {}
    for path in FILES:
        if path.name != "__init__.py" and path.parent != PACKAGE:
            folders[path.parent] = folders.get(path.parent, 0) + 1
    assert {str(folder): files for folder, files in folders.items() if not 2 <= files <= MAX_FILES} == {}
    lengths = {path: len(path.read_text().splitlines()) for path in FILES}
    assert {str(path): lines for path, lines in lengths.items() if lines >= MAX_LINES} == {}


def test_file_names_are_hardly_ever_used_twice() -> None:
    names = [path.name for path in FILES if path.name != "__init__.py"]
    assert len({name for name in names if names.count(name) > 1}) < 4


def test_only_assembly_builds_an_engine() -> None:
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Engine":
                assert room_of(module) == "assembly", f"{module}, line {node.lineno} builds an Engine"
