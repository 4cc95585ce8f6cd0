"""Where a caller is, by the samples that came out of ``voxwire call``, on real sockets.

F1 (believed position - true position) and F2 (from a cut to the caller's last sample) of every
vendor's wire; of Vonage nothing is promised, so its figures are printed and not judged. One short
run of it is in test_phone_command.py, and all of it in virtual time in test_phone_calls.py.
"""

from pathlib import Path

import pytest

from tests.support.phone_measured import REASON, measured
from tests.support.phone_vendors import FAR_ENDS

MORE_F2_MS = {"exotel": 100}
"""What a flush may take longer: pieces of 200 ms."""


@pytest.mark.timing(reason=REASON)
@pytest.mark.parametrize("vendor", FAR_ENDS)
async def test_the_caller_is_where_the_server_believes(vendor: str, tmp_path: Path) -> None:
    for delay_ms in (10, 40, 120):
        folder = tmp_path / str(delay_ms)
        folder.mkdir()
        found = await measured(vendor, delay_ms, folder)
        print(f"{vendor}, {delay_ms} ms each way: {found}")
        if vendor != "vonage":
            found.check(delay_ms, more_f2_ms=MORE_F2_MS.get(vendor, 0))
