"""Says back what it hears: the same processor that stock Pipecat runs."""

from tests.bench.peers.echo import Echo
from voxwire_server import BotSession


async def bot(session: BotSession) -> None:
    """Echoes until the client leaves."""
    await session.run([session.input(), Echo(), session.output()])
