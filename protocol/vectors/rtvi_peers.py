"""The forms that stock clients send, and those of bots and clients before RTVI 2.2.

Written down from their sources, which each group names. ``rtvi`` is the version that the peer says
it speaks; "none" marks types that no version of RTVI has.
"""

from typing import Any

_A, _B = "a1b2c3d4", "0b54e4d1-9f0c-4c1c-8b51-2f8f4d7c9a10"


def _m(kind: str, data: Any = ..., message_id: str | None = None) -> dict[str, Any]:
    message: dict[str, Any] = {"label": "rtvi-ai", "type": kind}
    if message_id is not None:
        message["id"] = message_id
    if data is not ...:
        message["data"] = data
    return message


def _js(kind: str, data: Any) -> dict[str, Any]:
    """client-js writes the id before the label."""
    return {"id": _A, "label": "rtvi-ai", "type": kind, "data": data}


_JS_ABOUT = {
    "library": "@pipecat-ai/client-react",
    "library_version": "1.5.0",
    "platform": "macOS",
    "platform_version": "10.15.7",
    "platform_details": {
        "browser": "Chrome",
        "browser_version": "140.0.0.0",
        "platform_type": "desktop",
        "engine": "Blink",
        "device_memory": 8,
        "language": "en-US",
        "connection": {"effectiveType": "4g", "downlink": 10, "rtt": 50},
    },
}
_CALL = {"function_name": "get_weather", "tool_call_id": "call_Xy1"}
_ZURICH = {"city": "Zürich"}
_FILE = {"type": "bytes", "bytes": "iVBORw0KGgo=", "width": 64, "height": 48}

CLIENTS: list[dict[str, Any]] = [
    {
        "peer": "js",
        "rtvi": "2.2.0",
        "source": "pipecat-client-web: client-js/rtvi/messages.ts, client-js/client/client.ts",
        "messages": [
            _js("client-ready", {"version": "2.1.0", "about": _JS_ABOUT}),
            _js(
                "client-ready", {"version": "2.2.0", "about": {"library": "@pipecat-ai/client-js"}}
            ),
            _js("disconnect-bot", {}),
            _js("client-message", {"t": "set_language", "d": {"language": "de"}}),
            _js("client-message", {"t": "heartbeat"}),
            _js("client-message", {"t": "volume", "d": 0.35}),
            _js("send-text", {"content": "What is the weather in Zürich?", "options": {}}),
            _js(
                "send-text",
                {"content": "Show it only.", "options": {"audio_response": False}},
            ),
            _js("dtmf", {"buttons": ["1", "2", "#"]}),
            _js(
                "llm-function-call-result",
                {
                    **_CALL,
                    "arguments": {"city": "Zürich"},
                    "result": {"degrees": 21.5, "rain": False},
                },
            ),
            _js("llm-function-call-result", {**_CALL, "arguments": {}, "result": "sunny"}),
            _js(
                "send-file",
                {
                    "content": "What is this?",
                    "file": {"name": "cat.png", "format": "image/png", "source": _FILE},
                    "options": {"run_immediately": True, "custom_options": {"detail": "low"}},
                },
            ),
            _js(
                "send-file",
                {
                    "content": "",
                    "file": {
                        "format": "application/pdf",
                        "source": {"type": "url", "url": "pipecat:0123abcd"},
                    },
                    "options": {},
                },
            ),
            _js("ui-event", {"event": "nav_click", "payload": {"view": "orders"}}),
            _js(
                "ui-snapshot",
                {
                    "tree": {
                        "root": {
                            "ref": "e1",
                            "role": "main",
                            "name": "Orders",
                            "children": [
                                {"ref": "e2", "role": "heading", "name": "Your orders", "level": 1},
                                {
                                    "ref": "e3",
                                    "role": "textbox",
                                    "name": "Search",
                                    "value": "shoes",
                                    "state": ["focused"],
                                },
                            ],
                        },
                        "captured_at": 1755771072123,
                        "selection": {
                            "ref": "e2",
                            "text": "orders",
                            "start_offset": 5,
                            "end_offset": 11,
                        },
                    }
                },
            ),
            _js("ui-cancel-job-group", {"job_id": "job-7", "reason": "user closed the card"}),
            _js("append-to-context", {"role": "user", "content": "I am in Zürich."}),
        ],
    },
    {
        "peer": "js-before-2.1",
        "rtvi": "2.0.0",
        "source": "pipecat-client-web: client-js/client/client.ts sendDTMF, to bots of RTVI 2.0",
        "messages": [_js("dtmf", {"button": "5"}), _js("dtmf", {"button": "#"})],
    },
    {
        "peer": "js-daily",
        "rtvi": "2.0.0",
        "source": "pipecat-client-web-transports: transports/daily/src/transport.ts",
        "messages": [
            _js(
                "raw-audio-batch",
                {
                    "base64AudioBatch": ["AAABAAIA", "AwAEAAUA"],
                    "sampleRate": 16000,
                    "numChannels": 1,
                },
            ),
            _js("raw-audio", {"base64Audio": "AAABAAIA", "sampleRate": 16000, "numChannels": 1}),
        ],
    },
    {
        "peer": "ios",
        "rtvi": "2.0.0",
        "source": "pipecat-client-ios: .../PipecatClientIOS/transport/RTVIMessageOutbound.swift",
        "messages": [
            _m(
                "client-ready",
                {
                    "version": "2.0.0",
                    "about": {"library": "pipecat-client-ios", "library_version": "1.3.0"},
                },
                "6F9619FF",
            ),
            _m("disconnect-bot", message_id="6F9619FF"),
            _m("client-message", {"t": "set_language", "d": {"language": "de"}}, "6F9619FF"),
            _m("client-message", {"t": "heartbeat", "d": None}, "6F9619FF"),
            _m(
                "send-text",
                {
                    "content": "Hello",
                    "options": {"run_immediately": True, "audio_response": True},
                },
                "6F9619FF",
            ),
            _m(
                "append-to-context",
                {"role": "user", "content": "I am in Zürich.", "run_immediately": False},
                "6F9619FF",
            ),
            _m(
                "llm-function-call-result",
                {**_CALL, "arguments": {"city": "Zürich"}, "result": {"degrees": 21}},
                "6F9619FF",
            ),
        ],
    },
    {
        "peer": "android",
        "rtvi": "2.0.0",
        "source": "pipecat-client-android: .../ai/pipecat/client/transport/MsgClientToServer.kt",
        "messages": [
            {
                "id": _B,
                "label": "rtvi-ai",
                "type": "client-ready",
                "data": {
                    "version": "2.0.0",
                    "about": {
                        "library": "Pipecat Android Client",
                        "library_version": "1.2.0",
                        "platform": "Android",
                        "platform_version": "15",
                    },
                },
            },
            {"id": _B, "label": "rtvi-ai", "type": "disconnect-bot", "data": None},
            _m("client-message", {"t": "heartbeat", "d": None}, _B),
            _m("client-message", {"t": "volume", "d": 3}, _B),
            _m(
                "send-text",
                {"content": "Hello", "options": {}},
                _B,
            ),
            _m(
                "append-to-context",
                {"role": "user", "content": "I am in Zürich.", "run_immediately": False},
                _B,
            ),
            _m(
                "llm-function-call-result",
                {**_CALL, "arguments": {"city": "Zürich"}, "result": {"degrees": 21}},
                _B,
            ),
        ],
    },
    {
        "peer": "python-eval",
        "rtvi": "2.2.0",
        "source": "pipecat-ai 1.14.0: evals/client.py (text over a WebSocket)",
        "messages": [
            _m(
                "client-message",
                {"t": "eval-connect", "d": {"skip_tts": True, "capture_bot_audio": False}},
                "eval-connect",
            ),
            _m("client-message", {"t": "eval-cancel", "d": {}}, "4"),
            _m(
                "client-ready",
                {"version": "2.2.0", "about": {"library": "pipecat-eval"}},
                "1",
            ),
            _m(
                "send-text",
                {"content": "Hi", "options": {"run_immediately": True, "audio_response": False}},
                "2",
            ),
            _m("dtmf", {"buttons": ["0"]}, "3"),
        ],
    },
]

_OUTPUT = {"text": "It is sunny in Zürich.", "aggregated_by": "sentence"}

OLDER: list[dict[str, Any]] = [
    {
        "peer": "bot",
        "rtvi": "2.1.0",
        "source": "pipecat 1.6 to 1.12: processors/frameworks/rtvi/models.py",
        "messages": [
            _m(
                "bot-ready",
                {
                    "version": "2.1.0",
                    "about": {"library": "pipecat-ai", "library_version": "1.12.0"},
                },
                _A,
            ),
            _m(
                "bot-output",
                {
                    **_OUTPUT,
                    "segment_id": 812,
                    "spoken": False,
                    "will_be_spoken": True,
                    "spoken_status": "new",
                    "spoken_progress": {
                        "accumulated_text": "",
                        "remaining_text": "It is sunny in Zürich.",
                    },
                },
            ),
            _m(
                "bot-output",
                {
                    **_OUTPUT,
                    "segment_id": 812,
                    "will_be_spoken": True,
                    "spoken_status": "completed",
                    "spoken_progress": {
                        "accumulated_text": "It is sunny in Zürich.",
                        "remaining_text": "",
                    },
                },
            ),
            _m("bot-interrupted"),
            _m("vad-user-started-speaking"),
            _m("llm-function-call-started", {}),
            _m("llm-function-call-in-progress", {"tool_call_id": "call_Xy1"}),
            _m("llm-function-call-stopped", {"tool_call_id": "call_Xy1", "cancelled": False}),
            _m("metrics", {}),
            _m("server-message", {"type": "finance_state", "state": [1, None, "x"]}),
        ],
    },
    {
        "peer": "bot",
        "rtvi": "1.2.0",
        "source": "pipecat 0.0.102: processors/frameworks/rtvi.py",
        "messages": [
            _m("bot-ready", {"version": "1.2.0", "about": {"library": "pipecat-ai"}}, _A),
            _m("bot-output", {**_OUTPUT, "spoken": False}),
            _m("bot-output", {"text": "It", "aggregated_by": "word", "spoken": True}),
            _m("bot-transcription", {"text": "It is sunny in Zürich."}),
            _m("llm-function-call", {**_CALL, "args": {"city": "Zürich"}}),
            _m("user-mute-started"),
            _m("append-to-context-result", {"result": "ok"}, _A),
            _m("error", {"error": "the service failed", "fatal": False}),
            _m("error", {"message": "the service failed", "fatal": True}),
        ],
    },
    {
        "peer": "bot",
        "rtvi": "1.3.0",
        "source": "pipecat 1.2: UI tasks, renamed in RTVI 1.4",
        "messages": [
            _m("ui-task", {"kind": "group_started", "task_id": "t1", "agents": ["a"], "at": 1}),
        ],
    },
    {
        "peer": "bot",
        "rtvi": "0.3.0",
        "source": "pipecat 0.0.50 to 0.0.74: processors/frameworks/rtvi.py",
        "messages": [
            _m(
                "bot-ready", {"version": "0.3.0", "config": [{"service": "tts", "options": []}]}, _A
            ),
            _m("config", {"config": []}, _A),
            _m("action-response", {"result": True}, _A),
            {"label": "rtvi-ai", "type": "pipecat-metrics", "metrics": {"ttfb": []}},
        ],
    },
    {
        "peer": "cxx",
        "rtvi": "0.2.0",
        "source": "pipecat-client-cxx: src/rtvi_messages.h",
        "messages": [
            _m("client-ready", {}, _B),
            _m("describe-config", {}, _B),
            _m("get-config", {}, _B),
            _m("describe-actions", {}, _B),
            _m(
                "action",
                {"service": "tts", "action": "say", "arguments": [{"name": "text", "value": "Hi"}]},
                _B,
            ),
            _m("update-config", {"config": [], "interrupt": True}, _B),
        ],
    },
    {
        "peer": "python-eval",
        "rtvi": "none",
        "source": "pipecat-ai 1.14.0: evals/serializer.py (types of its own under RTVI's label)",
        "messages": [
            _m("eval-bot-audio", {"audio": "AAABAAIA", "sample_rate": 24000, "num_channels": 1}),
        ],
    },
    {
        "peer": "anyone",
        "rtvi": "none",
        "source": "what RTVI leaves open: members and types that no version has",
        "messages": [
            {**_m("bot-output", {"text": "Hi", "output_type": "sentence"}), "x": {"seq": 7}},
            _m("bot-output", {"text": "Hi", "mood": "good"}),
            _m("bot-tts-text", {"text": "Hi", "pts": 123456789012}),
            _m("bot-output", {"text": "Hi", "segment_id": 4294967296}),
            _m("client-message", {"t": "n", "d": 9007199254740993}, _A),
            _m("ui-job-group", {"kind": "group_started", "job_id": "j", "workers": []}),
            _m("user-started-speaking", {"at": 12}),
            _m("from-the-future", {"nested": [[[]], {"": None}]}, "f"),
            _m("server-message"),
            _m("bot-tts-text", {"text": 5}),
        ],
    },
]
