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


def test_every_extra_is_looked_into(script: Any) -> None:
    found = {each.name for each in script("third_party").packages() if each.kind == "pypi"}
    assert {"espeakng-loader", "aiortc", "google-genai", "rich", "livekit", "sounddevice"} <= found
    assert "pytest" not in found
