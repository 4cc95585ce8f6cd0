"""clients/python/API.md: every public name, with what its source says and an example that runs."""

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

import voxwire
from tests.support.readmes import anchors

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "clients/python/API.md").read_text("utf-8")


@pytest.fixture
def gen_api(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("gen_api", ROOT / "scripts/gen_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gen_api", module)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_source_says_and_has_every_name(gen_api: ModuleType) -> None:
    assert gen_api.render() == PAGE
    assert {name.lower() for name in voxwire.__all__} <= anchors(PAGE)
    assert str(ROOT) not in PAGE


def test_a_name_without_an_example_is_refused(
    gen_api: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for place in gen_api.PLACES:
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text("")
    monkeypatch.setattr(gen_api, "EXAMPLES", tmp_path)
    with pytest.raises(gen_api.ApiError, match=r"no example has .*AppMessage"):
        gen_api.render()


def test_a_name_without_a_docstring_is_refused(gen_api: ModuleType) -> None:
    (node,) = ast.parse("def verb(): ...").body
    with pytest.raises(gen_api.ApiError, match="verb has no docstring"):
        gen_api.explained(node, "verb")
