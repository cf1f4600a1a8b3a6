"""Tests that are run against a changed module, each change in a process of its own.

`measure` runs all tests once and notes which statements each of them reaches; a mutant then faces only the tests that
reach it, and the most specific ones first. What changes inside a function is exchanged in a fork that has the tests
imported already (milliseconds); what changes when a module is imported needs a process that imports all of it again.
"""

import contextlib
import functools
import gc
import hashlib
import importlib.machinery
import importlib.util
import json
import os
import resource
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import pytest

_OPTIMISED = 1  # the flag of code that is a function's, not a module's or a class's
_MEMORY = 4 << 30  # bytes
_SLOWEST = 2.0  # seconds: a test that takes longer is left out
_SUPPORT = Path(__file__).resolve().parent
_OURS = ("mutations", "mutationruns")  # files whose change changes nothing for the tests
_CALLS = 20  # of one function by one test that are looked at
_FOREVER = 36000.0  # seconds


class Reached:
    """Which tests reach each line of each file, the seconds that each of them takes, and those that are of no use."""

    def __init__(self) -> None:
        self.lines: dict[str, dict[int, list[str]]] = {}
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []

    def add(self, tests: Mapping[str, Mapping[str, Any]]) -> None:
        """What further tests reach."""
        for test, found in tests.items():
            if found["failed"]:
                self.failed.append(test)
                continue
            self.seconds[test] = found["seconds"]
            for file, numbers in found["lines"].items():
                for number in numbers:
                    self.lines.setdefault(file, {}).setdefault(number, []).append(test)

    def tests(self, places: Iterable[tuple[str, int]]) -> set[str]:
        """The tests that reach one of these lines."""
        return {test for file, line in places for test in self.lines.get(file, {}).get(line, ())}

    @functools.cache  # noqa: B019
    def special(self, file: str = "") -> Mapping[str, float]:
        """How special tests are, for one file or all: the more so, the fewer others reach the lines that they reach."""
        found: dict[str, float] = defaultdict(float)
        for each in [file] if file else self.lines:
            for tests in self.lines.get(each, {}).values():
                for test in tests:
                    found[test] += 1.0 / len(tests)
        return found

    @functools.cache  # noqa: B019
    def devoted(self, file: str) -> Mapping[str, float]:
        """Which share of what each test reaches is in this file."""
        found: Counter[str] = Counter(test for tests in self.lines.get(file, {}).values() for test in tests)
        return {test: number / self._reached[test] for test, number in found.items()}

    @functools.cache  # noqa: B019
    def files(self, file: str) -> Sequence[str]:
        """The files of tests that reach this file, those first whose tests are devoted to it on average."""
        devoted, each = self.devoted(file), Counter(test.partition("::")[0] for test in self.seconds)
        total: dict[str, float] = defaultdict(float)
        for test, share in devoted.items():
            total[test.partition("::")[0]] += share
        return sorted(total, key=lambda name: (-total[name] / each[name], name))

    @functools.cached_property
    def _reached(self) -> Counter[str]:
        return Counter(test for lines in self.lines.values() for tests in lines.values() for test in tests)


def measure(files: Sequence[Path], top: Path, memory: Path) -> Reached:
    """Run the tests in these files once, and remember in the folder `memory` what they reach of the product in `top`.

    Raises `RuntimeError` when they cannot be run at all.
    """
    product = top / "sbc_filter"
    others = sorted(path for folder in (product, _SUPPORT) for path in folder.rglob("*.py") if path.stem not in _OURS)
    others.append(_SUPPORT.parent / "conftest.py")
    common = b"".join(hashlib.sha256(path.read_bytes()).digest() for path in others)
    known = {}
    for file in files:
        digest = hashlib.sha256(common + str(file).encode() + file.read_bytes()).hexdigest()
        known[file] = memory / f"{file.stem}-{digest[:16]}.json"
    unknown = [file for file in files if not known[file].exists()]
    if unknown:
        plugin = _Tracing(str(product))
        found = json.loads(_in_child(lambda: _traced(unknown, plugin), _FOREVER, _FOREVER) or b"null")
        if not found:
            raise RuntimeError("the tests cannot be run")
        memory.mkdir(parents=True, exist_ok=True)
        for file in unknown:
            mine = {name: each for name, each in found.items() if top / name.partition("::")[0] == file}
            known[file].write_text(json.dumps(mine))
    reached = Reached()
    for file in files:
        reached.add(json.loads(known[file].read_bytes()))
    return reached


def exchanged(path: Path, before: bytes, after: bytes) -> dict[CodeType, CodeType] | None:
    """The functions that a change replaces; None where it changes what happens at import."""
    old, new = (_codes(compile(source, str(path), "exec")) for source in (before, after))
    if [code.co_qualname for code in old] != [code.co_qualname for code in new]:
        return None
    found = {}
    imported = {inner for code in old if not code.co_flags & _OPTIMISED for inner in _comprehensions(code)}
    for mine, other in zip(old, new, strict=True):
        if not mine.co_flags & _OPTIMISED or mine in imported:
            if _own(mine) != _own(other):
                return None
        elif mine.co_freevars != other.co_freevars:
            return None
        else:
            found[mine] = other
    return found


def warm(paths: Sequence[str], work: Callable[["Warm"], bytes]) -> bytes:
    """The result of `work` in a process in which these tests are imported; what it prints to `Warm.say` is seen."""
    said = os.dup(1)

    def collected() -> bytes:
        found: list[bytes] = []
        plugin = _Collected(lambda session: found.append(work(Warm(session, said))))
        pytest.main([*_OPTIONS, *paths], plugins=[plugin])
        return b"=".join([b"", *found])

    found = _in_child(collected, _FOREVER, _FOREVER)
    os.close(said)
    if not found:
        raise RuntimeError("the tests cannot be imported")
    return found[1:]


class Warm:
    """Imported tests, of which forks run some."""

    def __init__(self, session: pytest.Session, said: int) -> None:
        self._items = {item.nodeid: item for item in session.items}
        self._session, self._said = session, said
        self._caches = _caches()
        self._functions: dict[str, list[FunctionType]] = defaultdict(list)
        for each in gc.get_objects():
            if type(each) is FunctionType:
                self._functions[each.__code__.co_filename].append(each)
        gc.freeze()

    def say(self, text: str) -> None:
        """Print a line."""
        os.write(self._said, f"{text}\n".encode())

    def survives(self, path: Path, codes: Mapping[CodeType, CodeType], tests: Sequence[str], seconds: float) -> bool:
        """Whether all of these tests pass with these functions exchanged."""

        def run() -> bytes:
            changed = [each for each in self._functions[str(path)] if each.__code__ in codes]
            for function in changed:
                function.__code__ = codes[function.__code__]
            assert changed, "no test imports it"
            items = [self._items[test] for test in tests if test in self._items]
            return b"failed" if _fails(self._session, items, self._caches) else b"passed"

        return _in_child(run, seconds, 60.0 + 10 * seconds) == b"passed"


def cold(path: Path, name: str, source: bytes, tests: Sequence[str], seconds: float) -> bool:
    """Whether all of these tests pass where this module is imported with this source."""

    def run() -> bytes:
        sys.meta_path.insert(0, _Finder(path, name, source))
        passed: list[bool] = []

        def work(session: pytest.Session) -> None:
            known = {item.nodeid: item for item in session.items}
            items = [known[test] for test in tests if test in known]
            passed.append(len(items) == len(tests) and not _fails(session, items, _caches()))

        files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
        pytest.main([*_OPTIONS, *files], plugins=[_Collected(work)])
        return b"passed" if passed == [True] else b"failed"

    return _in_child(run, seconds + 30.0, 120.0 + 10 * seconds) == b"passed"


_OPTIONS = ("-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly")


class _Tracing:
    """A plugin that notes the lines of some files that each test reaches."""

    def __init__(self, product: str) -> None:
        self._product = product
        self.tests: dict[str, dict[str, Any]] = {}
        self._failed = False
        self._found: dict[str, set[int]] = defaultdict(set)
        self._calls: Counter[CodeType] = Counter()
        self._caches_found: list[Any] = []

    def pytest_collection_finish(self) -> None:
        self._caches_found = _caches()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        _forget(self._caches_found)
        self._found.clear()
        self._calls.clear()
        self._failed = False
        began = time.thread_time()
        threading.settrace(self._enter)
        sys.settrace(self._enter)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)
            lines = {file: sorted(numbers) for file, numbers in self._found.items()}
            self.tests[item.nodeid] = {
                "seconds": round(time.thread_time() - began, 4),
                "lines": lines,
                "failed": self._failed,
            }

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed = self._failed or report.failed

    def _enter(self, frame: FrameType, event: str, argument: object) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(self._product) or self._calls[code] == _CALLS:
            return None
        self._calls[code] += 1
        return self._line

    def _line(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            self._found[frame.f_code.co_filename].add(frame.f_lineno)
        return self._line


class _Collected:
    """A plugin that does its own work with the tests in place of running them."""

    def __init__(self, work: Callable[[pytest.Session], None]) -> None:
        self._work = work

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._work(session)
        return True


class _Finder:
    """Imports one module with another source."""

    def __init__(self, path: Path, name: str, source: bytes) -> None:
        self._path, self._name, self._source = path, name, source

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> Any:
        if name != self._name:
            return None
        loader = _Loader(name, str(self._path))
        loader.source = self._source
        return importlib.util.spec_from_file_location(name, self._path, loader=loader)


class _Loader(importlib.machinery.SourceFileLoader):
    source = b""

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.source, self.path, "exec")


def _traced(files: Sequence[Path], plugin: _Tracing) -> bytes:
    code = pytest.main([*_OPTIONS, "--maxfail=0", *map(str, files)], plugins=[plugin])
    if code not in (0, 1):
        return b""
    return json.dumps({name: each for name, each in plugin.tests.items() if each["seconds"] <= _SLOWEST}).encode()


def _fails(session: pytest.Session, items: Sequence[pytest.Item], caches: Sequence[Any]) -> bool:
    """Run these; whether one of them fails."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        _forget(caches)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return True
    return False


def _caches() -> list[Any]:
    """The memories of `lru_cache`: what a test finds there must not depend on those before it."""
    return [each for each in gc.get_objects() if type(each) is functools._lru_cache_wrapper]


def _forget(caches: Sequence[Any]) -> None:
    for each in caches:
        each.cache_clear()


def _codes(code: CodeType) -> list[CodeType]:
    inner = [each for const in code.co_consts if isinstance(const, CodeType) for each in _codes(const)]
    return [code, *inner]


def _comprehensions(code: CodeType) -> list[CodeType]:
    """Those that are evaluated where they stand."""
    inner = [each for each in code.co_consts if isinstance(each, CodeType) and each.co_name.startswith("<")]
    return [each for each in inner if each.co_name != "<lambda>"]


def _own(code: CodeType) -> object:
    constants = [(type(const), const) for const in code.co_consts if not isinstance(const, CodeType)]
    return code.co_code, code.co_names, repr(constants)


def _in_child(work: Callable[[], bytes], cpu: float, wall: float) -> bytes:
    """The result of `work` in a process of its own, empty where it does not end within these seconds."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.close(reader)
        _alone(work, writer, cpu)
    os.close(writer)
    found = b""
    with contextlib.closing(_Deadline(child, wall)), os.fdopen(reader, "rb") as pipe:
        found = pipe.read()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what it left behind
    os.waitpid(child, 0)
    return found


def _alone(work: Callable[[], bytes], writer: int, cpu: float) -> None:
    try:
        os.setsid()
        silence = os.open(os.devnull, os.O_RDWR)
        for each in (0, 1, 2):
            os.dup2(silence, each)
        seconds = int(time.process_time() + cpu) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        result = work()
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(result)
    finally:
        os._exit(0)


class _Deadline:
    """Ends a process group that takes too long."""

    def __init__(self, group: int, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end, (group,))
        self._timer.daemon = True
        self._timer.start()

    def close(self) -> None:
        self._timer.cancel()
        self._timer.join()

    @staticmethod
    def _end(group: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
