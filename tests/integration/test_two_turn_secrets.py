"""A new TURN secret, and the real coturn: what was handed out before goes on until it is told."""

import subprocess
import time
from pathlib import Path

import pytest

from tests.support.coturn import MISSING, coturn
from tests.support.front import make_certificates
from voxwire_protocol.rtc import try_turn
from voxwire_server.ice_servers import IceServers

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


def admin(folder: Path, *what: str) -> None:
    """What the recipe of examples/self-host does, while coturn runs."""
    command = ["turnadmin", *what, "-r", "test", "-b", str(folder / "turndb")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


async def test_coturn_takes_both_secrets_and_learns_and_forgets_one_while_it_runs(
    tmp_path: Path,
) -> None:
    certificates = make_certificates(tmp_path)
    lines = "static-auth-secret=second"
    with coturn(tmp_path, certificates=certificates, secret="first", more=lines) as at:
        servers = IceServers(turn_urls=[at.turn[0]], turn_secret="first")

        async def allocates() -> bool:
            minted = servers.mint("somebody", now_s=time.time(), ttl_s=None)
            [(_, error)] = await try_turn(minted)
            assert error is None or "401" in str(error)
            return error is None

        assert await allocates()
        before = servers.mint("somebody", now_s=time.time(), ttl_s=None)
        servers.become("second")
        assert await allocates()
        servers.become("third")
        assert not await allocates()
        admin(tmp_path, "-s", "third")
        assert await allocates()
        [(_, error)] = await try_turn(before)
        assert error is None
        admin(tmp_path, "-X", "third")
        assert not await allocates()
