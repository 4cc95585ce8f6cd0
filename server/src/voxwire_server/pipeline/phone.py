"""A telephone call, as a bot author sees it."""

from collections.abc import Mapping

from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode, make_error
from voxwire_server.phone.tones import KEYS, tones
from voxwire_server.pipeline.wires import Wires
from voxwire_server.ports import PhoneCall

__all__ = ["Phone"]

_MAX_KEYS = 64


class Phone:
    """The telephone call that a session is (``BotSession.phone``).

    Args:
        call: What is known of it.
        wires: Of its session.
    """

    def __init__(self, call: PhoneCall, wires: Wires) -> None:
        self._call = call
        self._wires = wires

    @property
    def vendor(self) -> str:
        """Who brings it: ``twilio``, ``telnyx``, ``plivo``, ``exotel``, ``vonage``."""
        return self._call.vendor

    @property
    def call_id(self) -> str:
        """The vendor's name of it."""
        return self._call.call_id

    @property
    def caller(self) -> str:
        """Number or address of who calls; empty = it was withheld. It is a claim: numbers are
        forged.
        """
        return self._call.caller

    @property
    def called(self) -> str:
        """Number or address that was called."""
        return self._call.called

    @property
    def attestation(self) -> str | None:
        """What the caller's network says of his number, where the vendor has verified it (SHAKEN).

        ``A``: it knows him, and the number is his to use; ``B``: it knows him alone; ``C``: it only
        knows where the call came in. None = nothing is known, as of most calls from outside the
        United States and Canada, of all calls of Plivo, Exotel and Vonage, and where the vendor
        could not verify it.
        """
        return self._call.attestation

    @property
    def parameters(self) -> Mapping[str, str]:
        """What was sent along. Not to be trusted: whoever opens the stream has written it."""
        return self._call.parameters

    @property
    def outgoing(self) -> bool:
        """Whether it began here (``voxwire_server.phone.call``): who is called is the user."""
        return self._call.outgoing

    async def transfer(self, to: str) -> None:
        """Put the caller through to somebody else; for this session that is the end.

        What the bot has said and nobody has heard yet is dropped: let it be heard first.

        Args:
            to: Number, with its country: ``+4930123456``. ``VOXWIRE_CALL_PREFIXES`` allows it.

        Raises:
            VoxwireError: INVALID_ARGUMENT: it is no number; FORBIDDEN: it may not be called;
                RATE_LIMITED: as many were called as may be; INVALID_STATE: the vendor cannot be
                asked; UNSUPPORTED: it has no such thing (Exotel); SERVICE_FAILED: it refuses.
        """
        if self._call.transfer is None:
            raise make_error(ErrorCode.INVALID_STATE, "nobody can put this call through")
        await self._call.transfer(to)

    async def send_keys(self, digits: str) -> None:
        """Press keys: tones in the bot's voice, behind what it has said so far.

        An interruption cuts them like speech.

        Args:
            digits: 1 to 64 of ``0``-``9``, ``*``, ``#``, ``A``-``D``.

        Raises:
            VoxwireError: INVALID_ARGUMENT: they are none.
        """
        if not 0 < len(digits) <= _MAX_KEYS or not set(digits) <= KEYS.keys():
            reason = f"send_keys takes 1 to {_MAX_KEYS} of 0-9, *, # and A-D"
            raise make_error(ErrorCode.INVALID_ARGUMENT, reason)
        pcm = tones(digits, self._wires.audio_out_sample_rate)
        self._wires.voice.place(pcm, new_stretch=True)

    async def hang_up(self) -> None:
        """End the call now; :meth:`BotSession.end` waits until what was said is heard."""
        self._wires.port.end(wire.EndReason.END_REASON_BOT)
