"""The feature matrix has every message, every cell, and only tests that exist."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tests.interop.compatibility import PAGE, PEERS, ROOT, cells, page, seen
from tests.support.named_tests import exists
from voxwire_protocol import rtvi

WHOLE = [(kind, peer, cell) for kind in rtvi.MESSAGE_TYPES for peer, cell in cells(kind)]


def types_of_the_wheel() -> set[str]:
    """Types of all messages that the models of the installed wheel write and read."""
    path = ROOT / "protocol" / "vectors" / "rtvi_models.py"
    spec = importlib.util.spec_from_file_location("rtvi_models", path)
    assert spec is not None and spec.loader is not None
    models: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(models)
    return {str(entry["message"]["type"]) for entry in models.corpus()["messages"]}


def test_every_message_of_the_installed_wheel_has_a_row() -> None:
    wheel = types_of_the_wheel()
    assert len(wheel) > 40
    assert wheel <= set(rtvi.MESSAGE_TYPES), wheel - set(rtvi.MESSAGE_TYPES)


def test_no_cell_is_empty_and_few_are_unsupported() -> None:
    for kind, peer, cell in WHOLE:
        assert cell.status in ("pass", "degraded", "unsupported"), (kind, peer.key)
        assert cell.test in (peer.talk_test, peer.form_test, peer.corpus_test), (kind, peer.key)
        assert (cell.status == "pass") == (cell.why == ""), (kind, peer.key)
        assert cell.status != "unsupported" or "](https://" in cell.why, (kind, peer.key)
    unsupported = sum(cell.status == "unsupported" for _, _, cell in WHOLE)
    assert unsupported <= len(WHOLE) // 10


def test_what_was_seen_is_not_called_unsupported_and_is_of_a_peer_that_is_there() -> None:
    assert set(seen()) <= {peer.key for peer in PEERS if peer.records}
    for kind, peer, cell in WHOLE:
        assert not (cell.seen and cell.status == "unsupported"), (kind, peer.key)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.key)
def test_what_holds_a_column_is_a_test_that_exists(peer: Any) -> None:
    assert exists(peer.form_test), peer.form_test
    assert exists(peer.corpus_test), peer.corpus_test
    assert not peer.talk_test or exists(peer.talk_test), peer.talk_test


def test_the_page_is_what_the_table_writes() -> None:
    assert Path(PAGE).read_text("utf-8") == page(), "python -m tests.interop.compatibility"
