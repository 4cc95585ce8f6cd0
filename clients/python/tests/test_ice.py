"""Which STUN and TURN servers the paths of a session use."""

import asyncio

import pytest

import voxwire
from voxwire._ice import IceChoice
from voxwire_protocol import wire

OURS = voxwire.IceServer(["turn:ours.example"], "me", "CANARY")


def named(*urls: str) -> list[wire.IceServer]:
    return [wire.IceServer(urls=[url]) for url in urls]


async def urls(choice: IceChoice) -> list[str]:
    async with asyncio.timeout(1):
        return [url for server in await choice.servers() for url in server.urls]


async def test_the_servers_of_welcome_are_waited_for_and_fresh_ones_take_their_place() -> None:
    choice = IceChoice()
    asked = asyncio.create_task(urls(choice))
    await asyncio.sleep(0)
    assert not asked.done()
    choice.learn(named("turn:first.example"))
    assert await asked == ["turn:first.example"]
    choice.learn(named("turn:second.example"))
    assert await urls(choice) == ["turn:second.example"]


async def test_the_callers_servers_are_used_instead() -> None:
    choice = IceChoice([OURS], loopback=True)
    choice.learn(named("turn:theirs.example"))
    (server,) = await choice.servers()
    assert (list(server.urls), server.username, server.credential) == (
        ["turn:ours.example"],
        "me",
        "CANARY",
    )
    assert await urls(IceChoice([])) == []


async def test_on_one_machine_no_server_is_asked_unless_audio_must_be_relayed() -> None:
    choice = IceChoice(loopback=True)
    choice.learn(named("turn:theirs.example"))
    assert await urls(choice) == []
    choice = IceChoice(loopback=True, policy="relay")
    choice.learn(named("turn:theirs.example"))
    assert await urls(choice) == ["turn:theirs.example"]


def test_a_policy_is_one_of_two_and_no_credential_is_shown() -> None:
    assert "CANARY" not in repr(OURS)
    with pytest.raises(voxwire.UsageError):
        voxwire.connect("ws://127.0.0.1:1", ice_policy="none")
