"""The tests of the mobile bindings, in Rust, C and Kotlin, and of the client in Rust as other
clients are tested: `mobile.py`, or some: `mobile.py c`.

Each language whose tools are missing is left out with one line; `prepare` gets them on Debian.
"""

import resource
import sys
import time
from collections.abc import Callable

import driven
import native
import rust
from steps import StepError

LANGUAGES = ("rust", "c", "kotlin", "client")
UNASKED = LANGUAGES[:3]
"""`client` is asked for by name: `make test` runs it as shares of its own, at a higher priority."""


def prepare() -> None:
    """Has all that the tests are built from; says what is left out where something is missing.

    Raises:
        StepError: Rust is missing, and this is CI.
    """
    rust.prepare()
    if rust.missing_cargo():
        return
    native.prepare()


QUIETLY = ("--locked", "--offline", "-j1")
WITHOUT_C = ("-p", "voxwire-media", "--no-default-features", "--features", "ropus")
"""The media with a codec in Rust alone, in place of libopus."""


def run_rust() -> int:
    """The tests of the crates, and what is written from the library for other languages."""
    codes = [rust.run(["test", *which, *QUIETLY]) for which in (("--workspace",), WITHOUT_C)]
    return native.run_written() or codes[0] or codes[1]


RUNNERS: dict[str, Callable[[], int]] = {
    "rust": run_rust,
    "c": native.run_c,
    "kotlin": native.run_kotlin,
    "client": driven.run_client,
}
MISSING: dict[str, Callable[[], str | None]] = {
    "rust": rust.missing_cargo,
    "c": native.missing_c,
    "kotlin": native.missing_kotlin,
    "client": driven.missing_client,
}


def used_s() -> float:
    """Processor time of the processes that have ended, seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(name: str, run: Callable[[], int]) -> int:
    """Runs a language's tests and says what they took; returns the exit code."""
    started, used = time.monotonic(), used_s()
    code = run()
    took = f"{time.monotonic() - started:.1f} s, {used_s() - used:.1f} s of a processor"
    print(f"== {name}: {'ok' if code == 0 else 'FAILED'} ({took})", flush=True)
    return code


def build() -> int:
    """Builds the crates."""
    rust.build()
    return 0


def main(arguments: list[str]) -> int:
    """Runs the languages that were asked for, or all; returns the exit code."""
    if unknown := set(arguments) - set(LANGUAGES):
        print(f"mobile: no such language: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    try:
        if reason := rust.missing_cargo():
            raise StepError(reason)
        code = timed("build", build)
        for name in LANGUAGES:
            if name not in (arguments or UNASKED):
                continue
            if reason := MISSING[name]():
                print(f"== {name}: left out: {reason}", flush=True)
                continue
            code = timed(name, RUNNERS[name]) or code
    except StepError as error:
        print(f"mobile: {error}", file=sys.stderr)
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
