"""Which private names of libraries we use: each is there, each is known (protocol/adr/0015).

A name that a new version of a library has lost or changed fails here with its use, before anything
else does; a name that is used and not listed fails, too.
"""

import ast
import functools
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.classes import OURS, our_classes

NOT_LIBRARIES = {*OURS, "builtins", "typing", "abc", "enum", "google", *sys.stdlib_module_names}
GEMINI = "pipecat.services.google.gemini_live.llm.GeminiLiveLLMService"
OPENAI = "pipecat.services.openai.realtime.llm.OpenAIRealtimeLLMService"

USED: dict[str, str] = {
    # what it has no public way for; parentheses: a method that is called or stood in for, with
    # the parameters that this relies on
    "aioice.ice.Connection": """
        _check_periodic() _check_list _check_list_maybe_fail() _check_list_done
        query_consent() get_component_candidates(component,addresses) _closing _protocols
        _nominated
        _local_candidates _remote_candidates _remote_candidates_end _remote_candidates_expected()
        _early_checks_done _add_remote_candidate(remote_candidate,network_host)
        _pair_remote_candidate(remote_candidate) check_incoming(message,addr,protocol)
        check_start_task(pair)
    """,
    "aioice.ice.StunProtocol": "datagram_received(data,addr)",
    "aioice.turn.TurnTransport": "__inner_protocol",
    "aioice.turn.TurnClientMixin": "delete()",
    "aiortc.rtcicetransport.RTCIceGatherer": "_connection",
    "aiortc.rtcicetransport.RTCIceTransport": "_send _recv",
    "aiortc.rtcrtpreceiver.RTCRtpReceiver": """
        __kind __codecs __jitter_buffer __stop_decoder() receive(parameters)
    """,
    "aiortc.rtcsctptransport.RTCSctpTransport": "_data_channel_queue _outbound_queue _sent_queue",
    "aiortc.jitterbuffer.JitterBuffer": "_packets _origin add(packet)",
    "aiortc.rtcrtpsender.RTCRtpSender": "__packet_count __rtp_timestamp",
    "pipecat.services.tts_service.TTSService": """
        _word_timestamp_tracker _push_text_frames _audio_context_manager
        _next_audio_context_item(context_id) _stop_frame_timeout_s
        _handle_interruption(frame,direction)
    """,
    "pipecat.utils.context.word_timestamp_tracker.WordTimestampTracker": "_baseline",
    "pipecat.services.llm_service.LLMService": "_push_llm_text(text)",
    "pipecat.services.ai_service.AIService": "_settings",
    "pipecat.services.stt_service.STTService": """
        _handle_vad_user_started_speaking(frame) _handle_vad_user_stopped_speaking(frame) _user_id
    """,
    "pipecat.transports.base_input.BaseInputTransport": """
        _create_audio_task() _cancel_audio_task() _start_audio_in_streaming() _params _paused
        _sample_rate
    """,
    "pipecat.pipeline.worker.PipelineWorker": "_observer",
    "pipecat.pipeline.worker_observer.WorkerObserver": "_observers",
    "pipecat.processors.frameworks.rtvi.observer.RTVIObserver": "_params",
    "pipecat.transports.base_output.BaseOutputTransport": "_sample_rate",
    "pipecat.transports.base_transport.BaseTransport": "_input_name _output_name",
    "pipecat.utils.base_object.BaseObject": """
        _call_event_handler(event_name) _register_event_handler(event_name)
    """,
    "pipecat.audio.vad.vad_controller.VADController": "_audio_idle_timeout",
    "pipecat.processors.aggregators.llm_response_universal.LLMUserAggregator": "_vad_controller",
    "pipecat.processors.audio.vad_processor.VADProcessor": "_vad_controller",
    "pipecat.audio.vad.vad_analyzer.VADAnalyzer": """
        _init_sample_rate _params _vad_buffer _vad_frames_num_bytes _vad_start_frames
        _vad_starting_count _vad_state _vad_stop_frames _vad_stopping_count
    """,
    "pipecat.workers.runner.WorkerRunner": "_setup_sigint() _setup_sigterm()",
    GEMINI: """
        _audio_input_paused _bot_is_responding _client _complete_turn() _completed_tool_calls
        _connect() _connection_start_time _connection_task _connection_task_handler _context
        _disconnect() _disconnecting _end_frame_pending_bot_turn_finished _handle_interruption()
        _handle_messages_append(frame) _handle_msg_resumption_update(message)
        _handle_send_error(error) _handle_server_message(message) _handle_session_ready(session)
        _handle_user_started_speaking(frame) _handle_user_stopped_speaking(frame)
        _push_output_transcription_text_frames _push_user_transcription _ready_for_realtime_input
        _send_user_audio(frame) _send_user_text(text) _session _session_resumption_handle
        _set_bot_is_responding _tool_call_id_to_name _tool_result _user_transcription_buffer
        _vad_disabled
    """,
    OPENAI: """
        _connect() _context _current_audio_response _disconnecting _handle_evt_audio_delta(evt)
        _handle_evt_audio_transcript_delta(evt) _handle_evt_error(evt)
        _handle_evt_session_updated(evt) _handle_evt_speech_started(evt)
        _llm_needs_conversation_setup _messages_added_manually _receive_task
        _receive_task_handler() _run_llm_when_api_session_ready
        _truncate_current_audio_response() _websocket
    """,
    "sys": "_current_frames",
    "uvicorn.server.Server": "_captured_signals",
}

APART = {
    "_exit",  # os._exit, which is public
    "_asdict",
    "_fields",
    "_replace",  # a named tuple's, which are public
    "_initialize",
    "_terminate",  # sounddevice's, which its documentation names for a list of devices made anew
    "_transport",  # asyncio's, asked for with a default
}
"""Names that are no library's private ones, or whose absence is allowed for."""


def find(dotted: str) -> Any:
    module, _, name = dotted.rpartition(".")
    return getattr(importlib.import_module(module), name) if module else sys.modules[name]


@functools.cache
def given_in(owner: type) -> frozenset[str]:
    """What a class names in its body, and what its methods give to `self`."""
    names = set(vars(owner))
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    except (OSError, TypeError):
        return frozenset(names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.update({node.attr} if is_own(node.value) else ())
    return frozenset(names)


def has(owner: type | ModuleType, name: str) -> bool:
    if isinstance(owner, ModuleType):
        return hasattr(owner, name)
    mangled = f"_{owner.__name__}{name}" if name.startswith("__") else name
    return any({name, mangled} & given_in(base) for base in owner.__mro__)


ROWS = [(dotted, entry) for dotted, entries in USED.items() for entry in entries.split()]


@pytest.mark.parametrize(("dotted", "entry"), ROWS)
def test_a_name_of_a_library_that_we_use_is_still_there(dotted: str, entry: str) -> None:
    name, _, parameters = entry.rstrip(")").partition("(")
    try:
        owner = find(dotted)
    except (ImportError, AttributeError) as error:
        if dotted in (GEMINI, OPENAI) and isinstance(error, ImportError):
            pytest.skip(f"its SDK is not installed: {error}")
        pytest.fail(f"{dotted} is gone; who uses it: protocol/adr/0015-one-peer.md")
    assert has(owner, name), (
        f"{dotted} has no {name} any more; who uses it, and what for: protocol/adr/0015-one-peer.md"
    )
    if "(" in entry:
        mangled = f"_{owner.__name__}{name}" if name.startswith("__") else name
        taken = list(inspect.signature(getattr(owner, mangled)).parameters)
        assert taken[1:][: len(parameters.split(",")) if parameters else 0] == (
            parameters.split(",") if parameters else []
        ), f"{dotted}.{name} takes {taken} now: look at who stands in for it or calls it"


def known() -> set[str]:
    return {entry.partition("(")[0] for _, entry in ROWS}


# nothing that is not listed


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for name in OURS:
        for folder in importlib.import_module(name).__path__:
            for path in sorted(Path(folder).rglob("*.py")):
                if "gen" not in path.relative_to(folder).parts:
                    yield path, ast.parse(path.read_text("utf-8"))


def is_own(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def named_by_us(trees: list[ast.Module]) -> set[str]:
    names: set[str] = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if is_own(node.value):
                names.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def test_no_private_name_of_somebody_elses_object_is_used_that_is_not_listed() -> None:
    files = list(sources())
    ours = named_by_us([tree for _, tree in files])
    allowed = known() | APART
    found = [
        f"{path.name}:{node.lineno} {ast.unparse(node)}"
        for path, tree in files
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not (node.attr.startswith("__") and node.attr.endswith("__"))
        and not is_own(node.value)
        and node.attr not in ours
        and plain(node.attr) not in allowed
    ]
    assert found == [], "list them in USED and in protocol/adr/0015-one-peer.md, or do without"


def plain(name: str) -> str:
    """A mangled name as its class writes it: `_RTCRtpSender__packet_count`, `__packet_count`."""
    head, mark, tail = name.partition("__")
    return f"__{tail}" if mark and head.startswith("_") and head[1:2].isupper() else name


def test_no_private_name_of_a_class_that_we_extend_is_used_that_is_not_listed() -> None:
    found: list[str] = []
    for owner in our_classes():
        bases = [b for b in owner.__mro__[1:] if b.__module__.split(".")[0] not in NOT_LIBRARIES]
        theirs = {n for base in bases for n in given_in(base) if n[0] == "_" and n[1:2] != "_"}
        theirs -= {n for n in theirs if n.startswith("_abc_")}
        if not theirs:
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
        used = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and is_own(n.value)}
        given = named_by_us([tree])  # not vars(owner), where a library may note what it found out
        found += [f"{owner.__qualname__} {n}" for n in ((used | given) & theirs) - known()]
    assert found == [], "list them in USED and in protocol/adr/0015-one-peer.md, or do without"


def test_every_name_that_is_listed_is_used() -> None:
    text = "\n".join(ast.unparse(tree) for _, tree in sources())
    # some mangled ones are put together where they are used
    names = {name: name.removeprefix("__") for name in known()}
    assert [name for name, short in names.items() if short not in text] == []
