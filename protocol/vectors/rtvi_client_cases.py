"""A stock client of our server: the handshake, and what it says."""

from typing import Any

from rtvi_steps import m, ready, said


def _about(version: str) -> dict[str, Any]:
    return {"library": "voxwire", "library_version": version}


def client_handshake() -> list[dict[str, Any]]:
    """The handshake in every version."""
    about, can = _about("0.1.0"), {"audio_in": True, "video_in": False}
    told = {"op": "bot_ready", "message_id": "r", "about": about, "capabilities": can}
    problem = "client-ready names no valid RTVI version; compatibility issues may occur"
    newer = "this server speaks RTVI 2.2.0; compatibility issues may occur"

    def bot_ready(version: str, **more: Any) -> dict[str, Any]:
        return m("bot-ready", {"version": version, "about": about, **more}, "r")

    def meets(version: Any, parsed: str | None, *messages: dict[str, Any]) -> list[dict[str, Any]]:
        value = {
            "kind": "ClientReady",
            "version": parsed,
            "library": "x",
            "about": {"library": "x"},
        }
        return [
            said(ready(version), message_id="r", value=value),
            {**told, "messages": list(messages)},
        ]

    return [
        *meets("2.2.0", "2.2.0", bot_ready("2.2.0", capabilities=can)),
        *meets("2.0.0", "2.0.0", bot_ready("2.2.0")),
        *meets("2.9.1", "2.9.1", bot_ready("2.2.0", capabilities=can)),
        *meets("1.4.0", "1.4.0", bot_ready("1.4.0")),
        *meets(
            "3.0.0", "3.0.0", m("error-response", {"error": newer}, "r"),
            bot_ready("2.2.0", capabilities=can),
        ),
        *meets(
            "2.1.0-rc1", None, m("error-response", {"error": problem}, "r"),
            bot_ready("2.2.0", capabilities=can),
        ),
        said(
            m("client-ready", ..., "q"),
            message_id="q",
            value={"kind": "ClientReady", "version": None, "library": "", "about": None},
        ),
        said(
            m("client-ready", {"version": 2, "about": ["?"]}, "q"),
            message_id="q",
            value={"kind": "ClientReady", "version": None, "library": "", "about": ["?"]},
        ),
    ]  # fmt: skip


def client_inputs() -> list[dict[str, Any]]:
    """What a client says, well and badly formed."""
    waits = {"run_immediately": False}
    file = {"format": "image/png", "name": "a.png", "source": {"type": "bytes", "bytes": "AAEC"}}
    link = {"format": "application/pdf", "source": {"type": "url", "url": "pipecat:1"}}
    value = {
        "kind": "SendFile", "text": "See", "media_type": "image/png", "name": "a.png",
        "data": "000102", "url": "", "width": 0, "height": 0, "run_immediately": True,
        "audio_response": True, "custom_options": {},
    }  # fmt: skip
    event = m("ui-event", {"event": "click", "payload": None}, "u")
    return [
        said(
            m("send-text", {"content": "Hi", "options": {"audio_response": False}}, "1"),
            message_id="1",
            envelope={"sendText": {"text": "Hi", "runImmediately": True, "audioResponse": False}},
        ),
        said(
            m("send-text", {"content": "", "options": None}, "1"),
            message_id="1",
            envelope={"sendText": {"runImmediately": True, "audioResponse": True}},
        ),
        said(m("send-text", {"content": 5}, "1"), error="MALFORMED", message_id="1"),
        said(m("send-text", ["Hi"], "1"), error="MALFORMED", message_id="1"),
        said(m("send-text", {}, "1"), error="MALFORMED", message_id="1"),
        said(
            m("send-text", {"content": "Hi", "options": 1}, "1"), error="MALFORMED", message_id="1"
        ),
        said(
            m("dtmf", {"buttons": ["1", "*", "#"]}, "2"),
            message_id="2",
            envelope={"appMessage": {"type": "dtmf", "dataJson": '{"digits":"1*#"}'}},
        ),
        said(
            m("dtmf", {"button": "5"}, "2"),
            message_id="2",
            envelope={"appMessage": {"type": "dtmf", "dataJson": '{"digits":"5"}'}},
        ),
        said(m("dtmf", {"buttons": []}, "2"), error="MALFORMED", message_id="2"),
        said(m("dtmf", {"buttons": ["12"]}, "2"), error="MALFORMED", message_id="2"),
        said(m("dtmf", {}, "2"), error="MALFORMED", message_id="2"),
        said(
            m("client-message", {"t": "ask", "d": {"n": None}}, "3"),
            message_id="3",
            envelope={"appMessage": {"type": "ask", "dataJson": '{"n":null}', "requestId": "3"}},
        ),
        said(
            m("client-message", {"t": "note"}),
            message_id="",
            envelope={"appMessage": {"type": "note", "dataJson": "null"}},
        ),
        said(m("client-message", {"d": 1}, "3"), error="MALFORMED", message_id="3"),
        said(m("disconnect-bot", None, "4"), message_id="4", value={"kind": "DisconnectBot"}),
        said(m("send-file", {"content": "See", "file": file}, "5"), message_id="5", value=value),
        said(
            m(
                "send-file",
                {"content": "", "file": link, "options": waits},
                "5",
            ),
            message_id="5",
            value={
                **value,
                "text": "",
                "media_type": "application/pdf",
                "name": "",
                "data": None,
                "url": "pipecat:1",
                "run_immediately": False,
            },
        ),
        said(m("send-file", {"content": "", "file": {}}, "5"), error="MALFORMED", message_id="5"),
        said(
            m("send-file", {"content": "", "file": {**file, "source": {"bytes": "%%"}}}, "5"),
            error="MALFORMED",
            message_id="5",
        ),
        said(
            m("raw-audio", {"base64Audio": "AAABAA==", "sampleRate": 16000, "numChannels": 1}, "6"),
            message_id="6",
            value={"kind": "RawAudio", "pcm": "00000100", "sample_rate": 16000, "num_channels": 1},
        ),
        said(
            m(
                "raw-audio-batch",
                {"base64AudioBatch": ["AAA=", "AQA="], "sampleRate": 8000.0, "numChannels": 2},
                "6",
            ),
            message_id="6",
            value={"kind": "RawAudio", "pcm": "00000100", "sample_rate": 8000, "num_channels": 2},
        ),
        said(
            m("raw-audio", {"base64Audio": "AA==", "sampleRate": 16000, "numChannels": 1}, "6"),
            error="MALFORMED",
            message_id="6",
        ),
        said(
            m("raw-audio", {"base64Audio": "AAA=", "sampleRate": 1e300, "numChannels": 1}, "6"),
            error="MALFORMED",
            message_id="6",
        ),
        said(
            m("append-to-context", {"role": "user", "content": ["x"]}, "7"),
            message_id="7",
            value={
                "kind": "AppendToContext",
                "role": "user",
                "content": ["x"],
                "run_immediately": False,
            },
        ),
        said(
            m("append-to-context", {"role": "system", "content": "x"}, "7"),
            error="MALFORMED",
            message_id="7",
        ),
        said(
            event,
            message_id="u",
            envelope={
                "appMessage": {
                    "type": "rtvi-ai",
                    "dataJson": '{"label":"rtvi-ai","type":"ui-event","id":"u",'
                    '"data":{"event":"click","payload":null}}',
                }
            },
        ),
        said(
            m("describe-config", {}, "8"),
            message_id="8",
            value={"kind": "Foreign", "message": m("describe-config", {}, "8")},
        ),
        said(
            m("bot-ready", {"version": "2.2.0"}, "9"),
            message_id="9",
            value={"kind": "Foreign", "message": m("bot-ready", {"version": "2.2.0"}, "9")},
        ),
    ]
