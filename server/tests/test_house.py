"""The rule of the house: only those who make and keep sessions know them."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "house_rules.py"
_spec = importlib.util.spec_from_file_location("house_rules", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
house = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(house)


def test_nobody_else_knows_a_session() -> None:
    assert house.main() == 0


@pytest.mark.parametrize(
    "planted",
    [
        "from voxwire_server.session.session import Session",
        "from voxwire_server import session",
        "import voxwire_server.session.registry",
        "def f():\n    from voxwire_server.session import table",
        "if TYPE_CHECKING:\n    from voxwire_server.session.session import Session",
        "class Part:\n    def __init__(self, session: Session) -> None: ...",
        'class Part:\n    def __init__(self, *, of: "Session | None" = None) -> None: ...',
    ],
)
def test_what_breaks_it_is_found(planted: str) -> None:
    assert list(house.broken(planted, "media/planted.py"))
    assert list(house.broken(planted, "session/planted.py")) == []


def test_a_name_that_only_looks_like_it_is_let_be() -> None:
    planted = "class Part:\n    def __init__(self, port: SessionPort, facts: SessionFacts): ..."
    assert list(house.broken(planted, "media/part.py")) == []
