"""Writes the golden cases in the folders beside it; ``--check`` only compares.

The expectations are written by hand in the ``*_cases.py`` beside this file and encoded with
plain protobuf: the code under test takes no part in making them. README.md says the format.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import address_cases
import capture_cases
import channel_cases
import clock_cases
import conversation_cases
import diagnosis_cases
import jitter_cases
import playout_cases
import quality_cases
import rtvi_cases
import rtvi_models
import rtvi_peers
import tool_cases
import wire_cases
import word_cases

ROOT = Path(__file__).resolve().parent
SCRIPTS = {
    "channel": channel_cases,
    "words": word_cases,
    "tools": tool_cases,
    "capture": capture_cases,
    "clock": clock_cases,
    "jitter": jitter_cases,
    "playout": playout_cases,
    "conversation": conversation_cases,
    "quality": quality_cases,
    "addresses": address_cases,
    "diagnosis": diagnosis_cases,
}
FOLDERS = ("wire", *SCRIPTS, "rtvi")
KEPT = {"rtvi/payloads.json"}  # written by hand


def files() -> Iterator[tuple[str, bytes]]:
    """Every file, as its path below this folder and its content."""
    for name, message, data in wire_cases.cases():
        yield f"wire/{name}.json", _json(message)
        yield f"wire/{name}.binpb", data
    for folder, module in SCRIPTS.items():
        for name, case in module.cases():
            yield f"{folder}/{name}.json", _json(case)
    for name, case in rtvi_cases.cases():
        for sender, message in rtvi_cases.written(name, case):
            rtvi_models.check(sender, message)
        yield f"rtvi/{name}.json", _json(case)
    yield "rtvi/corpus-pipecat.json", _json(rtvi_models.corpus())
    yield "rtvi/corpus-clients.json", _json(rtvi_peers.CLIENTS)
    yield "rtvi/corpus-older.json", _json(rtvi_peers.OLDER)


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def main() -> int:
    """Writes or compares; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check: bool = parser.parse_args().check
    wanted = dict(files())
    present = {
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).glob("*")
    } - KEPT
    stale = sorted(present - wanted.keys())
    changed = sorted(
        name
        for name, data in wanted.items()
        if name not in present or (ROOT / name).read_bytes() != data
    )
    if check:
        for name in (*changed, *stale):
            print(f"{name} is not what make.py writes", file=sys.stderr)
        return 1 if changed or stale else 0
    for name in stale:
        (ROOT / name).unlink()
    for name in changed:
        (ROOT / name).parent.mkdir(exist_ok=True)
        (ROOT / name).write_bytes(wanted[name])
    return 0


if __name__ == "__main__":
    sys.exit(main())
