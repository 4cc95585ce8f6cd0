"""Stock pipecat-ai 1.14 over a WebSocket: FastAPIWebsocketTransport with protobuf frames."""

from fastapi import FastAPI, WebSocket
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport

from tests.bench.peers.echo import run_echo, serve

app = FastAPI()


@app.websocket("/ws")
async def websocket_endpoint(websocket: WebSocket) -> None:
    await websocket.accept()
    await run_echo(
        FastAPIWebsocketTransport(
            websocket=websocket,
            params=FastAPIWebsocketParams(
                audio_in_enabled=True,
                audio_out_enabled=True,
                add_wav_header=False,
                serializer=ProtobufFrameSerializer(),
            ),
        )
    )


if __name__ == "__main__":
    serve(app)
