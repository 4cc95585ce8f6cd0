"""Builds what is JavaScript: the packages, and the console into the server's static files.

`javascript.py build [--quiet]`; does nothing when nothing has changed since.
"""

import hashlib
import re
import shutil
import sys
from pathlib import Path

from steps import NODE_BIN, ROOT, Line, StepError, capture, stream, tail

JS = ROOT / "clients" / "js"
CONSOLE = ROOT / "server" / "src" / "voxwire_server" / "console"
STAMP = ROOT / "node_modules" / ".voxwire-build"
MIN_NODE = 20
SOURCES = ("packages", "apps", "scripts", "tsconfig.json", "tsconfig.base.json")
SKIPPED = {"dist", "node_modules", "screenshots", "test"}


def node_version() -> int:
    """Major version of Node; 0 = there is none."""
    code, output = capture(["node", "--version"])
    found = re.match(r"v(\d+)\.", output.strip()) if code == 0 else None
    return int(found[1]) if found else 0


def missing_node() -> str | None:
    """What is missing for the JavaScript side, and how to get it; None = nothing."""
    version = node_version()
    if version < MIN_NODE:
        have = f"node {version}" if version else "no node"
        return (
            f"{have} here; install Node.js >= {MIN_NODE} with npm (nodejs.org, or nvm install 20)"
        )
    if shutil.which("npm") is None:
        return "node without npm here; install npm"
    return None


def has_packages() -> bool:
    """Whether npm's packages are installed."""
    return (NODE_BIN / "vite").exists() and (NODE_BIN / "tsc").exists()


def source_files() -> list[Path]:
    """Everything that a build reads."""
    found: list[Path] = []
    for name in SOURCES:
        path = JS / name
        files = [path] if path.is_file() else path.rglob("*")
        found += [
            file
            for file in files
            if file.is_file() and not SKIPPED & set(file.relative_to(JS).parts)
        ]
    return sorted(found)


def fingerprint() -> str:
    """Changes whenever a build is needed."""
    digest = hashlib.sha256((ROOT / "package-lock.json").read_bytes())
    for file in source_files():
        digest.update(str(file.relative_to(ROOT)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def is_built() -> bool:
    """Whether everything is built from the sources as they are."""
    products = [JS / "packages" / "client" / "dist" / "index.js", CONSOLE / "index.html"]
    if not all(path.exists() for path in products) or not STAMP.exists():
        return False
    return STAMP.read_text("utf-8") == fingerprint()


def build() -> None:
    """Builds packages and console.

    Raises:
        StepError: A tool is missing, or found a mistake.
    """
    if is_built():
        return
    if (reason := missing_node()) is not None:
        raise StepError(reason)
    if not has_packages():
        raise StepError("npm's packages are not installed: python3 scripts/setup.py --npm")
    line = Line("build the JavaScript packages and the console")
    vite = [NODE_BIN / "vite", "build", JS / "apps" / "console", "--logLevel", "warn"]
    for command in (["node", JS / "scripts" / "build.mjs"], vite):
        code, output = stream(command, lambda _: line.update("working"))
        if code != 0:
            raise StepError(f"{Path(command[0]).name} failed:\n{tail(output, 40)}")
    STAMP.write_text(fingerprint(), "utf-8")
    line.done("done")


def main(arguments: list[str]) -> int:
    """Builds; with --optional, a machine without Node is no failure."""
    try:
        build()
    except StepError as error:
        optional = "--optional" in arguments and (missing_node() or not has_packages())
        print(f"build: {error}", file=sys.stdout if optional else sys.stderr)
        if optional:
            print("build: going on without the console: / will say what to install")
        return 0 if optional else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
