"""Finds tests outside the timing group that judge moments of real time (CONTRIBUTING.md, "Time").

`moments.py [PATH...]`, by default every test of the repository; one line for each finding.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steps import ROOT

FOLDERS = ("tests", "protocol/python/tests", "server/tests", "clients/python/tests")
JS_FOLDERS = ("clients/js/packages", "clients/js/apps", "clients/js/test", "examples")
LEFT_OUT = ("tests/bench/", "tests/soak/", "tests/walks/", "tests/integration/test_cluster_")
"""What `make test` does not run; the last are runs of `make system` that hold figures."""

CLOCKS = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "time", "time_ns"}
"""Names of functions that read a clock of the machine, `loop.time` among them."""

MEASURED = {"elapsed_s", "t_ms"}
"""Attributes and keys that hold what somebody has measured."""

REASONS = {
    "silence": "something must not happen, for a while",
    "pace": "sends or plays at the pace of real sound",
    "slow": "a part that takes its time, as those of the world do",
    "moment": "another moment of the same race; whichever comes, the same holds",
    "timeout": "a timeout of ours has to pass",
    "poll": "looks again until a deadline",
}
"""Why a test may let real time pass, said behind the line: `# real time: silence`."""

BOUNDS = {
    "order": "no machine is too slow for it: a bound from below, or one that grows with time",
    "processor": "processor time, which others do not lengthen",
}
"""Why a test may hold something measured against a bound, said in the same way."""

FOLLOWED = {
    "abs", "array", "diff", "float", "int", "list", "max", "mean", "median", "min", "percentile",
    "quantile", "round", "sorted", "sum", "zip", "enumerate",
}  # fmt: skip
"""Functions that return what was measured when they are given it."""

VIRTUAL = {"in_virtual_time", "VirtualTime", "virtual"}
REAL = re.compile(r"running_server|websockets|subprocess|open_connection")
"""Of what the virtual clock knows nothing."""

JS_BOUND = re.compile(
    r"\.toBe(?:Less|Greater)Than(?:OrEqual)?\(|\.toBeCloseTo\(",
)
JS_REASON = re.compile(r"// real time: (\w+)")
JS_CLOCK = re.compile(
    r"\b\w*[a-z]Ms\b(?!\.length)|\bms\b(?!\.length)|\b[A-Z_]+_MS\b|\b(?:performance|Date)\.now\("
)
JS_READS = re.compile(r"\b(?:performance|Date)\.now\(")
JS_VIRTUAL = re.compile(r"useFakeTimers|VirtualTime|ManualClock|virtualTime")


@dataclass
class Scope:
    """Names in a function that hold what was measured."""

    names: set[str] = field(default_factory=set)


def place_of(path: Path) -> Path:
    """As it is shown."""
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def _called(node: ast.AST) -> str:
    """Last name of what is called; empty if it is no call."""
    if isinstance(node, ast.Await):
        node = node.value
    if not isinstance(node, ast.Call):
        return ""
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _decorations(node: ast.AST) -> Iterator[ast.expr]:
    yield from getattr(node, "decorator_list", [])


def _in_group(function: ast.AST) -> bool:
    return any("mark.timing" in ast.unparse(it) for it in _decorations(function))


def _is_mark(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node).endswith("mark.timing")


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
ASSIGNMENTS = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr)
LOOPS = (ast.For, ast.comprehension)


class Module:
    """One file of tests.

    Args:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = path.read_text("utf-8").splitlines()
        self.tree = ast.parse("\n".join(self.lines))
        self.parents: dict[ast.AST, ast.AST] = {}
        self.functions: dict[ast.AST, ast.AST] = {self.tree: self.tree}
        for parent in ast.walk(self.tree):  # parents before their parts
            outer = self.functions[parent]
            inner = parent if outer is self.tree and isinstance(parent, FUNCTIONS) else outer
            for child in ast.iter_child_nodes(parent):
                self.parents[child] = parent
                self.functions[child] = inner
        self.measuring: set[str] = set()
        self.scopes: dict[ast.AST, Scope] = {}
        self.follow(())

    # what was measured

    def _function_of(self, node: ast.AST) -> ast.AST:
        """The outermost function that it is in; the module if none."""
        return self.functions[node]

    def _measured(self, node: ast.AST, scope: Scope) -> bool:
        if isinstance(node, ast.Name):
            return node.id in scope.names
        if isinstance(node, ast.Attribute) and node.attr in MEASURED:
            return True
        if isinstance(node, ast.Constant):
            return node.value in MEASURED
        if isinstance(node, ast.Call):
            if self._reads_clock(node):
                return not self._is_virtual_helper(node)
            if _called(node) not in FOLLOWED:
                return False
        return any(self._measured(part, scope) for part in ast.iter_child_nodes(node))

    def _reads_clock(self, call: ast.Call) -> bool:
        name = _called(call)
        if name in CLOCKS and not (name == "time" and isinstance(call.func, ast.Name)):
            return not call.args
        return name in self.measuring

    def follow(self, helpers: Iterable[str]) -> None:
        """Follow what was measured through assignments, appends and returns.

        Args:
            helpers: Names of functions elsewhere that return what they have measured.
        """
        self.measuring = set(helpers)
        self.scopes = {function: Scope() for function in self.functions.values()}
        kinds = (*ASSIGNMENTS, *LOOPS, ast.Call, ast.Return)
        carriers = [node for node in self.functions if isinstance(node, kinds)]
        while True:
            before = self._size()
            for node in carriers:
                self._carry(node, self.scopes[self._function_of(node)])
            if self._size() == before:
                return

    def _carry(self, node: ast.AST, scope: Scope) -> None:
        if isinstance(node, ASSIGNMENTS):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets if node.value is not None else []:
                self._assign(target, node.value, scope)
        elif isinstance(node, ast.Call) and _called(node) in ("append", "add", "extend"):
            if isinstance(node.func, ast.Attribute) and any(
                self._measured(argument, scope) for argument in node.args
            ):
                self._taint(node.func.value, scope)
        elif isinstance(node, LOOPS):
            if self._measured(node.iter, scope):
                self._taint(node.target, scope)
        elif isinstance(node, ast.Return) and node.value is not None:
            inner = self.parents[node]
            while not isinstance(inner, FUNCTIONS):
                inner = self.parents[inner]
            if self._measured(node.value, scope):
                self.measuring.add(inner.name)

    def _size(self) -> tuple[int, int]:
        return sum(len(scope.names) for scope in self.scopes.values()), len(self.measuring)

    def _assign(self, target: ast.AST, value: ast.AST, scope: Scope) -> None:
        """Part by part, when both sides are tuples."""
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, its in zip(target.elts, value.elts, strict=False):
                self._assign(one, its, scope)
        elif self._measured(value, scope):
            self._taint(target, scope)

    def _taint(self, target: ast.AST, scope: Scope) -> None:
        if isinstance(target, ast.Name):
            scope.names.add(target.id)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for part in target.elts:
                self._taint(part, scope)

    def defined(self) -> set[str]:
        """Names of its functions."""
        return {node.name for node in self.functions if isinstance(node, FUNCTIONS)}

    # what is found

    def _excused(self, node: ast.AST, names: set[str] | None = None) -> bool:
        """In the timing group, or, with names, in virtual time."""
        while node in self.parents:
            node = self.parents[node]
            for decorator in _decorations(node):
                text = ast.unparse(decorator)
                if "mark.timing" in text or (names and any(name in text for name in names)):
                    return True
        return any(
            isinstance(node, ast.Assign)
            and ast.unparse(node.targets[0]) == "pytestmark"
            and "mark.timing" in ast.unparse(node.value)
            for node in self.tree.body
        )

    def _reason(self, node: ast.stmt | ast.expr) -> str:
        for number in range(node.lineno - 1, (node.end_lineno or node.lineno) + 1):
            line = self.lines[number - 1] if 0 < number <= len(self.lines) else ""
            if found := re.search(r"# real time: (\w+)", line):
                return found[1]
        return ""

    def _waits_in_a_loop(self, node: ast.AST) -> bool:
        """A look, a wait, another look."""
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, ast.While):
                return not (isinstance(node.test, ast.Constant) and node.test.value is True)
            if isinstance(node, (*FUNCTIONS, ast.For, ast.AsyncFor)):
                return False
        return False

    def findings(self) -> Iterator[str]:
        """What is wrong, with its place."""
        for node in self.functions:
            if _is_mark(node) and not self._has_reason(node):
                yield self._at(node, "pytest.mark.timing without reason=")
            elif isinstance(node, ast.Assert):
                if self._judges(node) and not self._excused(node, VIRTUAL):
                    yield self._at(node, "judges a moment of real time")
            elif isinstance(node, ast.Call):
                yield from self._wait(node)

    def _judges(self, node: ast.Assert) -> bool:
        """It holds what was measured against a bound."""
        if self._reason(node) in BOUNDS or self._of_the_group(self._function_of(node)):
            return False
        scope = self.scopes[self._function_of(node)]
        return any(
            isinstance(part, ast.Compare) and self._bounds(part, scope)
            for part in ast.walk(node.test)
        )

    def _bounds(self, compare: ast.Compare, scope: Scope) -> bool:
        sides = [compare.left, *compare.comparators]
        ordered = any(isinstance(op, (ast.Lt, ast.LtE, ast.Gt, ast.GtE)) for op in compare.ops)
        if not ordered and "approx" not in ast.unparse(compare):
            return False
        if "deadline" in ast.unparse(compare) or not self._measured(compare, scope):
            return False
        # which of two moments came first is an order, and no bound
        sums = any(isinstance(part, ast.BinOp) for part in ast.walk(compare))
        return sums or not all(self._measured(side, scope) for side in sides)

    def _is_virtual_helper(self, node: ast.AST) -> bool:
        """In a file that runs in virtual time: a helper, or anything if nothing there is real."""
        text = "\n".join(self.lines)
        if not any(name in text for name in VIRTUAL):
            return False
        name = getattr(self._function_of(node), "name", "")
        return not name.startswith("test_") or not REAL.search(text)

    def _of_the_group(self, function: ast.AST, seen: tuple[str, ...] = ()) -> bool:
        """A helper that tests of the timing group alone call."""
        name = getattr(function, "name", "test_")
        if name.startswith("test_") or name in seen:
            return False
        callers = [
            self._function_of(node)
            for node in self.functions
            if isinstance(node, ast.Name) and node.id == name and node is not function
        ]
        callers = [caller for caller in callers if caller is not function]
        return bool(callers) and all(
            _in_group(caller) or self._of_the_group(caller, (*seen, name)) for caller in callers
        )

    def _has_reason(self, node: ast.AST) -> bool:
        call = self.parents.get(node)
        return isinstance(call, ast.Call) and any(word.arg == "reason" for word in call.keywords)

    def _wait(self, call: ast.Call) -> Iterator[str]:
        if _called(call) != "sleep" or not call.args or self._waits_in_a_loop(call):
            return
        delay = call.args[0]
        if isinstance(delay, ast.Constant) and delay.value == 0:
            return
        if self._excused(call, VIRTUAL) or self._is_virtual_helper(call):
            return
        reason = self._reason(call)
        if reason not in REASONS:
            yield self._at(call, "sleeps; wait for what should happen, or say why it has to")

    def _at(self, node: Any, what: str) -> str:
        return f"{place_of(self.path)}:{node.lineno}: {what}"


def python_findings(paths: Iterable[Path]) -> Iterator[str]:
    """What is wrong in files of Python."""
    modules = [Module(path) for path in paths]
    support = [module for module in modules if "support" in module.path.parts]
    shared = {name for module in support for name in module.measuring}
    shared -= {name for module in support for name in module.defined() - module.measuring}
    for module in modules:
        module.follow(shared)
        yield from module.findings()


def javascript_findings(paths: Iterable[Path]) -> Iterator[str]:
    """What is wrong in files of TypeScript."""
    for path in paths:
        text = path.read_text("utf-8")
        real = "browser" in path.parts or (JS_READS.search(text) and not JS_VIRTUAL.search(text))
        if ".timing.test." in path.name or not real:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            excused = (found := JS_REASON.search(line)) and found[1] in BOUNDS
            if JS_BOUND.search(line) and JS_CLOCK.search(line) and not excused:
                yield f"{place_of(path)}:{number}: judges a moment of real time"


def show(python: list[Path], javascript: list[Path]) -> int:
    """Print what is found in some files; the exit code."""
    found = [*python_findings(python), *javascript_findings(javascript)]
    if found:
        print("\n".join(found))
    return 1 if found else 0


def main(arguments: list[str]) -> int:
    """Print what is found; in the files that are named, or in every test of the repository."""
    if arguments:
        paths = [Path(argument).resolve() for argument in arguments]
        return show(
            [path for path in paths if path.suffix == ".py"],
            [path for path in paths if path.suffix != ".py"],
        )
    python = [p for f in FOLDERS for p in sorted((ROOT / f).rglob("*.py"))]
    python = [p for p in python if not str(p.relative_to(ROOT)).startswith(LEFT_OUT)]
    javascript = [
        p
        for f in JS_FOLDERS
        for p in sorted((ROOT / f).rglob("*.test.ts*"))
        if "node_modules" not in p.parts
    ]
    return show(python, javascript)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
