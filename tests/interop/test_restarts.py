"""What Pipecat's own handler of offers answers to a client that comes back."""

import contextlib
from collections.abc import AsyncIterator

from aiortc import RTCPeerConnection
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)

from voxwire.rtvi._offers import is_other_connection


@contextlib.asynccontextmanager
async def offering() -> AsyncIterator[str]:
    """The SDP of an offer; its connection is closed when the block ends."""
    peer = RTCPeerConnection()
    peer.addTransceiver("audio")
    peer.createDataChannel("chat")
    await peer.setLocalDescription(await peer.createOffer())
    try:
        yield peer.localDescription.sdp
    finally:
        await peer.close()


async def test_the_name_of_a_connection_tells_whether_it_is_the_one_before() -> None:
    bots: list[SmallWebRTCConnection] = []

    async def on_connection(connection: SmallWebRTCConnection) -> None:
        bots.append(connection)

    handler = SmallWebRTCRequestHandler()

    async def ask(pc_id: str | None) -> str:
        async with offering() as sdp:
            request = SmallWebRTCRequest(sdp=sdp, type="offer", pc_id=pc_id, restart_pc=bool(pc_id))
            answer = await handler.handle_web_request(request, on_connection)
        assert answer is not None
        return answer["pc_id"]

    try:
        first = await ask(None)
        again = await ask(first)
        assert len(bots) == 1
        assert again != first
        assert not is_other_connection(first, again)
        other = await ask("SmallWebRTCConnection#999-" + "0" * 32)
        assert len(bots) == 2  # which it does not say
        assert is_other_connection(first, other)
        if restarting := bots[0]._renegotiation_task:
            await restarting  # pipecat's own, which it never ends
    finally:
        await handler.close()
