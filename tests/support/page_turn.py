"""The real coturn for a browser: ``page_turn.py FOLDER SECRET``.

Prints a line of JSON, ``here`` and ``nowhere``: the URLs of the server, and of ports where nobody
listens. It ends with its standard input.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.coturn import Coturn, coturn, free_ports
from tests.support.front import make_certificates

_PEERS = "allow-loopback-peers"
"""The server that a browser calls through it is on this machine."""


def _urls(at: Coturn) -> dict[str, object]:
    return {"stun": at.stun, "turn": at.turn}


def main(folder: Path, secret: str) -> None:
    """Runs it."""
    certificates = make_certificates(folder)
    with coturn(folder, secret=secret, certificates=certificates, more=_PEERS) as at:
        print(json.dumps({"here": _urls(at), "nowhere": _urls(free_ports())}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
