"""What a stock client and a stock bot say in our envelopes, and ours in their messages.

Expectations by hand; ``rtvi/client-*.json`` are scripts on a `StockClient`, ``rtvi/bot-*.json`` on
a `StockBot`, ``rtvi/refused.json`` what is no message.
"""

from collections.abc import Iterator
from typing import Any

_NOW = "2026-08-21T10:11:12.345Z"


def m(kind: str, data: Any = ..., message_id: str | None = None) -> dict[str, Any]:
    """An RTVI message."""
    found: dict[str, Any] = {"label": "rtvi-ai", "type": kind}
    if message_id is not None:
        found["id"] = message_id
    if data is not ...:
        found["data"] = data
    return found


def write(payload: str, value: dict[str, Any], *messages: dict[str, Any]) -> dict[str, Any]:
    """Our envelope, and the messages that it becomes."""
    return {"op": "write", "envelope": {payload: value}, "messages": list(messages)}


def advance(media_ms: int, *messages: dict[str, Any]) -> dict[str, Any]:
    """Playout reaches a position."""
    return {"op": "advance", "media_ms": media_ms, "messages": list(messages)}


def said(message: dict[str, Any], **found: Any) -> dict[str, Any]:
    """A client's message and what it says: ``envelope`` or ``value`` with its fields."""
    return {"op": "read", "message": message, **found}


def heard(message: dict[str, Any], *envelopes: dict[str, Any], at: int = 0) -> dict[str, Any]:
    """A bot's message and the envelopes that it becomes."""
    return {"op": "read", "media_ms": at, "message": message, "envelopes": list(envelopes)}


def ready(version: Any, about: Any = None, message_id: str = "r") -> dict[str, Any]:
    """A handshake of a client, without what the bot answers."""
    return m("client-ready", {"version": version, "about": about or {"library": "x"}}, message_id)


_X = {"library": "x"}

_WORDS = {
    "utteranceId": "s1",
    "baseMediaMs": "1000",
    "text": "Grüezi 👋 Anna",
    "words": [
        {"charEnd": 6, "endMs": 300},
        {"charStart": 7, "charEnd": 8, "startMs": 300, "endMs": 500},
        {"charStart": 9, "charEnd": 13, "startMs": 500, "endMs": 900},
    ],
    "source": "TIMING_SOURCE_PROVIDER_WORD",
}
_STARTED = {"utteranceId": "s1", "turnId": "t1", "mediaMs": "1000"}


def _tts(index: int) -> dict[str, Any]:
    text, start, end, since, until = [
        ("Grüezi", 0, 6, 1000, 1300),
        ("👋", 7, 8, 1300, 1500),
        ("Anna", 9, 13, 1500, 1900),
    ][index]
    data = {"text": text, "utterance_id": "s1", "word_index": index}
    data |= {"char_start": start, "char_end": end, "start_ms": since, "end_ms": until}
    return m("bot-tts-text", data)


def _output(status: str, spoken: str, rest: str, *names: str) -> dict[str, Any]:
    return m(
        "bot-output",
        {
            "text": spoken + rest,
            **dict.fromkeys(names or ("output_type", "text_type", "aggregated_by"), "sentence"),
            "segment_id": 1,
            "will_be_spoken": True,
            "spoken_status": status,
            "spoken_progress": {"accumulated_text": spoken, "remaining_text": rest},
            "utterance_id": "s1",
        },
    )


def _about(version: str) -> dict[str, Any]:
    return {"library": "voxwire", "library_version": version}


def _client_handshake() -> list[dict[str, Any]]:
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


def _client_inputs() -> list[dict[str, Any]]:
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


def _client_speech() -> list[dict[str, Any]]:
    text = "Grüezi 👋 Anna"
    return [
        write("stateChanged", {"bot": "BOT_STATE_IDLE", "user": "USER_STATE_SILENT"}),
        write(
            "stateChanged",
            {"bot": "BOT_STATE_LISTENING", "user": "USER_STATE_SPEAKING"},
            m("user-started-speaking"),
        ),
        write(
            "transcript",
            {"transcriptId": "u1", "text": "good", "turnId": "t1"},
            m(
                "user-input",
                {
                    "text": "good", "input_type": "transcription", "timestamp": _NOW,
                    "final": False, "user_id": "",
                },
            ),
            m(
                "user-transcription",
                {"text": "good", "user_id": "", "timestamp": _NOW, "final": False},
            ),
        ),
        write(
            "stateChanged",
            {"bot": "BOT_STATE_THINKING", "user": "USER_STATE_SILENT"},
            m("user-stopped-speaking"),
        ),
        write(
            "transcript",
            {"transcriptId": "u1", "text": "good day", "final": True, "turnId": "t1"},
            m(
                "user-input",
                {
                    "text": "good day", "input_type": "transcription", "timestamp": _NOW,
                    "final": True, "user_id": "",
                },
            ),
            m(
                "user-transcription",
                {"text": "good day", "user_id": "", "timestamp": _NOW, "final": True},
            ),
        ),
        write(
            "responseStarted",
            {"responseId": "r1"},
            m("user-llm-text", {"text": "good day"}),
            m("bot-llm-started"),
        ),
        write("responseText", {"text": "Grüezi"}, m("bot-llm-text", {"text": "Grüezi"})),
        write(
            "responseText",
            {"text": "! Ja"},
            m("bot-llm-text", {"text": "! Ja"}),
            m("bot-transcription", {"text": "Grüezi!"}),
        ),
        write(
            "responseEnded",
            {},
            m("bot-transcription", {"text": "Ja"}),
            m("bot-llm-stopped"),
        ),
        write("utteranceStarted", _STARTED, m("bot-tts-started")),
        write(
            "stateChanged",
            {"bot": "BOT_STATE_SPEAKING", "user": "USER_STATE_SILENT", "mediaMs": "1000"},
        ),
        write("utteranceWords", _WORDS, _output("new", "", text)),
        advance(999),
        advance(
            1000,
            m("bot-started-speaking"),
            _tts(0),
            _output("in-progress", "Grüezi", " 👋 Anna"),
        ),
        advance(1400, _tts(1), _output("in-progress", "Grüezi 👋", " Anna")),
        advance(5000, _tts(2), _output("completed", text, "")),
        write(
            "utteranceEnded",
            {"utteranceId": "s1", "end": "UTTERANCE_END_COMPLETED", "heardMediaMs": "1900"},
            m("bot-tts-stopped"),
        ),
        write(
            "stateChanged",
            {"bot": "BOT_STATE_IDLE", "user": "USER_STATE_SILENT"},
            m("bot-stopped-speaking"),
        ),
        write("mediaAnchor", {"pathId": 1, "mediaMs": "1000"}),
        write("flush", {"pathId": 1, "flushId": 1}),
        write("goAway", {"reason": "drain"}),
        write("ackOnly", {}),
    ]  # fmt: skip


def _client_cut() -> list[dict[str, Any]]:
    return [
        write("utteranceStarted", _STARTED, m("bot-tts-started")),
        write("utteranceWords", _WORDS, _output("new", "", "Grüezi 👋 Anna")),
        advance(1100, _tts(0), _output("in-progress", "Grüezi", " 👋 Anna")),
        write(
            "utteranceEnded",
            {
                "utteranceId": "s1", "end": "UTTERANCE_END_INTERRUPTED", "heardMediaMs": "1400",
                "heardCharEnd": 8, "heardWords": 2,
            },
            _tts(1),
            _output("in-progress", "Grüezi 👋", " Anna"),
            m("bot-tts-stopped"),
        ),
        write(
            "interrupted",
            {"source": "INTERRUPTION_SOURCE_USER", "utteranceId": "s1"},
            m("bot-interrupted", {"utterance_id": "s1", "heard_ms": 1400, "heard_char_end": 8}),
        ),
        advance(9000),
    ]  # fmt: skip


def _client_typed() -> list[dict[str, Any]]:
    return [
        said(
            m("send-text", {"content": "Hi"}, "77"),
            message_id="77",
            envelope={"sendText": {"text": "Hi", "runImmediately": True, "audioResponse": True}},
        ),
        write(
            "transcript",
            {"transcriptId": "u1", "text": "Hi", "final": True, "typed": True},
            m(
                "user-input",
                {
                    "text": "Hi", "input_type": "chat", "timestamp": _NOW, "final": True,
                    "msg_id": "77",
                },
            ),
        ),
        {"op": "text_only", "value": True},
        write(
            "responseStarted", {}, m("user-llm-text", {"text": "Hi"}), m("bot-llm-started")
        ),
        write(
            "responseText",
            {"text": "3."},
            m("bot-llm-text", {"text": "3."}),
        ),
        write("responseText", {"text": "14."}, m("bot-llm-text", {"text": "14."})),
        write(
            "responseEnded",
            {},
            m(
                "bot-output",
                {
                    "text": "3.14.", "output_type": "sentence", "text_type": "sentence",
                    "aggregated_by": "sentence", "spoken": False, "will_be_spoken": False,
                    "segment_id": 1, "spoken_status": "new",
                },
            ),
            m("bot-transcription", {"text": "3.14."}),
            m("bot-llm-stopped"),
        ),
    ]  # fmt: skip


def _client_old() -> list[dict[str, Any]]:
    def old(text: str, kind: str, spoken: bool) -> dict[str, Any]:
        return m("bot-output", {"text": text, "aggregated_by": kind, "spoken": spoken})

    value = {"kind": "ClientReady", "version": "1.1.0", "library": "x", "about": {"library": "x"}}
    request = {"callId": "c1", "name": "open", "argumentsJson": '{"n":1}'}
    call = {"function_name": "open", "tool_call_id": "c1"}
    return [
        said(ready("1.1.0"), message_id="r", value=value),
        write("utteranceStarted", _STARTED, m("bot-tts-started")),
        write("utteranceWords", _WORDS, old("Grüezi 👋 Anna", "sentence", spoken=False)),
        advance(1000, _tts(0), old("Grüezi", "word", spoken=True)),
        write("interrupted", {"utteranceId": "s1"}),
        write("toolCallStarted", {"callId": "c1", "name": "open"}),
        write(
            "toolRequest",
            request,
            m(
                "llm-function-call",
                {**call, "args": {"n": 1}},
            ),
        ),
        write("toolCallEnded", {"callId": "c1", "name": "open", "outcome": "TOOL_OUTCOME_DONE"}),
    ]


def _client_tools() -> list[dict[str, Any]]:
    def result(call_id: str, name: str, value: Any) -> dict[str, Any]:
        data = {"function_name": name, "tool_call_id": call_id, "arguments": {}, "result": value}
        return m("llm-function-call-result", data, "9")

    def in_progress(call_id: str, name: str, **more: Any) -> dict[str, Any]:
        data = {"tool_call_id": call_id, "function_name": name, **more}
        return m("llm-function-call-in-progress", data)

    def stopped(call_id: str, name: str, *, cancelled: bool, **more: Any) -> dict[str, Any]:
        data = {"tool_call_id": call_id, "cancelled": cancelled, "function_name": name, **more}
        return m("llm-function-call-stopped", data)

    mine = m("llm-function-call-started", {"function_name": "open"})
    return [
        write(
            "toolCallStarted",
            {"callId": "c1", "name": "charge", "argumentsJson": '{"eur":5}'},
            m("llm-function-call-started", {"function_name": "charge"}),
            in_progress("c1", "charge", arguments={"eur": 5}),
        ),
        # a server's tool, which pipecat lets a client answer
        said(result("c1", "charge", {"paid": True}), error="TOOL_CLOSED", message_id="9"),
        write(
            "toolCallEnded",
            {
                "callId": "c1", "name": "charge", "outcome": "TOOL_OUTCOME_DONE",
                "resultJson": "false",
            },
            stopped("c1", "charge", cancelled=False, result=False),
        ),
        write("toolCallStarted", {"callId": "c2", "name": "open"}, mine),
        write(
            "toolRequest",
            {"callId": "c2", "name": "open", "argumentsJson": '{"n":1}', "callToken": "AAE="},
            m(
                "llm-function-call-in-progress",
                {"function_name": "open", "tool_call_id": "c2", "arguments": {"n": 1}},
            ),
        ),
        said(result("c2", "close", 1), error="TOOL_CLOSED", message_id="9"),
        said(
            result("c2", "open", [1, None]),
            message_id="9",
            envelope={
                "toolResult": {"callId": "c2", "callToken": "AAE=", "resultJson": "[1,null]"}
            },
        ),
        said(result("c2", "open", "again"), error="TOOL_CLOSED", message_id="9"),
        write("toolCallStarted", {"callId": "c3", "name": "open"}, mine),
        write(
            "toolRequest",
            {"callId": "c3", "name": "open"},
            m(
                "llm-function-call-in-progress",
                {"function_name": "open", "tool_call_id": "c3", "arguments": {}},
            ),
        ),
        write("toolCancel", {"callId": "c3", "reason": "interrupted"}),
        said(result("c3", "open", "late"), error="TOOL_CLOSED", message_id="9"),
        write(
            "toolCallEnded",
            {"callId": "c3", "name": "open", "outcome": "TOOL_OUTCOME_TIMED_OUT"},
            stopped("c3", "open", cancelled=True),
        ),
        write("toolProgress", {"callId": "c3", "noteJson": "1"}),
    ]  # fmt: skip


def _client_ios() -> list[dict[str, Any]]:
    about = {"library": "pipecat-client-ios", "library_version": "1.3.0"}
    page = {"library": "@pipecat-ai/client-js", "platform": "Android"}
    value = {"kind": "ClientReady", "version": "2.0.0", "library": "pipecat-client-ios"}
    call = {"function_name": "open", "tool_call_id": "c1"}
    request = {"callId": "c1", "name": "open", "argumentsJson": "{}"}
    return [
        said(ready("2.0.0", about), message_id="r", value={**value, "about": about}),
        write("toolRequest", request, m("llm-function-call", {**call, "args": {}})),
        said(
            ready("2.0.0", page),
            message_id="r",
            value={**value, "library": "@pipecat-ai/client-js", "about": page},
        ),
        write(
            "toolRequest",
            request,
            m("llm-function-call-in-progress", {**call, "arguments": {}}),
        ),
    ]


def _client_app() -> list[dict[str, Any]]:
    def app(kind: str, text: str, **more: Any) -> dict[str, Any]:
        return {"type": kind, "dataJson": text, **more}

    ask = m("client-message", {"t": "ask"}, "3")
    asked = {"appMessage": {"type": "ask", "dataJson": "null", "requestId": "3"}}
    refused = {"code": "ERROR_CODE_UNSUPPORTED", "reason": "no", "subjectId": "3"}
    error = m("error", {"error": "no", "fatal": False, "message": "no"})
    command = m("ui-command", {"command": "toast", "payload": {"title": "Hi", "x": None}})
    return [
        write(
            "appMessage",
            app("note", '{"a":1}'),
            m("server-message", {"t": "note", "d": {"a": 1}}),
        ),
        write(
            "appMessage",
            app("pipecat", '{"any":"thing"}'),
            m("server-message", {"any": "thing"}),
        ),
        write("appMessage", app("pipecat", "null"), m("server-message", {})),
        write(
            "appMessage",
            app(
                "pipecat",
                '{"label":"rtvi-ai","type":"ui-command","data":{"command":"toast",'
                '"payload":{"title":"Hi","x":null}}}',
            ),
            command,
        ),
        said(ask, message_id="3", envelope=asked),
        write(
            "appMessage",
            app("ask", "[1]", requestId="3", response=True),
            m("server-response", {"t": "ask", "d": [1]}, "3"),
        ),
        write("error", refused, error),
        said(ask, message_id="3", envelope=asked),
        write("error", refused, m("error-response", {"error": "no"}, "3")),
        write(
            "error",
            {"code": "ERROR_CODE_BOT_FAILED", "reason": "it broke", "fatal": True},
            m("error", {"error": "it broke", "fatal": True, "message": "it broke"}),
        ),
        write(
            "serviceMetrics",
            {
                "metrics": [
                    {"kind": "METRIC_KIND_TTFB", "processor": "TTS#0", "model": "a", "value": 250},
                    {"kind": "METRIC_KIND_PROCESSING", "processor": "LLM#0", "value": 1.5},
                    {"kind": "METRIC_KIND_TTS_CHARACTERS", "processor": "TTS#0", "value": 12},
                    {"kind": "METRIC_KIND_PROMPT_TOKENS", "processor": "LLM#0", "value": 7},
                    {"kind": "METRIC_KIND_COMPLETION_TOKENS", "processor": "LLM#0", "value": 5},
                    {"kind": "METRIC_KIND_TTFB", "processor": "TTS#0", "value": "NaN"},
                ]
            },
            m(
                "metrics",
                {
                    "ttfb": [{"processor": "TTS#0", "model": "a", "value": 0.25}],
                    "processing": [{"processor": "LLM#0", "value": 0.0015}],
                    "characters": [{"processor": "TTS#0", "value": 12}],
                    "tokens": [
                        {
                            "processor": "LLM#0", "prompt_tokens": 7, "completion_tokens": 5,
                            "total_tokens": 12,
                        }
                    ],
                },
            ),
        ),
        write("turnMetrics", {"turnId": "t1", "responseMs": 400}),
    ]  # fmt: skip


def _state(bot: str, user: str) -> dict[str, Any]:
    found = {"bot": f"BOT_STATE_{bot}", "user": f"USER_STATE_{user}"}
    return {"stateChanged": found}


def _bot_speech() -> list[dict[str, Any]]:
    arrival = "TIMING_SOURCE_ARRIVAL"
    user = {"text": "good day", "user_id": "", "timestamp": _NOW, "final": True}
    spoken = {**user, "input_type": "transcription"}
    return [
        heard(
            m(
                "bot-ready",
                {
                    "version": "2.2.0",
                    "about": {"library": "pipecat-ai", "library_version": "1.14.0"},
                    "capabilities": {"audio_in": True, "new_one": 5},
                },
                "id-1",
            ),
            {"welcome": {"protocolVersion": 1, "epoch": 1, "server": "pipecat-ai 1.14.0"}},
            _state("IDLE", "SILENT"),
        ),
        {"op": "state", "version": "2.2.0", "capabilities": {"audio_in": True}},
        heard(m("user-started-speaking"), _state("LISTENING", "SPEAKING")),
        heard(
            m("user-input", {**spoken, "text": "good", "final": False}),
            {"transcript": {"transcriptId": "u1", "text": "good", "turnId": "t1"}},
        ),
        heard(m("user-transcription", {**user, "text": "good", "final": False})),
        heard(m("user-stopped-speaking"), _state("THINKING", "SILENT")),
        heard(
            m("user-input", spoken),
            {
                "transcript": {
                    "transcriptId": "u1", "text": "good day", "final": True, "turnId": "t1",
                }
            },
        ),
        heard(
            m("bot-llm-started"), {"responseStarted": {"responseId": "r1", "turnId": "t1"}}
        ),
        heard(
            m("bot-llm-text", {"text": "Grüezi 👋"}),
            {"responseText": {"responseId": "r1", "text": "Grüezi 👋"}},
        ),
        heard(m("bot-llm-stopped"), {"responseEnded": {"responseId": "r1"}}),
        heard(m("bot-tts-started")),
        heard(
            m("bot-started-speaking"),
            {
                "utteranceStarted": {
                    "utteranceId": "s1", "turnId": "t1", "mediaMs": "40", "source": arrival,
                }
            },
            _state("SPEAKING", "SILENT"),
            at=40,
        ),
        heard(
            m("bot-tts-text", {"text": "Grüezi"}),
            {
                "utteranceWords": {
                    "utteranceId": "s1", "baseMediaMs": "50", "text": "Grüezi",
                    "words": [{"charEnd": 6, "endEstimated": True}], "source": arrival,
                }
            },
            at=50,
        ),
        heard(
            m("bot-tts-text", {"text": " 👋  Anna. "}),
            {
                "utteranceWords": {
                    "utteranceId": "s1", "firstIndex": 1, "baseMediaMs": "300", "textOffset": 7,
                    "text": "👋  Anna.",
                    "words": [
                        {"charStart": 7, "charEnd": 8, "endEstimated": True},
                        {"charStart": 10, "charEnd": 15, "endEstimated": True},
                    ],
                    "source": arrival,
                }
            },
            at=300,
        ),
        heard(m("bot-tts-text", {"text": " "}), at=310),
        heard(m("bot-tts-stopped"), at=320),
        heard(
            m("bot-stopped-speaking"),
            {
                "utteranceEnded": {
                    "utteranceId": "s1", "end": "UTTERANCE_END_COMPLETED", "heardMediaMs": "900",
                    "heardCharEnd": 15, "heardWords": 3,
                }
            },
            _state("IDLE", "SILENT"),
            at=900,
        ),
        heard(
            m("user-input", {**spoken, "text": "Hi", "input_type": "chat", "msg_id": "id-2"}),
            {
                "transcript": {
                    "transcriptId": "u2", "text": "Hi", "final": True, "turnId": "t2",
                    "typed": True,
                }
            },
        ),
    ]  # fmt: skip


def _bot_unspaced() -> list[dict[str, Any]]:
    arrival = "TIMING_SOURCE_ARRIVAL"

    def words(index: int, start: int, text: str) -> dict[str, Any]:
        end = start + len(text)
        value: dict[str, Any] = {"utteranceId": "s1", "text": text, "source": arrival}
        value["words"] = [{"charStart": start, "charEnd": end, "endEstimated": True}]
        return {"utteranceWords": value | {"firstIndex": index, "textOffset": start}}

    return [
        heard(
            m("bot-tts-text", {"text": "你好"}),
            {"utteranceStarted": {"utteranceId": "s1", "source": arrival}},
            words(0, 0, "你好"),
        ),
        heard(m("bot-tts-text", {"text": "世界。"}), words(1, 2, "世界。")),
        heard(m("bot-tts-text", {"text": "OK"}), words(2, 6, "OK")),
    ]


def _bot_cut() -> list[dict[str, Any]]:
    arrival = "TIMING_SOURCE_ARRIVAL"

    def begun(name: str) -> dict[str, Any]:
        return {"utteranceStarted": {"utteranceId": name, "source": arrival}}

    def ended(name: str, media_ms: int) -> dict[str, Any]:
        cut = {"utteranceId": name, "end": "UTTERANCE_END_INTERRUPTED"}
        return {"utteranceEnded": {**cut, "heardMediaMs": str(media_ms)}}

    return [
        heard(m("bot-interrupted")),
        heard(m("bot-started-speaking"), begun("s1"), _state("SPEAKING", "UNSPECIFIED")),
        heard(m("user-started-speaking"), _state("SPEAKING", "SPEAKING")),
        heard(
            m("bot-interrupted", {"more": 1}),
            ended("s1", 70),
            {"interrupted": {"utteranceId": "s1"}},
            at=70,
        ),
        heard(m("bot-stopped-speaking"), _state("LISTENING", "SPEAKING"), at=75),
        # a bot of 1.x says nothing of an interruption
        heard(
            m("bot-ready", {"version": "1.2.0"}),
            {"welcome": {"protocolVersion": 1, "epoch": 1}},
            _state("IDLE", "SILENT"),
        ),
        heard(m("user-started-speaking"), _state("LISTENING", "SPEAKING")),
        heard(
            m("bot-started-speaking"),
            {"utteranceStarted": {"utteranceId": "s2", "turnId": "t2", "source": arrival}},
            _state("SPEAKING", "SPEAKING"),
        ),
        heard(m("bot-stopped-speaking"), ended("s2", 90), _state("LISTENING", "SPEAKING"), at=90),
    ]


def _bot_tools() -> list[dict[str, Any]]:
    call = {"tool_call_id": "c1", "function_name": "open"}
    shown = {"callId": "c1", "name": "open", "argumentsJson": '{"n":1}'}
    answered = {**call, "arguments": {"n": 1}}
    other = {"callId": "c2"}
    return [
        heard(m("llm-function-call-started", {"function_name": "open"})),
        heard(
            m("llm-function-call-in-progress", {**call, "arguments": {"n": 1}}),
            {"toolCallStarted": shown},
            {"toolRequest": shown},
        ),
        heard(m("llm-function-call", {**call, "args": {"n": 1}})),
        write(
            "toolResult",
            {"callId": "c1", "resultJson": '{"ok":true}'},
            m("llm-function-call-result", {**answered, "result": {"ok": True}}, "id-1"),
        ),
        write("toolResult", {"callId": "c1", "resultJson": '{"ok":true}'}),
        heard(
            m("llm-function-call-stopped", {**call, "cancelled": False, "result": {"ok": True}}),
            {
                "toolCallEnded": {
                    "callId": "c1", "name": "open", "outcome": "TOOL_OUTCOME_DONE",
                    "resultJson": '{"ok":true}',
                }
            },
        ),
        heard(
            m("llm-function-call-in-progress", {"tool_call_id": "c2"}),
            {"toolCallStarted": other},
        ),
        heard(
            m("llm-function-call-stopped", {"tool_call_id": "c2", "cancelled": True}),
            {"toolCallEnded": {**other, "outcome": "TOOL_OUTCOME_CANCELLED"}},
        ),
        heard(
            m("llm-function-call", {**call, "args": {"n": 1}}),
            {"toolCallStarted": shown},
            {"toolRequest": shown},
        ),
        heard(
            m("llm-function-call-stopped", {**call, "cancelled": True}),
            {"toolCancel": {"callId": "c1", "reason": "the bot has ended the call"}},
            {
                "toolCallEnded": {
                    "callId": "c1", "name": "open", "outcome": "TOOL_OUTCOME_CANCELLED",
                }
            },
        ),
        *[
            step
            for value, sent in [("[1,2]", "[1,2]"), ("5", "5"), ('"yes"', "yes"), ("null", "null")]
            for step in (
                heard(
                    m("llm-function-call-in-progress", {**call, "arguments": {"n": 1}}),
                    {"toolCallStarted": shown},
                    {"toolRequest": shown},
                ),
                write(
                    "toolResult",
                    {"callId": "c1", "resultJson": value},
                    m("llm-function-call-result", {**answered, "result": sent}, "id-+"),
                ),
            )
        ],
        heard(
            m("llm-function-call-in-progress", {**call, "arguments": {"n": 1}}),
            {"toolCallStarted": shown},
            {"toolRequest": shown},
        ),
        write(
            "toolResult",
            {"callId": "c1", "error": {"code": "ERROR_CODE_TOOL_FAILED", "reason": "no"}},
            m(
                "llm-function-call-result",
                {**answered, "result": {"error": {"code": "tool_failed", "message": "no"}}},
                "id-+",
            ),
        ),
        write("toolAccepted", {"callId": "c1"}),
        write("toolProgress", {"callId": "c1", "noteJson": "1"}),
        heard(m("llm-function-call-in-progress", {"function_name": "open"}), at=0)
        | {"error": "MALFORMED"},
    ]  # fmt: skip


def _raw(message: str) -> dict[str, Any]:
    return {"appMessage": {"type": "rtvi-ai", "dataJson": message}}


def _bot_app() -> list[dict[str, Any]]:
    def app(kind: str, text: str, **more: Any) -> dict[str, Any]:
        return {"appMessage": {"type": kind, "dataJson": text, **more}}

    metric = {"processor": "TTS#0", "value": 0.25}
    return [
        heard(m("server-message", {"t": "note", "d": {"a": 1}}), app("note", '{"a":1}')),
        heard(m("server-message", {"t": "note"}), app("note", "null")),
        heard(
            m("server-message", {"t": "note", "x": 1}),
            app("server-message", '{"t":"note","x":1}'),
        ),
        heard(m("server-message", [0]), app("server-message", "[0]")),
        heard(m("server-message"), app("server-message", "null")),
        heard(
            m("server-response", {"t": "ask", "d": 0}, "id-1"),
            app("ask", "0", requestId="id-1", response=True),
        ),
        heard(
            m("error-response", {"error": "Unsupported type dtmf"}, "id-1"),
            {
                "error": {
                    "code": "ERROR_CODE_UNSUPPORTED", "reason": "Unsupported type dtmf",
                    "action": "RECOVERY_ACTION_NONE", "subjectId": "id-1",
                }
            },
        ),
        heard(
            m("error", {"message": "it broke", "fatal": True}),
            {
                "error": {
                    "code": "ERROR_CODE_BOT_FAILED", "reason": "it broke",
                    "action": "RECOVERY_ACTION_NONE", "fatal": True,
                }
            },
        ),
        heard(
            m("error", {}),
            {
                "error": {
                    "code": "ERROR_CODE_SERVICE_FAILED", "reason": "the bot gave no reason",
                    "action": "RECOVERY_ACTION_NONE",
                }
            },
        ),
        heard(
            m("ui-command", {"command": "toast", "payload": {"x": None}}),
            _raw(
                '{"label":"rtvi-ai","type":"ui-command","data":'
                '{"command":"toast","payload":{"x":null}}}'
            ),
        ),
        heard(
            {**m("from-the-future", [1], "f"), "x": {"y": 2}},
            _raw('{"label":"rtvi-ai","type":"from-the-future","id":"f","data":[1],"x":{"y":2}}'),
        ),
        heard(
            m("user-mute-started"), _raw('{"label":"rtvi-ai","type":"user-mute-started"}')
        ),
        heard(
            m("user-input", {"text": "mhm", "input_type": "backchannel"}),
            _raw(
                '{"label":"rtvi-ai","type":"user-input","data":'
                '{"text":"mhm","input_type":"backchannel"}}'
            ),
        ),
        heard(
            m("metrics", {"ttfb": [metric], "characters": [{"processor": "TTS#0", "value": 3}]}),
            {
                "serviceMetrics": {
                    "metrics": [
                        {"kind": "METRIC_KIND_TTFB", "processor": "TTS#0", "value": 250.0},
                        {"kind": "METRIC_KIND_TTS_CHARACTERS", "processor": "TTS#0", "value": 3.0},
                    ]
                }
            },
        ),
        heard(
            m("metrics", {"tokens": [{"prompt_tokens": 7}, 5], "ttfa": []}),
            {
                "serviceMetrics": {
                    "metrics": [{"kind": "METRIC_KIND_PROMPT_TOKENS", "value": 7.0}]
                }
            },
            _raw(
                '{"label":"rtvi-ai","type":"metrics","data":'
                '{"tokens":[{"prompt_tokens":7},5],"ttfa":[]}}'
            ),
        ),
        *[
            {"op": "read", "media_ms": 0, "message": message, "error": "MALFORMED"}
            for message in (
                m("bot-tts-text", {"text": 5}),
                m("bot-tts-text"),
                m("bot-llm-text", []),
                m("bot-llm-text", "Hi"),
                m("user-transcription", {"text": "Hi", "final": "yes"}),
                m("server-response", {"d": 1}, "id-1"),
                m("error", {"error": {"a": 1}}),
                m("llm-function-call", {"function_name": 1, "tool_call_id": "c"}),
                m("llm-function-call-stopped", {"tool_call_id": "c", "cancelled": "no"}),
                m("bot-ready", 2),
            )
        ],
    ]  # fmt: skip


def _bot_asked() -> list[dict[str, Any]]:
    def refused(payload: str, value: dict[str, Any]) -> dict[str, Any]:
        return {"op": "write", "envelope": {payload: value}, "error": "UNSUPPORTED"}

    def meets(version: str) -> dict[str, Any]:
        # the state of a bot that was ready before does not change
        return {"op": "read", "media_ms": 0, "message": m("bot-ready", {"version": version})}

    options = {"run_immediately": True, "audio_response": True}
    keys = {"type": "dtmf", "dataJson": '{"digits":"1#"}'}
    return [
        write(
            "hello",
            {"protocolVersion": 1, "client": {"library": "voxwire-python", "platform": "linux"}},
            m(
                "client-ready",
                {
                    "version": "2.2.0",
                    "about": {"library": "voxwire-python", "platform": "linux"},
                },
                "id-1",
            ),
        ),
        write(
            "sendText",
            {"text": "Hi"},
            m("send-text", {"content": "Hi", "options": options}, "id-2"),
        ),
        write(
            "sendText",
            {"text": "Hi", "runImmediately": False},
            m(
                "send-text",
                {"content": "Hi", "options": {**options, "run_immediately": False}},
                "id-3",
            ),
        ),
        write(
            "appMessage",
            {"type": "note", "dataJson": '{"a":1}'},
            m("client-message", {"t": "note", "d": {"a": 1}}, "id-4"),
        ),
        write(
            "appMessage",
            {"type": "ask", "requestId": "q7"},
            m("client-message", {"t": "ask", "d": None}, "q7"),
        ),
        write("appMessage", keys, m("dtmf", {"buttons": ["1", "#"]}, "id-5")),
        write(
            "appMessage",
            {
                "type": "rtvi-ai",
                "dataJson": '{"label":"rtvi-ai","type":"ui-event","data":{"event":"x"},"more":1}',
            },
            {**m("ui-event", {"event": "x"}, "id-6"), "more": 1},
        ),
        write("bye", {}, m("disconnect-bot", {}, "id-7")),
        write("mute", {"muted": True}),
        write("playoutReport", {"pathId": 1}),
        write("ping", {"number": 1}),
        refused("interrupt", {}),
        refused("appMessage", {"type": "ask", "requestId": "q", "response": True}),
        meets("2.0.0"),
        write(
            "appMessage",
            keys,
            m("dtmf", {"button": "1"}, "id-8"),
            m("dtmf", {"button": "#"}, "id-9"),
        ),
        meets("1.0.0"),
        refused("appMessage", keys),
        write(
            "sendText",
            {"text": "Hi"},
            m(
                "append-to-context",
                {"role": "user", "content": "Hi", "run_immediately": True},
                "id-10",
            ),
        ),
    ]


_LABEL = '"label":"rtvi-ai"'
_X_DATA = "{" + _LABEL + ',"type":"x","data":'

REFUSED: list[dict[str, Any]] = [
    {"text": [[piece, times] for piece, times in pieces], "error": "MALFORMED"}
    for pieces in (
        [("", 1)],
        [("null", 1)],
        [("5", 1)],
        [('"ping: 1755771072123"', 1)],
        [("ping: 1755771072123", 1)],
        [("[]", 1)],
        [("{}", 1)],
        [('{"type":"signalling","message":{"type":"peerLeft"}}', 1)],
        [('{"label":"rtvi","type":"x"}', 1)],
        [("{" + _LABEL + "}", 1)],
        [("{" + _LABEL + ',"type":""}', 1)],
        [("{" + _LABEL + ',"type":null}', 1)],
        [("{" + _LABEL + ',"type":["x"]}', 1)],
        [("{" + _LABEL + ',"type":"', 1), ("x", 129), ('"}', 1)],
        [("{" + _LABEL + ',"type":"x","id":5}', 1)],
        [("{" + _LABEL + ',"type":"x","id":"', 1), ("1", 129), ('"}', 1)],
        [(_X_DATA + "NaN}", 1)],
        [(_X_DATA + "-Infinity}", 1)],
        [(_X_DATA + "1e999}", 1)],
        [(_X_DATA, 1), ("9", 400), ("}", 1)],
        [(_X_DATA + '"\\ud800"}', 1)],
        [(_X_DATA + '{"\\udc00":1}}', 1)],
        [(_X_DATA, 1), ("[", 128), ("]", 128), ("}", 1)],
        [(_X_DATA, 1), ('{"a":', 5000), ("1", 1), ("}", 5001)],
        [(_X_DATA, 1), ("[", 60_000)],
        [(_X_DATA + "01}", 1)],
        [("{" + _LABEL + ',"type":"x",}', 1)],
        [("{" + _LABEL + ',"type":"x"}}', 1)],
        [("\ufeff{" + _LABEL + ',"type":"x"}', 1)],
    )
]
REFUSED.append({"text": [[_X_DATA + '"', 1], ["é", 32_768], ['"}', 1]], "error": "TOO_LARGE"})


def written(name: str, case: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """What we write to stock peers in a script, with who is said to send it."""
    if name == "refused":
        return
    for step in case["steps"]:
        for message in step.get("messages", ()):
            if message.get("data") == {"button": "1"} or message.get("data") == {"button": "#"}:
                continue  # RTVI 2.0 only
            yield ("client" if name.startswith("bot-") else "bot"), message


def cases() -> Iterator[tuple[str, Any]]:
    """Every file of ``rtvi/`` that is a script or a list of what is refused."""
    client = {
        "handshake": ("the handshake in every version", {}, _client_handshake()),
        "inputs": ("what a client says, well and badly formed", {}, _client_inputs()),
        "speech": ("a turn: words when they sound", {}, _client_speech()),
        "cut": ("an interruption: what was heard, and nothing after", {}, _client_cut()),
        "typed": ("typed text, answered in text", {}, _client_typed()),
        "old": ("a client of RTVI 1.1", {}, _client_old()),
        "tools": ("calls and forged results", {"client_tools": ["open"]}, _client_tools()),
        "ios": ("the first generation of calls, for native clients", {}, _client_ios()),
        "app": ("the application's messages, errors, measurements", {}, _client_app()),
    }
    bot = {
        "speech": ("a turn: words when they arrive", {}, _bot_speech()),
        "unspaced": ("a script without spaces", {}, _bot_unspaced()),
        "cut": ("interruptions, told and not told", {}, _bot_cut()),
        "tools": ("calls of every generation", {"tools": ["open"]}, _bot_tools()),
        "app": ("the application's messages, errors, measurements", {}, _bot_app()),
        "asked": ("what a client says, to bots of every version", {}, _bot_asked()),
    }
    for name, (about, options, steps) in client.items():
        yield f"client-{name}", {"about": about, "options": options, "steps": steps}
    for name, (about, options, steps) in bot.items():
        yield f"bot-{name}", {"about": about, "options": options, "steps": steps}
    yield "refused", REFUSED
