"""A session on file, and the same session from it."""

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from virtual import Log, virtual

import voxwire
from voxwire.testing import FakeServer, FakeSession, FakeSpeaker, VirtualTime, record, replay
from voxwire_protocol import wire


def look(what: str) -> str:
    """Look at something."""
    return f"{what} seen"


async def bot(session: FakeSession) -> None:
    await session.say("Hello you out there")
    text = await session.text()
    await session.call_tool("look", {"what": "here"})
    await session.say(f"you said {text} and some more that is cut")
    await session.text()
    session.end()


async def hold(
    time: VirtualTime, environment: voxwire.testing.Environment, *, drop: bool
) -> tuple[Log, voxwire.Conversation, FakeSpeaker]:
    """The same conversation, whoever is at the other end."""
    speaker = FakeSpeaker()
    connection = voxwire.connect(
        "ws://there",
        environment=environment,
        speaker=speaker,
        tools=[voxwire.tool(look)],
        token="CANARY",
    )
    async with connection as session:
        log = Log(session, time)
        await time.advance(2000)
        await session.send_text("one")
        await time.advance(900)
        if drop:
            session.simulate.drop_control()
        await time.advance(400)
        await session.interrupt()
        await time.advance(500)
        await session.send_text("bye")
        await log.over()
    assert log.failure is None
    return log, session.conversation, speaker


def sounds(speaker: FakeSpeaker) -> list[tuple[float, bytes]]:
    return [(piece.media_ms, piece.samples.tobytes()) for piece in speaker.played]


@pytest.mark.parametrize("drop", [False, True])
@virtual
async def test_the_same_events_words_and_conversation_come_of_the_file(
    time: VirtualTime, tmp_path: Path, drop: bool
) -> None:
    file = tmp_path / "talk.voxrec"
    async with FakeServer(bot) as server:
        with record(file, server.environment) as environment:
            before, said, heard = await hold(time, environment, drop=drop)
    assert len(before.of(voxwire.BotWord)) > 5
    assert before.of(voxwire.Interrupted)
    after, again, played = await hold(time, replay(file), drop=drop)
    assert after.timed == before.timed
    assert again == said
    assert "[" in str(said)  # something was never heard
    assert sounds(played) == sounds(heard) != []


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@virtual
async def test_the_file_is_messages_and_moments_and_holds_no_secret(
    time: VirtualTime, tmp_path: Path
) -> None:
    file = tmp_path / "talk.voxrec"
    file.write_text("older")
    file.chmod(0o644)
    async with FakeServer(bot) as server:
        with record(file, server.environment) as environment:
            await hold(time, environment, drop=True)
        tokens = [token for session in server.sessions for token in session.tokens]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first, *rest = lines(file)
    assert first == {"voxwire_recording": 1}
    opened = [line for line in rest if "opened_after_ms" in line]
    assert [line["socket"] for line in opened] == [0, 1]
    rest = [line for line in rest if line not in opened]
    assert all(
        {"socket", "after_ms"} < set(line) <= {"socket", "after_ms", "data", "closed"}
        for line in rest
    )
    assert {line["socket"] for line in rest} == {0, 1}
    messages = [base64.b64decode(line["data"]) for line in rest if "data" in line]
    assert not any(secret in data for data in messages for secret in (b"CANARY", *tokens) if secret)
    welcomes = [e for e in map(wire.Envelope.FromString, messages) if e.HasField("welcome")]
    assert len(welcomes) == 2 and not any(it.welcome.resume_token for it in welcomes)


@virtual
async def test_a_word_that_is_changed_in_it_changes_the_events(
    time: VirtualTime, tmp_path: Path
) -> None:
    file = tmp_path / "talk.voxrec"
    async with FakeServer(bot) as server:
        with record(file, server.environment) as environment:
            await hold(time, environment, drop=False)
    changed = []
    for line in file.read_text().splitlines():
        told = json.loads(line)
        data = base64.b64decode(told.get("data", ""))
        told_otherwise = data.replace(b"Hello you", b"Hello she")
        changed.append(
            line
            if data == told_otherwise
            else json.dumps({**told, "data": base64.b64encode(told_otherwise).decode()})
        )
    file.write_text("\n".join(changed))
    log, said, _ = await hold(time, replay(file), drop=False)
    assert "she" in [word.text for word in log.of(voxwire.BotWord)]
    assert "Hello she out there" in str(said)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "no JSON", '{"voxwire_recording": 2}', '{"voxwire_recording": 1}\n{}']
)
async def test_what_is_no_recording_is_said(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other"
    file.write_text(text)
    with pytest.raises(voxwire.UsageError, match="other"):
        replay(file)


@virtual
async def test_nothing_is_dialled_that_was_not_recorded(tmp_path: Path) -> None:
    file = tmp_path / "empty"
    file.write_text('{"voxwire_recording": 1}\n')
    with pytest.raises(voxwire.TransportError):
        async with voxwire.connect("ws://there", environment=replay(file)):
            pytest.fail("it is in")
