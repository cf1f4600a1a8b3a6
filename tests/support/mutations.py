"""One-line changes of a source file, each of which a test should notice.

Each mutant replaces one span of the text; everything else stays as it is, so that its diff is what a careless hand
would have done. Annotations, docstrings, assertions, f-strings and sentences (strings with a space) are left alone.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

_COMPARISONS = {
    ast.Lt: ("<", ("<=", ">=")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: ("is not", ("is",)),
    ast.In: ("in", ("not in",)),
    ast.NotIn: ("not in", ("in",)),
}
_ARITHMETIC = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "//"),
    ast.FloorDiv: ("//", "*"),
    ast.Div: ("/", "*"),
    ast.Mod: ("%", "+"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}
_TWINS = {"min": "max", "any": "all", "startswith": "endswith", "partition": "rpartition"}
_TWINS |= {twin: name for name, twin in _TWINS.items()}
_IDLE = {"lower", "upper", "strip", "lstrip", "rstrip", "removeprefix", "removesuffix"}  # calls that may be left out
_COUNT = re.compile(rb"(?<=[{,])[0-9]+(?=[,}])")  # in a regular expression
_MEMBER = re.compile(r"[A-Z][A-Z0-9_]*")


class Mutant(NamedTuple):
    """`text` in place of the octets from `start` to `end`, in the statement on lines `first` to `last`."""

    start: int
    end: int
    text: str
    first: int
    last: int

    def apply(self, source: bytes) -> bytes:
        """The source with this change."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def line(self, source: bytes) -> int:
        """The line where the change begins."""
        return source.count(b"\n", 0, self.start) + 1

    def diff(self, source: bytes) -> str:
        """The lines before and after."""
        begin = source.rfind(b"\n", 0, self.start) + 1
        after = source.find(b"\n", self.end)
        old = source[begin : after if after >= 0 else len(source)].decode()
        new = (source[begin : self.start] + self.text.encode() + source[self.end : after]).decode()
        return "\n".join([*(f"- {each}" for each in old.splitlines()), *(f"+ {each}" for each in new.splitlines())])


def mutants_of(source: bytes) -> list[Mutant]:
    """All mutants of a source file, in order."""
    return sorted(set(_Mutator(source).found()), key=lambda each: (each.start, each.end, each.text))


class Uses:
    """Where files mention a name that one of them defines at its top, by itself or by other names."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._tops = {path: ast.parse(path.read_bytes()).body for path in paths}
        self._mentions: dict[str, list[tuple[str, int, ast.stmt]]] = {}
        for path, tops in self._tops.items():
            for top in tops:
                for node in ast.walk(top):
                    name = _mentioned(node)
                    if name:
                        self._mentions.setdefault(name, []).append((str(path), node.lineno, top))  # type: ignore[attr-defined]

    def of(self, path: Path, line: int) -> set[tuple[str, int]]:
        """The lines that may depend on the statement there."""
        here = [each for each in self._tops[path] if each.lineno <= line <= (each.end_lineno or line)]
        places = {(str(path), number) for each in here for number in range(each.lineno, (each.end_lineno or line) + 1)}
        waiting = [name for each in here for name in _defined(each)]
        names = set(waiting)
        while waiting:
            for file, number, top in self._mentions.get(waiting.pop(), ()):
                places.add((file, number))
                if isinstance(top, ast.Assign | ast.AnnAssign):
                    waiting += [each for each in _defined(top) if each not in names]
                    names.update(_defined(top))
        return places


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    return [each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)]


def _mentioned(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id if isinstance(node.ctx, ast.Load) else ""
    return node.attr if isinstance(node, ast.Attribute) else ""


class _Mutator:
    def __init__(self, source: bytes) -> None:
        self._source = source
        self._tree = ast.parse(source)
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._members: dict[str, list[str]] = {}  # of enumerations: those that this file names
        for node in ast.walk(self._tree):
            if _is_member(node):
                self._members.setdefault(node.value.id, []).append(node.attr)  # type: ignore[attr-defined]

    def found(self) -> Iterator[Mutant]:
        for statement in self._tree.body:
            yield from self._statement(statement, None)

    # Statements

    def _statement(self, node: ast.stmt, function: ast.AST | None) -> Iterator[Mutant]:
        if isinstance(node, ast.Assert | ast.Import | ast.ImportFrom | ast.Pass):
            return
        if function is None and _is_typing(node):
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return
        blocks = [part for name in ("body", "orelse", "finalbody", "handlers") for part in getattr(node, name, ())]
        first = node.lineno
        last = max(first, blocks[0].lineno - 1) if blocks else node.end_lineno or first
        for start, end, text in self._changes(node, function):
            yield Mutant(start, end, text, first, last)
        inner = node if isinstance(node, ast.FunctionDef) else function
        for part in blocks:
            if isinstance(part, ast.ExceptHandler):
                for each in part.body:
                    yield from self._statement(each, inner)
            else:
                yield from self._statement(part, inner)

    def _changes(self, node: ast.stmt, function: ast.AST | None) -> Iterator[tuple[int, int, str]]:
        match node:
            case ast.Raise() | ast.Expr() | ast.AugAssign() | ast.Delete() | ast.Continue() | ast.Break():
                yield *self._span(node), "pass"
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]) if function is not None:
                yield *self._span(node), "pass"
            case ast.Return(value=ast.expr() as value):
                start, end = self._span(value)
                returns = getattr(function, "returns", None)
                is_bool = isinstance(returns, ast.Name) and returns.id == "bool"
                for text in ("True", "False") if is_bool else ("None",):
                    if ast.unparse(value) != text:
                        yield start, end, text
            case ast.If(test=test) | ast.While(test=test):
                yield from self._negated(test)
        for expression in _expressions(node):
            if isinstance(expression, ast.Tuple):  # is unpacked elsewhere: one less is an error, not a fault
                for each in expression.elts:
                    yield from self._expression(each)
            else:
                yield from self._expression(expression)

    def _negated(self, test: ast.expr) -> Iterator[tuple[int, int, str]]:
        start, end = self._span(test)
        if isinstance(test, ast.BoolOp):
            yield start, end, "False"
        elif not isinstance(test, ast.Compare | ast.UnaryOp | ast.Constant):
            yield start, end, f"not {self._source[start:end].decode()}"

    # Expressions

    def _expression(self, node: ast.AST) -> Iterator[tuple[int, int, str]]:
        if isinstance(node, ast.JoinedStr):
            return
        match node:
            case ast.Compare():
                operands = [node.left, *node.comparators]
                for left, right, operator in zip(operands, operands[1:], node.ops, strict=False):
                    old, others = _COMPARISONS[type(operator)]
                    for new in others:
                        yield from self._between(left, right, old, new)
            case ast.BoolOp():
                old, new, neutral = ("and", "or", "True") if isinstance(node.op, ast.And) else ("or", "and", "False")
                for left, right in zip(node.values, node.values[1:], strict=False):
                    yield from self._between(left, right, old, new)
                for value in node.values:
                    yield *self._span(value), neutral
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                start, end = self._span(node)
                yield start, end, self._text(operand)
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                yield from self._between(node.left, node.right, *_ARITHMETIC[type(node.op)])
            case ast.IfExp(test=test):
                yield from self._negated(test)
            case ast.comprehension(ifs=tests):
                for test in tests:
                    yield from self._negated(test)
            case ast.Constant():
                yield from self._constant(node)
            case ast.Call():
                yield from self._call(node)
            case ast.Set(elts=members) | ast.List(elts=members) | ast.Tuple(elts=members) if len(members) > 1:
                yield from self._fewer(node, members)
            case ast.Dict(keys=keys, values=values) if len(keys) > 1:
                for at in range(len(keys)):
                    kept = ast.Dict(keys[:at] + keys[at + 1 :], values[:at] + values[at + 1 :])
                    yield *self._span(node), ast.unparse(kept)
            case ast.Attribute() if _is_member(node):
                yield from self._other_member(node)
        for child in ast.iter_child_nodes(node):
            yield from self._expression(child)

    def _constant(self, node: ast.Constant) -> Iterator[tuple[int, int, str]]:
        start, end = self._span(node)
        value = node.value
        if isinstance(value, bool):
            yield start, end, str(not value)
        elif isinstance(value, int | float):
            for other in (value + 1, value - 1):
                yield start, end, repr(other) if other >= 0 else f"({other!r})"
        elif isinstance(value, str | bytes):
            for count in _COUNT.finditer(self._source, start, end):
                yield count.start(), count.end(), str(int(count[0]) + 1)
            space = b" " if isinstance(value, bytes) else " "
            if value and (value == space or space not in value):  # type: ignore[operator]
                yield start, end, "b''" if isinstance(value, bytes) else "''"

    def _call(self, node: ast.Call) -> Iterator[tuple[int, int, str]]:
        function = node.func
        if isinstance(function, ast.Name) and function.id in _TWINS:
            yield *self._span(function), _TWINS[function.id]
        elif isinstance(function, ast.Attribute):
            _, end = self._span(function)
            if function.attr in _TWINS:
                yield end - len(function.attr), end, _TWINS[function.attr]
            if function.attr in _IDLE:
                yield *self._span(node), self._text(function.value)

    def _fewer(self, node: ast.Set | ast.List | ast.Tuple, members: list[ast.expr]) -> Iterator[tuple[int, int, str]]:
        start, end = self._span(node)
        for at in range(len(members)):
            kept = members[:at] + members[at + 1 :]
            yield start, end, ast.unparse(ast.Set(kept) if isinstance(node, ast.Set) else type(node)(kept, ast.Load()))

    def _other_member(self, node: ast.Attribute) -> Iterator[tuple[int, int, str]]:
        assert isinstance(node.value, ast.Name)
        others = sorted(set(self._members[node.value.id]))
        other = others[(others.index(node.attr) + 1) % len(others)]
        if other != node.attr:
            yield *self._span(node), f"{node.value.id}.{other}"

    # Text

    def _between(self, left: ast.expr, right: ast.expr, old: str, new: str) -> Iterator[tuple[int, int, str]]:
        start, end = self._span(left)[1], self._span(right)[0]
        at = self._source.find(old.encode(), start, end)
        if at >= 0:
            yield at, at + len(old), new

    def _span(self, node: ast.AST) -> tuple[int, int]:
        first, last = node.lineno, node.end_lineno  # type: ignore[attr-defined]
        start, end = node.col_offset, node.end_col_offset  # type: ignore[attr-defined]
        return self._lines[first - 1] + start, self._lines[last - 1] + end

    def _text(self, node: ast.expr) -> str:
        text = ast.unparse(node)
        return text if isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Constant) else f"({text})"


def _expressions(node: ast.stmt) -> Iterator[ast.AST]:
    """What a statement evaluates itself, without annotations and the statements within."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "targets", "target", "body", "orelse", "finalbody"):
            continue
        if name == "args":
            yield from (each for each in (*value.defaults, *value.kw_defaults) if each is not None)
        elif name == "handlers":
            yield from (handler.type for handler in value if handler.type is not None)
        elif name == "items":
            yield from (item.context_expr for item in value)
        elif name == "decorator_list":
            continue
        elif isinstance(value, ast.expr):
            yield value
        elif isinstance(value, list):
            yield from (each for each in value if isinstance(each, ast.expr))


def _is_member(node: ast.AST) -> bool:
    """`Detail.STALE_DATE` and its like."""
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id[:1].isupper()
        and not node.value.id.isupper()
        and _MEMBER.fullmatch(node.attr) is not None
    )


def _is_typing(node: ast.stmt) -> bool:
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    if isinstance(node, ast.ClassDef):
        return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)
    if isinstance(node, ast.Assign) and isinstance(
        node.value, ast.Subscript
    ):  # an alias, such as Callable[[str], bool]
        return isinstance(node.value.value, ast.Name)
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        return ast.unparse(node.value.func) in ("NewType", "TypeVar", "logging.getLogger")
    return False
