"""Says back what it hears: the same processor that stock Pipecat runs."""

from voxwire_server import BotSession

from tests.bench.peers.echo import Echo


async def bot(session: BotSession) -> None:
    """Echoes until the client leaves."""
    await session.run([session.input(), Echo(), session.output()])
