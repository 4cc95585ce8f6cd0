"""What stands between this machine and a conversation, one check after the other."""

from collections.abc import Callable

from voxwire._diagnosis.checks import Check, CheckName, Diagnosis
from voxwire._diagnosis.run import Run
from voxwire._environment import Environment
from voxwire._live.backend import Device
from voxwire.tokens import TokenLike

__all__ = ["Check", "CheckName", "Diagnosis", "diagnose"]


async def diagnose(
    url: str,
    *,
    token: TokenLike = None,
    bot: str | None = None,
    microphone: bool | int | Device | None = None,
    speaker: bool | int | Device | None = None,
    on_check: Callable[[Check], object] | None = None,
    environment: Environment | None = None,
) -> Diagnosis:
    """Tries what a conversation needs. Opens a session, without a voice, and ends it again.

    One cause is one failed check; what needs it is skipped, and names it.

    Args:
        url: The server, as for `connect`.
        token: As for `connect`. One that is good once is used up.
        bot: As for `connect`.
        microphone: The device to look for; None = none.
        speaker: The same.
        on_check: Is called with each check as soon as it is made.
        environment: For tests.

    Returns:
        What was found. What is wrong is in it, and not raised. Takes 5 s a check at most, and 20 s
        in all.
    """
    run = Run(
        url,
        token=token,
        bot=bot or "",
        on_check=on_check,
        environment=environment or Environment(),
    )
    try:
        await run.network()
    finally:
        await run.close()
    await run.device("microphone", microphone)
    await run.device("speaker", speaker)
    return Diagnosis(tuple(run.checks))
