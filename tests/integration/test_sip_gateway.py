"""The gateway of ``examples/sip-trunk`` between a telephone in Python and a server of a test's.

``make system`` runs it: the gateway is built from Go.
"""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest

from tests.support.sip_far_server import FarServer, far_server
from tests.support.sip_phone import ALAW, ULAW, SipPhone, rtp, sip_phone
from tests.support.sip_trunk import ACCOUNT, TOKEN, Gateway, built, gateway
from tests.support.waiting import until
from voxwire_server.phone import g711

RAMP = bytes(range(1, 127)) * 32  # no two packets alike, and none of silence
PAUSE_S = 0.4


@contextlib.asynccontextmanager
async def carried(
    *options: str, codec: int = ULAW, **environment: str
) -> AsyncIterator[tuple[Gateway, FarServer, SipPhone]]:
    """A gateway with a server and a telephone; nothing is left of a call."""
    async with far_server(TOKEN) as server:
        async with gateway(server.url, *options, **environment) as running:
            async with sip_phone(running.port, codec=codec, account=ACCOUNT) as phone:
                yield running, server, phone
            if running.process.returncode is None:
                await running.idle()


def voice_of(phone: SipPhone) -> bytes:
    """What the telephone heard, without silence, in µ-law."""
    quiet = {ULAW: b"\xff", ALAW: b"\xd5"}[phone.codec] * 160
    return b"".join(each.payload for each in phone.packets if each.payload != quiet)


def pcm(sound: bytes, kind: int = ULAW) -> np.ndarray:
    """Samples."""
    encoding = {ULAW: g711.MULAW, ALAW: g711.ALAW}[kind]
    return np.frombuffer(encoding.decode(sound), "<i2").astype(int)


@pytest.mark.parametrize("codec", [ULAW, ALAW])
async def test_a_call_is_announced_as_twilio_does_and_carries_sound_both_ways(codec: int) -> None:
    async with carried("-bot", "a b", codec=codec) as (_, server, phone):
        assert (await phone.dial()).status == 200
        stream = await server.stream()
        [call] = server.calls
        assert (call["From"], call["To"], call["query"]) == ("+15550100", "4711", "bot=a+b")
        [start] = stream.all("start")
        assert start["callSid"] == call["CallSid"]
        ramp = RAMP if codec == ULAW else bytes(each ^ 0x55 for each in RAMP)
        phone.say(ramp)
        await until(lambda: len(stream.heard.replace(b"\xff", b"")) >= len(RAMP))
        heard = pcm(stream.heard)
        said = pcm(ramp, codec)
        at = int(np.argmax(np.abs(heard) > 200))
        at -= int(np.argmax(np.abs(said) > 200))
        within = np.abs(heard[at : at + len(said)] - said)
        assert np.all(within <= 0.07 * np.abs(said) + 24)  # one law in place of the other
        await stream.say(RAMP, "end")
        await until(lambda: "end" in stream.marks)
        voice = pcm(voice_of(phone), codec)
        assert len(voice) // 160 == -(-len(RAMP) // 160)
        assert np.all(np.abs(voice[: len(RAMP)] - pcm(RAMP)) <= 0.07 * np.abs(pcm(RAMP)) + 24)
        numbers = np.diff([each.number for each in phone.packets])
        stamps = np.diff([each.timestamp for each in phone.packets])
        assert (set(numbers), set(stamps)) == ({1}, {160})
        await phone.hang_up()
        await until(lambda: stream.code)
        assert stream.came[-1][1]["event"] == "stop"
        assert server.forged == []


async def test_a_mark_comes_back_when_its_packet_has_left_and_is_over() -> None:
    async with carried() as (_, server, phone):
        await phone.dial()
        stream = await server.stream()
        await until(lambda: len(phone.packets) > 10)
        await stream.say(b"", "nothing before it")
        await until(lambda: stream.marks)
        for n in range(8):
            await stream.say(bytes([n + 1]) * 800, f"{n}")
        await until(lambda: "7" in stream.marks)
        after: list[int] = []
        for n in range(8):
            last = max(each.at for each in phone.packets if n + 1 in each.payload)
            marked = stream.marks[f"{n}"]
            assert marked > last
            after.append(sum(last < each.at < marked for each in phone.packets))
        print("packets behind the one that was marked:", after)
        assert list(stream.marks) == ["nothing before it", *map(str, range(8))]
        assert np.median(after) <= 2
        await phone.hang_up()


async def test_what_waits_is_dropped_by_clear_and_its_marks_come_back() -> None:
    async with carried() as (_, server, phone):
        await phone.dial()
        stream = await server.stream()
        for n in range(10):
            await stream.say(bytes([n + 1]) * 1600, f"{n}")
        await until(lambda: "0" in stream.marks)
        assert "9" not in stream.marks
        await stream.clear()
        await until(lambda: "9" in stream.marks)
        heard = len(voice_of(phone))
        assert 1600 <= heard < 12_000
        await stream.say(b"\x33" * 320, "next")
        await until(lambda: "next" in stream.marks)
        assert voice_of(phone)[heard:].replace(b"\x33", b"") == b""
        assert voice_of(phone)[-320:] == b"\x33" * 320
        assert list(stream.marks) == [*map(str, range(10)), "next"]
        await phone.hang_up()


@pytest.mark.parametrize(("held", "answered"), [("sendonly", "recvonly"), ("inactive", "inactive")])
async def test_who_holds_the_call_hears_nothing_and_is_not_heard(held: str, answered: str) -> None:
    async with carried("-quiet", "1s") as (_, server, phone):
        await phone.dial()
        stream = await server.stream()
        await until(lambda: len(phone.packets) > 10)
        answer = await phone.asked("INVITE", phone.offer(held))
        assert (answer.status, f"a={answered}" in answer.body) == (200, True)
        phone.sends = held == "sendonly"
        await asyncio.sleep(0.1)  # real time: moment: packets that were on their way
        packets, heard = len(phone.packets), len(stream.heard)
        phone.say(RAMP[:1600] if phone.sends else b"")
        await stream.say(RAMP, "end")
        await asyncio.sleep(1.5)  # real time: silence: nobody is gone, nothing comes
        assert (len(phone.packets), stream.marks) == (packets, {})
        assert len(stream.heard) - heard > 4000
        assert set(stream.heard[heard:]) == {0xFF}
        phone.sends = True
        answer = await phone.asked("INVITE", phone.offer())
        assert (answer.status, "a=sendrecv" in answer.body) == (200, True)
        await until(lambda: "end" in stream.marks)
        assert voice_of(phone)[: len(RAMP)] == RAMP
        phone.say(b"\x22" * 800)
        await until(lambda: stream.heard.count(0x22) == 800)
        await phone.hang_up()


async def test_keys_are_told_once_whatever_is_lost_of_them() -> None:
    async with carried() as (_, server, phone):
        await phone.dial()
        stream = await server.stream()
        phone.press("4")
        phone.press("4")
        phone.press("#", lose=4)
        phone.press("0", times=0)
        phone.press("*", lose=3, times=1)
        phone.press("D")
        await until(lambda: len(stream.all("dtmf")) >= 6)
        phone.say(b"\x22" * 800)
        await until(lambda: stream.heard.count(0x22) == 800)
        assert [each["digit"] for each in stream.all("dtmf")] == ["4", "4", "#", "0", "*", "D"]
        await phone.hang_up()


async def test_where_nothing_comes_a_bot_hears_silence() -> None:
    async with carried() as (_, server, phone):
        await phone.dial()
        stream = await server.stream()
        phone.say(b"\x22" * 160)
        await until(lambda: b"\x22" in stream.heard)
        phone.sends = False  # silence suppression
        heard, began = len(stream.heard), time.monotonic()
        await until(lambda: len(stream.heard) - heard >= 8000)
        assert time.monotonic() - began > 0.9  # real time: order; as long as it is
        await phone.hang_up()


async def test_packets_of_others_and_packets_that_are_none_do_nothing() -> None:
    async with carried() as (running, server, phone):
        await phone.dial()
        stream = await server.stream()
        far = phone.far
        assert far is not None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.2", 0))
            for n in range(20):
                stranger.sendto(rtp(ULAW, n, n * 160, b"\x11" * 160, ssrc=9), far)
        # an extension with padding in it, over which the library's own reader panics
        padded = struct.pack("!BBHIIHHB", 0x90, ULAW, 1, 1, 7, 0xBEDE, 2, 0x10) + b"\xaa" + bytes(6)
        for data in (padded + b"\x12" * 4, b"", b"\x80", bytes(11), b"\xff" * 200, bytes(1600)):
            phone.media.sendto(data, far)
            phone.media.sendto(data, (far[0], far[1] + 1))  # RTCP
        phone.media.sendto(rtp(3, 2, 2, b"\x13" * 33), far)  # GSM
        phone.say(b"\x22" * 800)
        await until(lambda: stream.heard.count(0x22) == 800)
        assert 0x11 not in stream.heard
        assert 0x13 not in stream.heard
        await stream.say(RAMP, "end")
        await until(lambda: "end" in stream.marks)
        assert running.process.returncode is None
        await phone.hang_up()


async def test_a_description_that_breaks_the_library_ends_no_call_of_others() -> None:
    async with carried() as (running, server, phone):
        await phone.dial()
        stream = await server.stream()
        async with sip_phone(running.port, account=ACCOUNT) as other:
            broken = other.offer(more="a=rtpmap:96 x/8000\r\na=rtpmap:96 y/8000\r\n" * 3)
            challenge = await other.asked("INVITE", broken)
            assert challenge.status == 401
            head = other.signed(challenge.headers["www-authenticate"])
            other.send("INVITE", broken, more=head)
            await until(lambda: any("left out" in line for line in running.log))
        assert running.process.returncode is None
        await stream.say(RAMP, "end")
        await until(lambda: "end" in stream.marks)
        await phone.hang_up()


async def test_who_may_not_call_is_told_so_and_nothing_is_announced() -> None:
    async with carried() as (running, server, phone):
        for account, status in (
            (("", ""), 401),
            (("desk", "another"), 403),
            (("another", ACCOUNT[1]), 403),
        ):
            async with sip_phone(running.port, account=account) as stranger:
                assert (await stranger.dial()).status == status
        assert server.calls == []
        challenge = await phone.asked("INVITE", phone.offer())
        old = phone.signed(challenge.headers["www-authenticate"])
        await asyncio.sleep(5.5)  # real time: moment: what was asked is forgotten
        assert (await phone.asked("INVITE", phone.offer(), more=old)).status == 401
        assert (await phone.dial()).status == 200
        await phone.hang_up()


async def test_an_address_of_the_list_needs_no_password_and_another_one_gets_none() -> None:
    async with carried("-allow", "192.0.2.7/32,127.0.0.0/8", SIP_DIGEST="") as (_, server, phone):
        phone.account = ("", "")
        assert (await phone.dial()).status == 200
        await server.stream()
        await phone.hang_up()
    async with carried("-allow", "192.0.2.7/32", SIP_DIGEST="") as (_, server, phone):
        nobody = 'realm="sipgo" nonce="x"'
        phone.account = ("", "")
        assert (await phone.asked("INVITE", phone.offer())).status == 403
        head = phone.signed(nobody)
        assert (await phone.asked("INVITE", phone.offer(), more=head)).status == 403
        assert server.calls == []


async def test_a_call_that_the_server_does_not_take_is_busy() -> None:
    async with carried() as (_, server, phone):
        server.full = True
        assert (await phone.dial()).status == 486
        server.full, server.token = False, "another"
        assert (await phone.dial()).status == 486
        assert server.forged == ["webhook"]
    async with gateway("http://127.0.0.1:1") as running:
        async with sip_phone(running.port, account=ACCOUNT) as phone:
            assert (await phone.dial()).status == 486
        await running.idle()


async def test_who_offers_nothing_that_is_known_is_told_so() -> None:
    async with carried() as (_, server, phone):
        offer = phone.offer().replace(" 0 96", " 9 96").replace("0 PCMU", "9 G722")
        assert (await phone.dial(offer.replace("telephone-event", "x"))).status == 488
        assert server.streams == []
        assert (await phone.dial()).status == 200
        await phone.hang_up()


async def test_the_end_of_the_stream_is_the_end_of_the_call() -> None:
    async with carried() as (_, server, phone):
        await phone.dial()
        stream = await server.stream()
        await stream.socket.close(4008)
        await until(lambda: phone.over)


async def test_a_caller_who_is_gone_without_a_word_is_hung_up_on() -> None:
    async with carried("-quiet", "1s") as (running, server, phone):
        await phone.dial()
        stream = await server.stream()
        phone.sends = False
        await until(lambda: stream.code)
        await until(lambda: phone.over)
        await until(lambda: any("nothing comes" in line for line in running.log))


async def test_a_gateway_that_is_told_to_stop_hangs_up() -> None:
    async with carried() as (running, server, phone):
        await phone.dial()
        stream = await server.stream()
        running.process.terminate()
        await until(lambda: phone.over)
        await until(lambda: stream.code)
        assert stream.came[-1][1]["event"] == "stop"
        assert await running.process.wait() == 0


@pytest.mark.parametrize(
    "missing", ["SIP_DIGEST", "VOXWIRE_PHONE_TWILIO_TOKEN", "VOXWIRE_PUBLIC_URL"]
)
async def test_it_does_not_start_without_what_it_needs(missing: str) -> None:
    known = {
        "SIP_DIGEST": "a:b",
        "VOXWIRE_PHONE_TWILIO_TOKEN": "t",
        "VOXWIRE_PUBLIC_URL": "http://x",
    }
    process = await asyncio.create_subprocess_exec(
        built(), env={**known, missing: ""}, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    assert missing in said.decode()
