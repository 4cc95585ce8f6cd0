"""Cargo for the mobile bindings: `rust.py test [ARGUMENTS...]`, `rust.py pins`, or any command of
cargo's, as in `rust.py clippy`.

`Cargo.pins` is the workspace's Cargo.lock without the lines that say where a crate comes from: that
is for cargo's own configuration to say. Cargo.lock is written from it, and builds are `--locked`;
`rust.py pins` writes the pins after a version was changed in a Cargo.toml. Products are kept in the
user's cache, by pins and compiler, so that a second clone has less to build.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import install
from debian import install_debian_tools
from steps import ROOT, Line, StepError, capture, stream, tail

WORKSPACE = ROOT / "clients" / "mobile-bindings"
PINS = WORKSPACE / "Cargo.pins"
LOCK = WORKSPACE / "Cargo.lock"
MIN_RUST = (1, 88)
KEPT_DAYS = 30
"""Products of other pins and compilers that nobody has used for so long are removed."""

DEBIAN = {"cargo": "cargo-web"}
DEBIAN_CMAKE = {"cmake": "cmake"}
"""libopus is built with it."""

# What a lock file calls crates.io, whatever serves it; nothing is fetched from there.
CRATES_IO = "registry+https://" + "/".join(("github.com", "rust-lang", "crates.io-index"))


@cache
def cargo() -> Path | None:
    """The cargo to use: $CARGO, the one on the path, rustup's; None = there is none."""
    home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    named = os.environ.get("CARGO")
    for found in (named, shutil.which("cargo"), shutil.which("cargo", path=home / "bin")):
        if found:
            return Path(found)
    return None


@cache
def compiler() -> str:
    """What `rustc -vV` says; "" = there is none."""
    path = cargo()
    if path is None:
        return ""
    code, output = capture(["rustc", "-vV"], env=_with_path(path))
    return output if code == 0 else ""


def missing_cargo() -> str | None:
    """What is missing for the Rust side, and how to get it; None = nothing."""
    advice = "install Rust {}.{} or newer with rustup, or Debian's cargo-web".format(*MIN_RUST)
    found = re.search(r"^release: (\d+)\.(\d+)", compiler(), re.MULTILINE)
    if found is None:
        return f"no cargo here; {advice}"
    if (int(found[1]), int(found[2])) < MIN_RUST:
        return f"Rust {found[1]}.{found[2]} here; {advice}"
    if shutil.which("cmake") is None:
        return "no cmake here, which libopus is built with (Debian: cmake)"
    return None


def prepare() -> None:
    """Has all that the tests are built from: cargo (as root on Debian) and the crates; says what is
    left out where something is missing.

    Raises:
        StepError: Something is missing, and this is CI.
    """
    try:
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        if missing_cargo() and shutil.which("apt-get") and root:
            install_debian_tools(DEBIAN_CMAKE)
            if missing_cargo():
                install_debian_tools(DEBIAN)
            cargo.cache_clear()
            compiler.cache_clear()
        if reason := missing_cargo():
            raise StepError(reason)
        fetch()
    except StepError as error:
        if os.environ.get("CI"):
            raise
        print(f"test: the mobile bindings are left out: {error}", flush=True)


def is_ready() -> bool:
    """Whether the tests can be built: `prepare` got everything."""
    path = cargo()
    return (
        path is not None
        and not missing_cargo()
        and capture(_fetch(path, "--offline"), env=environment())[0] == 0
    )


def has(tool: str) -> bool:
    """Whether cargo has a command such as `fmt` or `clippy`."""
    path = cargo()
    return path is not None and capture([path, tool, "--version"], env=environment())[0] == 0


def _with_path(path: Path) -> dict[str, str]:
    """The environment in which cargo finds the compiler beside it."""
    return {**os.environ, "PATH": f"{path.parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def target() -> Path:
    """Where products are kept."""
    digest = hashlib.sha256(PINS.read_bytes() + compiler().encode())
    return install.cache(f"cargo-{digest.hexdigest()[:12]}")


def environment() -> dict[str, str]:
    """The environment that cargo runs in."""
    path = cargo()
    base = os.environ if path is None else _with_path(path)
    return {**base, "CARGO_TARGET_DIR": str(target()), "CARGO_TERM_COLOR": "never"}


def bindgen(*arguments: str | Path) -> list[str | Path]:
    """The command that writes other languages' bindings."""
    return [target() / "debug" / "voxwire-bindgen", *arguments]


def bindgen_environment() -> dict[str, str]:
    """What it runs in: it is compiled once for all clones, and told which one it is for."""
    return {**environment(), "CARGO_MANIFEST_DIR": str(WORKSPACE / "bindgen")}


def write_lock() -> None:
    """Writes Cargo.lock from the pins, unless it is so already."""
    text = PINS.read_text("utf-8")
    with_source = re.sub(r"^checksum = ", f'source = "{CRATES_IO}"\n\\g<0>', text, flags=re.M)
    if not LOCK.exists() or LOCK.read_text("utf-8") != with_source:
        LOCK.write_text(with_source, "utf-8")


def write_pins() -> int:
    """Brings Cargo.lock up to date with the Cargo.toml files, and writes the pins from it."""
    path = cargo()
    if path is None:
        raise StepError(missing_cargo() or "no cargo")
    write_lock()
    code = subprocess.run(
        [path, "metadata", "--format-version=1"],
        cwd=WORKSPACE,
        env=environment(),
        stdout=subprocess.DEVNULL,
        check=False,
    ).returncode
    if code == 0:
        PINS.write_text(re.sub(r"^source = .*\n", "", LOCK.read_text("utf-8"), flags=re.M), "utf-8")
    return code


def _fetch(path: Path, *options: str) -> list[str | Path]:
    """The command that has every crate in cargo's cache."""
    return [path, "fetch", "--locked", *options, "--manifest-path", WORKSPACE / "Cargo.toml"]


def fetch() -> None:
    """Has every crate in cargo's cache; asks the network for nothing that is there.

    Raises:
        StepError: A crate is not there, and cannot be had.
    """
    path = cargo()
    if path is None:
        raise StepError(missing_cargo() or "no cargo")
    write_lock()
    if capture(_fetch(path, "--offline"), env=environment())[0] == 0:
        return
    total = PINS.read_text("utf-8").count("\nchecksum = ")
    line = Line(f"download {total} crates")
    seen = 0

    def on_line(text: str) -> None:
        nonlocal seen
        seen += text.lstrip().startswith("Downloaded ")
        line.update(f"{seen} of {total} crates")

    code, output = stream(_fetch(path), on_line, env=environment())
    if code != 0:
        raise StepError(f"cargo could not get the crates that Cargo.pins names:\n{tail(output)}")
    line.done("done")


BUILD: list[str | Path] = [
    *("build", "--workspace", "--all-targets", "--locked", "--offline", "-j1"),
    *("--manifest-path", WORKSPACE / "Cargo.toml"),
]
"""Builds the library for C and Kotlin, what writes the header and the Kotlin, and every test."""


def built_schema() -> Path:
    """The descriptors of the schema that the build has written.

    Raises:
        StepError: The build is not done.
    """
    path = cargo()
    assert path is not None
    command = [path, *BUILD, "--message-format=json", "--quiet"]
    for line in capture(command, env=environment())[1].splitlines():
        message = json.loads(line) if line.startswith("{") else {}
        if message.get("reason") == "build-script-executed" and "core#" in message["package_id"]:
            return Path(message["out_dir"]) / "voxwire.descriptors"
    raise StepError("cargo does not say where the schema is")


def build() -> None:
    """Builds all of it, with a line of progress when that takes time.

    Raises:
        StepError: A crate cannot be had, or does not compile.
    """
    fetch()
    _remove_old()
    total = PINS.read_text("utf-8").count("[[package]]")
    line = Line("build the Rust crates")
    seen = 0

    def on_line(text: str) -> None:
        nonlocal seen
        seen += text.lstrip().startswith("Compiling ")
        line.update(f"{seen} of at most {total} crates")

    path = cargo()
    assert path is not None
    code, output = stream([path, *BUILD], on_line, env=environment())
    if code != 0:
        raise StepError(f"the Rust crates do not compile:\n{tail(output, 60)}")
    line.done(f"{seen} crates built" if seen else "nothing to do")


def _remove_old() -> None:
    """Removes products that nobody has used for long; marks ours as used."""
    ours = target()
    ours.mkdir(parents=True, exist_ok=True)
    os.utime(ours)
    for other in ours.parent.glob("cargo-*"):
        if time.time() - other.stat().st_mtime > KEPT_DAYS * 86_400:
            shutil.rmtree(other, ignore_errors=True)


def run(arguments: list[str]) -> int:
    """Runs cargo in the workspace, with the lock file and the target folder."""
    path = cargo()
    assert path is not None
    command = [path, *arguments]
    return subprocess.run(command, cwd=WORKSPACE, env=environment(), check=False).returncode


def main(arguments: list[str]) -> int:
    """Runs what was asked for; returns the exit code."""
    try:
        if reason := missing_cargo():
            raise StepError(reason)
        if arguments == ["pins"]:
            return write_pins()
        if arguments[:1] == ["test"]:
            build()
            return run(["test", "--locked", "--offline", "-j1", *arguments[1:]])
        write_lock()
        return run(arguments) if arguments else 0
    except StepError as error:
        print(f"rust: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
