"""What stands between this machine and a conversation, one check after the other."""

from collections.abc import Callable

from voxwire._diagnosis.checks import Check, CheckName, Diagnosis
from voxwire._diagnosis.devices import DeviceReadiness, DeviceStatus, device_status
from voxwire._diagnosis.run import Run
from voxwire._environment import Environment
from voxwire._live.audio import device_of
from voxwire._live.backend import Device
from voxwire.tokens import TokenLike
from voxwire_protocol.events import DeviceKind

__all__ = [
    "Check",
    "CheckName",
    "DeviceReadiness",
    "DeviceStatus",
    "Diagnosis",
    "device_states",
    "diagnose",
]


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
        microphone: The device to look for and to open for a moment; None = none.
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


async def device_states(
    *,
    microphone: bool | int | Device | None = True,
    speaker: bool | int | Device | None = True,
    environment: Environment | None = None,
) -> dict[DeviceKind, DeviceStatus]:
    """Whether a microphone and a speaker can be had, before `connect`; no server is asked.

    ::

        for kind, status in (await voxwire.device_states()).items():
            print(kind, status.state, status.reason, status.advice)

    Each is opened for a moment, so that a system which asks the user for permission does it here.
    PortAudio's list of devices is made anew only where what is asked for is not on it. Cancel-safe.

    Args:
        microphone: As for `connect`: True for the system's default; None or False = not looked at.
        speaker: The same.
        environment: For tests.

    Returns:
        What was found, by kind. What is wrong is in it, and not raised. Takes 15 s for each at
        most, and as a rule 0.1 s.

    Raises:
        UsageError: INVALID_ARGUMENT: a name fits several devices.
    """
    around = environment or Environment()
    asked = {DeviceKind.MICROPHONE: microphone, DeviceKind.SPEAKER: speaker}
    wanted = {kind: device_of(value) for kind, value in asked.items()}
    return {
        kind: await device_status(kind, device, around)
        for kind, device in wanted.items()
        if device is not None
    }
