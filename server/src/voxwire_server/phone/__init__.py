"""The telephone: how each vendor writes a call on a WebSocket, and how it signs it.

Pure, but for ``exchange``, which asks vendors to call somebody, and what ``orders`` writes with a
key of theirs.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxwire_server.config import Settings

__all__ = ["call"]


async def call(
    to: str, *, bot: str = "", vendor: str = "", settings: "Settings | None" = None
) -> str:
    """Call somebody; the server's bot begins when he answers.

    The vendor asks the server's webhook then, so one with the same settings has to run; it may be
    this process or another one. How many calls were made is counted in this process.

    Args:
        to: Number, with its country: ``+4930123456``. ``VOXWIRE_CALL_PREFIXES`` allows it.
        bot: Name of the bot; empty = the only one.
        vendor: By whom; empty = the only one that has an account.
        settings: Those of the server; None = as the environment has them.

    Returns:
        The vendor's name of the call, or of the request for it (Plivo).

    Raises:
        VoxwireError: INVALID_ARGUMENT: it is no number; FORBIDDEN: it may not be called;
            RATE_LIMITED: as many were called as may be; INVALID_STATE: no vendor can be asked;
            SERVICE_FAILED: the vendor refuses.
    """
    from voxwire_server.config import Settings
    from voxwire_server.phone.exchange import exchange_of

    return await exchange_of(settings or Settings()).call(to, bot=bot, vendor=vendor)
