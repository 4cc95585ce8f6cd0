"""What a stock client is told: a turn, an interruption, tools, the application."""

from typing import Any

from rtvi_steps import NOW, advance, m, ready, said, write

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


def client_speech() -> list[dict[str, Any]]:
    """A turn: words when they sound."""
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
                    "text": "good", "input_type": "transcription", "timestamp": NOW,
                    "final": False, "user_id": "",
                },
            ),
            m(
                "user-transcription",
                {"text": "good", "user_id": "", "timestamp": NOW, "final": False},
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
                    "text": "good day", "input_type": "transcription", "timestamp": NOW,
                    "final": True, "user_id": "",
                },
            ),
            m(
                "user-transcription",
                {"text": "good day", "user_id": "", "timestamp": NOW, "final": True},
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


def client_cut() -> list[dict[str, Any]]:
    """An interruption: what was heard, and nothing after."""
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


def client_typed() -> list[dict[str, Any]]:
    """Typed text, answered in text."""
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
                    "text": "Hi", "input_type": "chat", "timestamp": NOW, "final": True,
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


def client_old() -> list[dict[str, Any]]:
    """A client of RTVI 1.1."""

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


def client_muted() -> list[dict[str, Any]]:
    """The bot does not listen to the user: told when it is heard why; not to a client of 1.1."""

    def state(muted: bool, bot: str = "SPEAKING", media_ms: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = {"bot": f"BOT_STATE_{bot}", "user": "USER_STATE_SILENT"}
        if media_ms:
            found["mediaMs"] = str(media_ms)
        return {**found, "userMuted": muted} if muted else found

    value = {"kind": "ClientReady", "version": "1.1.0", "library": "x", "about": {"library": "x"}}
    return [
        write("stateChanged", state(True, "IDLE"), m("user-mute-started")),
        write("stateChanged", state(False, "IDLE"), m("user-mute-stopped")),
        write("stateChanged", state(False, "SPEAKING", 1000)),
        write("stateChanged", state(True, "SPEAKING", 1000)),
        advance(1000, m("bot-started-speaking"), m("user-mute-started")),
        write("stateChanged", state(True, "IDLE"), m("bot-stopped-speaking")),
        write("stateChanged", state(False, "IDLE"), m("user-mute-stopped")),
        said(ready("1.1.0"), message_id="r", value=value),
        write("stateChanged", state(True, "IDLE")),
    ]


def client_tools() -> list[dict[str, Any]]:
    """Calls and forged results."""

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
        write(
            "toolCallEnded",
            {"callId": "c4", "name": "open", "outcome": "TOOL_OUTCOME_LOST"},
            stopped("c4", "open", cancelled=True),
        ),
        write("toolProgress", {"callId": "c3", "noteJson": "1"}),
    ]  # fmt: skip


def client_ios() -> list[dict[str, Any]]:
    """The first generation of calls, for native clients."""
    about = {"library": "pipecat-client-ios", "library_version": "1.3.0"}
    page = {"library": "@pipecat-ai/client-js", "platform": "Android"}
    value = {"kind": "ClientReady", "version": "2.0.0", "library": "pipecat-client-ios"}
    studio = {"library": "axios-studios", "platform": "Windows"}
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
        # not a native client, and its utterances go on under their numbers
        write("utteranceStarted", _STARTED, m("bot-tts-started")),
        write("utteranceWords", _WORDS, _output("new", "", "Grüezi 👋 Anna", "aggregated_by")),
        said(
            ready("2.2.0", studio),
            message_id="r",
            value={**value, "version": "2.2.0", "library": "axios-studios", "about": studio},
        ),
        advance(1000, _tts(0), _output("in-progress", "Grüezi", " 👋 Anna")),
        write(
            "toolRequest",
            request,
            m("llm-function-call-in-progress", {**call, "arguments": {}}),
        ),
    ]


def client_app() -> list[dict[str, Any]]:
    """The application's messages, errors, measurements."""

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
        write("appMessage", app("server-message", "[1]"), m("server-message", [1])),
        write("appMessage", app("server-message", "null"), m("server-message", {})),
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
