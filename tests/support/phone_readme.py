"""What docs/telephone.md shows of events, as it runs (tests/integration/test_phone_offline.py)."""

from voxwire_protocol.events import BotWord, UserTranscript
from voxwire_server import BotSession

__all__ = ["listen"]


async def listen(session: BotSession) -> None:
    """Print what is heard on both sides."""
    async for event in session.events(BotWord, UserTranscript):
        who = "bot" if isinstance(event, BotWord) else "caller"
        print(f"{who}: {event.text}")
