"""Stock pipecat-ai 1.14 over WebRTC: SmallWebRTCTransport behind its own request handler."""

from typing import Any

from fastapi import BackgroundTasks, FastAPI
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport

from tests.bench.peers.echo import run_echo, serve

app = FastAPI()
handler = SmallWebRTCRequestHandler()


async def run_bot(connection: SmallWebRTCConnection) -> None:
    await run_echo(
        SmallWebRTCTransport(
            webrtc_connection=connection,
            params=TransportParams(audio_in_enabled=True, audio_out_enabled=True),
        )
    )


@app.post("/api/offer")
async def offer(body: dict[str, Any], background_tasks: BackgroundTasks) -> dict[str, str] | None:
    async def start(connection: SmallWebRTCConnection) -> None:
        background_tasks.add_task(run_bot, connection)

    return await handler.handle_web_request(
        request=SmallWebRTCRequest.from_dict(body), webrtc_connection_callback=start
    )


if __name__ == "__main__":
    serve(app)
