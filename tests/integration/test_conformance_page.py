"""The page of what every client does: nothing new is left out of it, nothing on it is invented."""

import importlib
import tomllib
from pathlib import Path
from typing import Any

import pytest

from voxwire_protocol import wire

ROOT = Path(__file__).parents[2]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script that writes it."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("gen_conformance")


@pytest.fixture
def source(page: Any) -> dict[str, Any]:
    """What conformance.toml says, without the client whose every cell is the same."""
    read = tomllib.loads(page.SOURCE.read_text("utf-8"))
    read["clients"].remove("Swift")
    read["cell"] = [cell for cell in read["cell"] if cell["client"] != "Swift"]
    return read


def test_a_message_that_is_new_in_the_schema_is_missed(
    page: Any, source: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    page.render(source)
    monkeypatch.setattr(wire, "CLIENT_PAYLOADS", {*wire.CLIENT_PAYLOADS, "transcript"})
    with pytest.raises(page.ConformanceError, match="Python has no cell for: sends transcript"):
        page.render(source)


def test_a_verb_that_is_new_in_an_interface_is_missed(page: Any, source: dict[str, Any]) -> None:
    del source["verbs"]["mute"]
    with pytest.raises(page.ConformanceError, match="verbs that the page does not know: mute"):
        page.render(source)


def test_a_test_that_is_gone_is_missed(page: Any, source: dict[str, Any]) -> None:
    cell = next(cell for cell in source["cell"] if "test" in cell)
    cell["test"] += "_of_old"
    with pytest.raises(page.ConformanceError, match="there is no test"):
        page.render(source)
