"""A stock client of our server and a stock bot of our client say what the vectors say."""

import json
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from voxwire_protocol import rtvi, wire
from voxwire_protocol.errors import ErrorCode

VECTORS = Path(__file__).parents[2] / "vectors" / "rtvi"
NOW = "2026-08-21T10:11:12.345Z"


def read(message: Any) -> rtvi.RtviMessage:
    return rtvi.decode(json.dumps(message))


def _scripts(peer: str) -> list[Any]:
    paths = sorted(VECTORS.glob(f"{peer}-*.json"))
    return [pytest.param(json.loads(path.read_text("utf-8")), id=path.stem) for path in paths]


def _messages(messages: list[rtvi.RtviMessage]) -> list[Any]:
    return [json.loads(rtvi.encode(message)) for message in messages]


def _envelope(value: dict[str, Any]) -> wire.Envelope:
    return ParseDict(value, wire.Envelope())


def _value(said: Any) -> Any:
    assert is_dataclass(said)
    found = {"kind": type(said).__name__}
    if isinstance(said, rtvi.Foreign):
        return found | {"message": json.loads(rtvi.encode(said.message))}
    for name, value in asdict(said).items():  # type: ignore[call-overload]
        plain = value.hex() if isinstance(value, bytes) else value
        found[name] = str(value) if isinstance(value, rtvi.Version) else plain
    if isinstance(said, rtvi.ClientReady) and said.version is not None:
        found["version"] = str(said.version)
    return found


@pytest.mark.parametrize("script", _scripts("client"))
def test_a_stock_client_is_understood_and_answered(script: dict[str, Any]) -> None:
    tools = frozenset(script["options"].get("client_tools", []))
    client = rtvi.StockClient(client_tools=tools)
    for at, step in enumerate(script["steps"]):
        where = f"step {at}: {step}"
        match step["op"]:
            case "read":
                _client_reads(client, step, where)
            case "write":
                found = client.write(_envelope(step["envelope"]), timestamp=NOW)
                assert _messages(found) == step["messages"], where
            case "advance":
                assert _messages(client.advance(step["media_ms"])) == step["messages"], where
            case "bot_ready":
                found = client.bot_ready(
                    step["message_id"], about=step["about"], capabilities=step["capabilities"]
                )
                assert _messages(found) == step["messages"], where
            case "text_only":
                client.text_only = step["value"]


def _client_reads(client: rtvi.StockClient, step: dict[str, Any], where: str) -> None:
    message = read(step["message"])
    if "error" in step:
        with pytest.raises(rtvi.RtviError) as caught:
            client.read(message)
        assert (caught.value.code.name, caught.value.message_id) == (
            step["error"],
            step["message_id"],
        ), where
        return
    found = client.read(message)
    assert found.message_id == step["message_id"], where
    if "envelope" in step:
        assert isinstance(found.said, wire.Envelope), where
        assert found.said == _envelope(step["envelope"]), where
    else:
        assert _value(found.said) == step["value"], where


def _same_id(found: list[Any], wanted: list[Any]) -> list[Any]:
    """The wanted messages, with an id that a script leaves open ("id-+")."""
    if len(found) != len(wanted):
        return wanted
    return [
        {**want, "id": have["id"]} if want.get("id") == "id-+" else want
        for have, want in zip(found, wanted, strict=True)
    ]


@pytest.mark.parametrize("script", _scripts("bot"))
def test_a_stock_bot_is_understood_and_asked(script: dict[str, Any]) -> None:
    ids = iter(range(1, 1000))
    tools = frozenset(script["options"].get("tools", []))
    bot = rtvi.StockBot(new_id=lambda: f"id-{next(ids)}", tools=tools)
    for at, step in enumerate(script["steps"]):
        where = f"step {at}: {step}"
        if step["op"] == "state":
            assert str(bot.version) == step["version"]
            assert bot.capabilities == step["capabilities"]
        elif step["op"] == "late":
            assert bot.late_utterance_id == step["utterance_id"], where
        elif step["op"] in ("lost", "overdue"):
            verb = bot.lost if step["op"] == "lost" else bot.overdue
            ended = [MessageToDict(envelope) for envelope in verb(step["media_ms"])]
            assert ended == [MessageToDict(_envelope(one)) for one in step["envelopes"]], where
        elif step["op"] == "read":
            message = read(step["message"])
            if "error" in step:
                with pytest.raises(rtvi.RtviError) as caught:
                    bot.read(message, media_ms=step["media_ms"])
                assert caught.value.code.name == step["error"], where
                continue
            found = bot.read(message, media_ms=step["media_ms"])
            if "envelopes" in step:
                wanted = [MessageToDict(_envelope(value)) for value in step["envelopes"]]
                assert [MessageToDict(envelope) for envelope in found] == wanted, where
        elif "error" in step:
            with pytest.raises(rtvi.RtviError) as caught:
                bot.write(_envelope(step["envelope"]))
            assert caught.value.code.name == step["error"], where
        else:
            sent = _messages(bot.write(_envelope(step["envelope"])))
            assert sent == _same_id(sent, step["messages"]), where


def test_a_file_goes_to_a_bot_that_takes_files() -> None:
    bot = rtvi.StockBot(new_id=lambda: "f")
    message = bot.requests.send_file(
        "See", media_type="image/png", name="a.png", data=b"\x00\x01", version=bot.version
    )
    said = rtvi.StockClient().read(rtvi.decode(rtvi.encode(message))).said
    assert isinstance(said, rtvi.SendFile)
    assert (said.data, said.media_type, said.name, said.text) == (
        b"\x00\x01",
        "image/png",
        "a.png",
        "See",
    )
    link = bot.requests.send_file("", media_type="a/b", url="https://x.test/a", version=bot.version)
    assert link.data["file"] == {
        "format": "a/b",
        "source": {"type": "url", "url": "https://x.test/a"},
    }
    with pytest.raises(rtvi.RtviError) as caught:
        bot.requests.send_file("", media_type="a/b", url="x", version=rtvi.Version(2, 1))
    assert caught.value.code is ErrorCode.UNSUPPORTED
