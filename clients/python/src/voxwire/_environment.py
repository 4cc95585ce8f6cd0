"""What a session finds around it: the way to a server, and time. Tests give others."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from voxwire._live.backend import DeviceBackend
from voxwire._remembered import CarrierMemory
from voxwire._websocket import Dial, dial_websocket
from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock
from voxwire_protocol.daily import DailyCall, MakeRoom

__all__ = ["Environment"]

_OF_THIS_PROCESS: Final = CarrierMemory()


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a session finds around it.

    Attributes:
        dial: Opens the WebSocket of a control channel.
        clock: Tells the time of everything that a session judges, and wakes it. Where it is no
            clock of the machine the event loop must go by it, too (`VirtualTime`).
        jitter: Returns a number from 0 to 1: how far the waits between two tries are shortened
            (0) or prolonged (1).
        webrtc: False = there is no WebRTC here, whatever is installed.
        devices: Where live audio comes from and goes to; None = the devices of this machine.
        make_room: Makes this side of a Daily room.
        carriers: What is remembered of servers that WebRTC did not come about to.
    """

    dial: Dial = dial_websocket
    clock: Clock = SYSTEM_CLOCK
    jitter: Callable[[], float] = random.random
    webrtc: bool = True
    devices: DeviceBackend | None = None
    make_room: MakeRoom = DailyCall
    carriers: CarrierMemory = field(default=_OF_THIS_PROCESS, repr=False)
