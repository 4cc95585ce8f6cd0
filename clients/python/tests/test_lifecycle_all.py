"""The whole lifecycle matrix: `test_lifecycle_matrix.py` says what must hold. ``-s`` prints it."""

import pytest
from lifecycle_matrix import table
from lifecycle_troubles import TROUBLES


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_cell(trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxwire._dispatcher._log.disabled", True)  # bugs of the program
    lines, failures, count = table(trouble)
    print("\n".join(lines), f"\n{count} cells, {len(failures)} faults")
    assert not failures, "\n".join(failures)
