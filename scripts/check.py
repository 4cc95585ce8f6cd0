"""Every check that runs no test: `check.py [--fix]`. Each is a function that returns its output.

`make test` runs those that need only Python; those that need npm's tools run when they are there.
"""

import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import rust
from javascript import JS, build
from steps import BIN, NODE_BIN, OUT, PYTHON, ROOT, StepError, capture, tracked_files

# What must not be in a tracked file, spelled so that this file does not match itself.
LEAKS = {
    "package registry address": r"pythonhosted\.o[r]g|pypi\.org/s[i]mple|regis[t]ry\.(npm|yarn)",
    "package index option": r"--(?:extra-)?ind[e]x-url|--find-l[i]nks[ =]/|--trusted-h[o]st",
    "resolved address in a lock file": r'"resol[v]ed":\s*"http',
    "machine path": r"(?<![\w.])/(?:r[o]ot|h[o]me/\w+|U[s]ers/\w+|w[o]rk|opt/wh[e]els)/",
}
LOOPBACK = {"127.0.0.1", "[::1]", "localhost"}
BINARY = {".png", ".wav", ".binpb", ".ico", ".woff2", ".onnx", ".gz", ".zip"}


@dataclass(frozen=True)
class Outcome:
    """How a check ended; `note` is shown beside an `ok`, `output` only when it failed."""

    ok: bool
    output: str = ""
    note: str = ""


def tool(*command: str | Path) -> Outcome:
    """Runs a command-line tool as a check."""
    code, output = capture(command)
    return Outcome(code == 0, output)


def ruff() -> Outcome:
    """Lint rules."""
    return tool(BIN / "ruff", "check", ".")


def layout() -> Outcome:
    """Formatting."""
    return tool(BIN / "ruff", "format", "--check", ".")


def imports() -> Outcome:
    """Who may import whom (contracts in pyproject.toml)."""
    outcome = tool(BIN / "lint-imports", "--no-cache")
    lines = [line for line in outcome.output.splitlines() if not set("╔║╚") & set(line)]
    return Outcome(outcome.ok, "\n".join(lines))


def house() -> Outcome:
    """Who may know a session."""
    return tool(sys.executable, ROOT / "scripts" / "house_rules.py")


def generated() -> Outcome:
    """Generated code is what the schema says."""
    return tool(sys.executable, ROOT / "scripts" / "gen.py", "--check")


def leak_patterns(indexes: str) -> dict[str, str]:
    """Patterns of what nobody else should have, by kind.

    Args:
        indexes: Addresses of the package indexes that are used here, in any text.
    """
    patterns = dict(LEAKS)
    if len(ROOT.parts) > 2:  # a clone at /src would find itself wherever somebody writes of /src
        patterns["path of this clone"] = re.escape(str(ROOT)) + r"(?![\w-])"
    for host in set(re.findall(r"//(?:[^/\s]*@)?(\[[^\]\s]*\]|[^/:\s'\"]+)", indexes)) - LOOPBACK:
        before = r"(?<![\w.-])" if "." in host else "(?<=//)"  # "mirror" is a word, too
        patterns[f"mirror host {host}"] = before + re.escape(host) + r"(?![\w-])"
    return patterns


def leaks() -> Outcome:
    """No machine path and no registry address in a tracked file."""
    named = [os.environ.get(name, "") for name in ("PIP_INDEX_URL", "npm_config_registry")]
    patterns = {kind: re.compile(text) for kind, text in leak_patterns(" ".join(named)).items()}
    found: list[str] = []
    for path in tracked_files():
        if path.suffix in BINARY or path.stat().st_size > 5_000_000:
            continue
        text = path.read_text("utf-8", errors="replace")
        for name, pattern in patterns.items():
            if match := pattern.search(text):
                number = text.count("\n", 0, match.start()) + 1
                found.append(f"{path.relative_to(ROOT)}:{number}: {name}: {match[0]}")
    return Outcome(not found, "\n".join(found))


def notices() -> Outcome:
    """Who else's work is in ours, or required, and under which licence."""
    outcome = tool(PYTHON, ROOT / "scripts" / "notices.py", "--check")
    return Outcome(outcome.ok, outcome.output, outcome.output.partition("; ")[2].strip())


def real_time() -> Outcome:
    """No test outside the timing group judges moments of real time (moments.py says which does)."""
    return tool(sys.executable, ROOT / "scripts" / "moments.py")


def types() -> Outcome:
    """Types, strictly."""
    return tool(NODE_BIN / "pyright", "--pythonpath", PYTHON)


def schema() -> Outcome:
    """Style and comments of the schema."""
    return tool(NODE_BIN / "buf", "lint")


def breaking_base() -> str | None:
    """What the schema must stay compatible with: the last tag, else main; None without either."""
    code, tag = capture(["git", "describe", "--tags", "--abbrev=0"])
    candidates = [f"refs/tags/{tag.strip()}"] if code == 0 else []
    for reference in [*candidates, "refs/heads/main", "refs/remotes/origin/main"]:
        code, _ = capture(
            ["git", "rev-parse", "--verify", "--quiet", f"{reference}:protocol/proto"]
        )
        if code == 0:
            return reference
    return None


def breaking() -> Outcome:
    """The schema still understands its past."""
    base = breaking_base()
    if base is None:
        return Outcome(True, note="nothing to compare with: neither a tag nor main has a schema")
    outcome = tool(NODE_BIN / "buf", "breaking", "--against", f".git#ref={base}")
    return Outcome(outcome.ok, outcome.output, f"against {base.removeprefix('refs/')}")


PYTHON_CHECKS: dict[str, Callable[[], Outcome]] = {
    "generated code": generated,
    "ruff": ruff,
    "format": layout,
    "imports": imports,
    "house": house,
    "leaks": leaks,
    "real time": real_time,
}


def biome() -> Outcome:
    """Lint rules and format of the TypeScript."""
    return tool(NODE_BIN / "biome", "check", "--error-on-warnings", "clients/js", "examples")


def javascript() -> Outcome:
    """Types of the TypeScript, and a build of it."""
    try:
        build()
    except StepError as error:
        return Outcome(False, str(error))
    return Outcome(True)


def packages() -> Outcome:
    """What npm would publish: exports, types, files (publint, attw)."""
    outputs: list[str] = []
    for folder in sorted((JS / "packages").iterdir()):
        publint = [NODE_BIN / "publint", folder, "--strict"]
        attw = [NODE_BIN / "attw", "--pack", folder, "--profile", "esm-only", "--no-color"]
        for command in (publint, attw):
            code, output = capture(command)
            if code != 0:
                outputs.append(f"{command[0].name} {folder.name}\n{output}")
    return Outcome(not outputs, "\n".join(outputs))


def size() -> Outcome:
    """Bytes that a page loads."""
    code, output = capture(["node", JS / "scripts" / "size.mjs"])
    return Outcome(code == 0, output, " ".join(output.split()))


NPM_CHECKS: dict[str, Callable[[], Outcome]] = {
    "buf lint": schema,
    "buf breaking": breaking,
    "pyright": types,
    "biome": biome,
    "javascript": javascript,
    "npm packages": packages,
    "size": size,
    "notices": notices,
}


def cargo(*arguments: str) -> Outcome:
    """Runs a command of cargo's on the mobile bindings as a check."""
    manifest = ["--manifest-path", str(rust.WORKSPACE / "Cargo.toml")]
    command = [rust.cargo() or "cargo", arguments[0], *manifest, *arguments[1:]]
    code, output = capture(command, env=rust.environment())
    return Outcome(code == 0, output)


def rustfmt() -> Outcome:
    """Formatting of the Rust."""
    return cargo("fmt", "--all", "--check")


def clippy() -> Outcome:
    """Lint rules of the Rust, and a comment on every public item."""
    return cargo("clippy", "--locked", "--offline", "-j1", "--all-targets", "--", "-Dwarnings")


RUST_CHECKS: dict[str, Callable[[], Outcome]] = {"rustfmt": rustfmt, "clippy": clippy}


def has_rust_tools() -> bool:
    """Whether cargo is here with rustfmt, clippy and the crates."""
    if rust.missing_cargo() or not (rust.has("fmt") and rust.has("clippy")):
        return False
    try:
        rust.fetch()
    except StepError as error:
        print(f"  {error}", flush=True)
        return False
    return True


def has_npm_tools() -> bool:
    """Whether setup could install buf and pyright."""
    return shutil.which("npm") is not None and (NODE_BIN / "buf").exists()


def run_checks() -> tuple[int, int]:
    """Runs and shows every check that can run here; returns how many passed and failed."""
    checks = dict(PYTHON_CHECKS)
    if has_npm_tools():
        checks |= NPM_CHECKS
    else:
        print(f"  not checked without npm: {', '.join(NPM_CHECKS)}", flush=True)
    if has_rust_tools():
        checks |= RUST_CHECKS
    else:
        print(f"  not checked without cargo and its crates: {', '.join(RUST_CHECKS)}", flush=True)
    failed: list[str] = []
    for name, check in checks.items():
        started = time.monotonic()
        outcome = check()
        word = "ok" if outcome.ok else "FAILED"
        note = f"  {outcome.note}" if outcome.note else ""
        print(f"  {name:<15} {word:<7}{time.monotonic() - started:5.1f} s{note}", flush=True)
        if not outcome.ok:
            failed.append(name)
            OUT.mkdir(exist_ok=True)
            lines = outcome.output.strip().splitlines()
            for line in lines[:60]:
                print("    " + line)
            if len(lines) > 60:
                log = OUT / f"check-{name.replace(' ', '-')}.txt"
                log.write_text(outcome.output, "utf-8")
                print(f"    ... {len(lines) - 60} more lines in {log.relative_to(ROOT)}")
            sys.stdout.flush()
    return len(checks) - len(failed), len(failed)


def fix() -> int:
    """Formats, and mends what the tools can mend."""
    commands: list[list[str | Path]] = [
        [BIN / "ruff", "check", "--fix", "--quiet", "."],
        [BIN / "ruff", "format", "."],
    ]
    if has_npm_tools():
        commands.append([NODE_BIN / "buf", "format", "--write"])
        commands.append([NODE_BIN / "biome", "check", "--write", "clients/js", "examples"])
    if has_rust_tools():
        commands.append([sys.executable, ROOT / "scripts" / "rust.py", "fmt"])
    code = 0
    for command in commands:
        status, output = capture(command)
        print(output.strip() or f"{Path(command[0]).name}: ok")
        code = code or status
    return code


def main(arguments: list[str]) -> int:
    """Runs the checks, or with --fix the mending."""
    if "--fix" in arguments:
        return fix()
    passed, failed = run_checks()
    print(f"check: {passed} ok, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
