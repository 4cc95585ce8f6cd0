"""A stock bot of our client: what it says, and what it is asked."""

from typing import Any

from rtvi_steps import NOW, heard, lost, m, write


def _state(bot: str, user: str) -> dict[str, Any]:
    found = {"bot": f"BOT_STATE_{bot}", "user": f"USER_STATE_{user}"}
    return {"stateChanged": found}


def bot_muted() -> list[dict[str, Any]]:
    """The bot does not listen to the user, and then does: part of the state."""

    def state(bot: str, user: str, *, muted: bool = True) -> dict[str, Any]:
        found = _state(bot, user)
        if muted:
            found["stateChanged"]["userMuted"] = True
        return found

    welcome = {"welcome": {"protocolVersion": 1, "epoch": 1}}
    return [
        heard(m("bot-ready", {"version": "2.2.0"}), welcome, _state("IDLE", "SILENT")),
        heard(m("user-mute-started"), state("IDLE", "SILENT")),
        heard(m("user-mute-started")),
        heard(m("user-started-speaking"), state("LISTENING", "SPEAKING")),
        heard(m("user-mute-stopped"), state("LISTENING", "SPEAKING", muted=False)),
        heard(m("user-mute-stopped")),
        heard(m("user-mute-started", {"more": 1}), state("LISTENING", "SPEAKING")),
        lost(_state("IDLE", "SILENT"), at=5),
    ]


def bot_speech() -> list[dict[str, Any]]:
    """A turn: words when they arrive."""
    arrival = "TIMING_SOURCE_ARRIVAL"
    user = {"text": "good day", "user_id": "", "timestamp": NOW, "final": True}
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


def bot_unspaced() -> list[dict[str, Any]]:
    """A script without spaces."""
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


def bot_cut() -> list[dict[str, Any]]:
    """Interruptions, told and not told."""
    arrival = "TIMING_SOURCE_ARRIVAL"

    def begun(name: str) -> dict[str, Any]:
        return {"utteranceStarted": {"utteranceId": name, "source": arrival}}

    def ended(name: str, media_ms: int) -> dict[str, Any]:
        cut = {"utteranceId": name, "end": "UTTERANCE_END_INTERRUPTED"}
        return {"utteranceEnded": {**cut, "heardMediaMs": str(media_ms)}}

    return [
        # cut off before it sounded: what it says of its sound comes behind that
        heard(m("bot-tts-started")),
        heard(m("bot-interrupted")),
        heard(m("bot-started-speaking"), _state("SPEAKING", "UNSPECIFIED")),
        heard(m("bot-tts-text", {"text": "Hello,"})),
        heard(m("bot-stopped-speaking"), _state("IDLE", "UNSPECIFIED")),
        heard(m("bot-started-speaking"), begun("s1"), _state("SPEAKING", "UNSPECIFIED")),
        heard(m("user-started-speaking"), _state("SPEAKING", "SPEAKING")),
        heard(
            m("bot-interrupted", {"more": 1}),
            ended("s1", 70),
            {"interrupted": {"utteranceId": "s1"}},
            at=70,
        ),
        heard(m("bot-tts-text", {"text": "late"}), at=72),
        heard(m("bot-stopped-speaking"), _state("LISTENING", "SPEAKING"), at=75),
        heard(m("bot-tts-text", {"text": "later"}), at=76),
        heard(m("bot-tts-started")),
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


def bot_tools() -> list[dict[str, Any]]:
    """Calls of every generation."""
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


def bot_app() -> list[dict[str, Any]]:
    """The application's messages, errors, measurements."""

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
            m("vad-user-started-speaking"),
            _raw('{"label":"rtvi-ai","type":"vad-user-started-speaking"}'),
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


def bot_asked() -> list[dict[str, Any]]:
    """What a client says, to bots of every version."""

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
        write("userActivity", {}),
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
