"""Hostile requests to the routes of stock clients: no 5xx, no bot, no packet, nothing left."""

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

pytest.importorskip("aiortc")

from aiortc import RTCConfiguration, RTCPeerConnection

from tests.integration.test_ice import count, sink
from tests.support.clicks import make_bot
from tests.support.waiting import PATIENT, descriptors_at_most, until
from voxwire_server.testing import RunningServer, running_server

ROUTES: Final = ("/start", "/api/offer", "/sessions/none/api/offer")
PHASES: Final = (Phase.explicit, Phase.generate)
"""No shrinking: an example is small, and a server for each try takes long."""
JSON: Final = {"Content-Type": "application/json"}


@asynccontextmanager
async def served(**more: Any) -> AsyncIterator[tuple[RunningServer, httpx.AsyncClient]]:
    """A server of its own, and a client of it; no connection waits for long there."""
    with pytest.MonkeyPatch().context() as patched:
        patched.setattr("voxwire_server.media.peer.CONNECT_MS", 200)
        patched.setattr("voxwire_server.routes.stock_offers._MAX_PENDING", 1000)
        async with running_server(make_bot(), **{**PATIENT, **more}) as server:
            url = f"http://127.0.0.1:{server.port}"
            async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
                yield server, http


async def real_offer() -> str:
    """As a browser's: a microphone, a camera, a data channel."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        connection.addTransceiver("audio", "sendrecv")
        connection.addTransceiver("video", "sendonly")
        connection.createDataChannel("chat")
        await connection.setLocalDescription(await connection.createOffer())
        return str(connection.localDescription.sdp)
    finally:
        await connection.close()


OFFER: Final = asyncio.run(real_offer())
CANDIDATE: Final = "a=candidate:1 1 udp 1 {} 9 typ host\r\n"
LINES: Final = (
    *("a=setup:bogus", "a=setup:holdconn", "a=fingerprint:md5 AA:AA", "a=fingerprint:sha-256 ZZ"),
    *("a=ice-ufrag:", "a=ice-pwd:x", "a=mid:", "a=mid:0", "a=rtpmap:111 opus/48000/9999999999"),
    *("a=rtpmap:96 nonsense/90000", "a=rtpmap:x", "a=fmtp:111 =;=", "a=ssrc:-1 cname:x", "a="),
    *("m=audio 99999 UDP/TLS/RTP/SAVPF 111", "m=audio", "m=text 9 X 1", "c=IN IP6 ::::", "v=1"),
    *("a=sctp-port:70000", "a=max-message-size:-1", "a=group:BUNDLE 0 1 2 3 4 5", "t=x", "\0"),
    *("a=candidate:1 1 udp 1 169.254.169.254 80 typ host", "a=candidate:x", "o=bogus"),
    "a=extmap:99999 urn:x",
)
EDITS: Final = st.one_of(
    st.tuples(st.just("cut"), st.integers(0, 100), st.just("")),
    st.tuples(st.just("twice"), st.integers(0, 100), st.just("")),
    st.tuples(st.just("swap"), st.integers(0, 100), st.just("")),
    st.tuples(st.just("end"), st.integers(0, 100), st.just("")),
    st.tuples(st.just("put"), st.integers(0, 100), st.sampled_from(LINES)),
    st.tuples(st.just("be"), st.integers(0, 100), st.sampled_from(LINES)),
    st.tuples(st.just("number"), st.integers(0, 100), st.sampled_from(["-1", "0", "4294967296"])),
    st.tuples(st.just("letters"), st.integers(0, 100), st.text(max_size=9)),
)


def edited(sdp: str, edits: list[tuple[str, int, str]]) -> str:
    """An offer with some of its lines changed."""
    lines = sdp.split("\r\n")
    for how, where, text in edits:
        at = where * max(len(lines) - 1, 0) // 100
        match how:
            case "cut":
                del lines[at : at + 1]
            case "twice":
                lines[at:at] = lines[at : at + 1]
            case "swap":
                lines[at : at + 2] = reversed(lines[at : at + 2])
            case "end":
                del lines[at:]
            case "put":
                lines.insert(at, text)
            case "be":
                lines[at : at + 1] = [text]
            case "number" if lines:
                lines[at] = re.sub(r"\d+", text, lines[at], count=1)
            case "letters" if lines:
                lines[at] = lines[at][: where // 3] + text
    return "\r\n".join(lines)


class Faults(logging.Handler):
    """Log records with an exception: what a 5xx would have been."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.name.startswith("voxwire"):
            self.seen.append(self.format(record))


async def offer_all(offers: list[str], ways: list[str]) -> None:
    faults, logger = Faults(), logging.getLogger()
    logger.addHandler(faults)
    try:
        async with served() as (server, http):
            tasks = len(asyncio.all_tasks())
            for sdp, path in zip(offers, ways, strict=True):
                asked = {"sdp": sdp, "type": "offer"}
                answer = await http.post(path, json=asked)
                assert answer.status_code in (200, 400, 404, 413, 422, 429), (answer.text, sdp)
                if answer.status_code == 400:
                    assert answer.json()["code"] == "BAD_SDP", (answer.text, sdp)
                if answer.status_code == 200:
                    assert len(answer.json()["sdp"]) < 2 * len(OFFER)
            await until(lambda: len(asyncio.all_tasks()) <= tasks)  # nothing waits any more
            assert len(server.registry) == 0  # and no bot ever ran
            assert (await http.get("/status")).status_code == 200
    finally:
        logger.removeHandler(faults)
    assert not faults.seen, faults.seen


@settings(max_examples=8, phases=PHASES, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.lists(EDITS, min_size=1, max_size=4),
            st.sampled_from(["/api/offer"] * 9 + [ROUTES[2]]),
        ),
        min_size=4,
        max_size=12,
    )
)
def test_a_real_offer_with_anything_changed_is_answered_or_refused(
    asked: list[tuple[list[tuple[str, int, str]], str]],
) -> None:
    asyncio.run(
        offer_all([edited(OFFER, edits) for edits, _ in asked], [path for _, path in asked])
    )


@pytest.mark.parametrize(
    "sdp",
    [
        pytest.param("", id="empty"),
        pytest.param("hello \0 world", id="garbage"),
        pytest.param("m=audio", id="a line"),
        pytest.param(OFFER[: len(OFFER) // 2], id="truncated"),
        pytest.param(re.sub("a=ice-ufrag.*\r\n", "", OFFER), id="no ufrag"),
        pytest.param(re.sub("a=fingerprint.*\r\n", "", OFFER), id="no fingerprint"),
        pytest.param(OFFER.replace("sha-256", "md5"), id="md5"),
        pytest.param(re.sub("a=mid.*\r\n", "", OFFER), id="no mid"),
        pytest.param(OFFER.replace("actpass", "bogus"), id="bad setup"),
        pytest.param(OFFER.replace("opus/48000", "opus/x"), id="bad rtpmap"),
        pytest.param(OFFER.replace("opus/48000", "none/48000"), id="unknown codec"),
        pytest.param(OFFER.replace("m=audio ", "m=audio 9"), id="bad port"),
        pytest.param(OFFER + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 200, id="200 sections"),
        pytest.param(OFFER + CANDIDATE.format("10.0.0.1") * 250, id="candidates"),
        pytest.param(OFFER + "a=x:" + "y" * 2000 + "\r\n", id="a long line"),
    ],
)
async def test_an_offer_that_broke_stock_pipecat_starts_no_bot_and_is_forgotten(sdp: str) -> None:
    await offer_all([sdp], ["/api/offer"])


async def test_what_is_no_offer_is_refused_by_its_type() -> None:
    async with served() as (_, http):
        for kind in ("answer", "rollback", "pranswer", "bogus", "", None, 5):
            answer = await http.post("/api/offer", json={"sdp": OFFER, "type": kind})
            assert answer.status_code == 422
        unowned = {"sdp": OFFER, "type": "offer", "pc_id": "x", "restart_pc": True}
        assert (await http.post("/api/offer", json=unowned)).status_code == 200  # a new connection
        alone = {"sdp": OFFER, "type": "offer", "restart_pc": True}
        assert (await http.post("/api/offer", json=alone)).status_code == 200


BODIES: Final = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [b"[" * 5000, b"[" * 16_000, b'{"a":' * 3000, b"null", b"5", b'"x"', b"[]", b"{}"]
    ),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=9)),
        lambda inner: st.dictionaries(
            st.sampled_from(
                [
                    *("sdp", "type", "pc_id", "restart_pc", "request_data", "candidates"),
                    *("candidate", "sdp_mid", "sdp_mline_index", "transport", "body", "tools"),
                ]
            ),
            st.one_of(inner, st.lists(inner, max_size=3)),
            max_size=4,
        ),
        max_leaves=10,
    ).map(lambda value: httpx.Request("POST", "http://x", json=value).content),
)


async def send_all(bodies: list[tuple[str, str, bytes]]) -> None:
    async with served() as (_, http):
        for method, path, body in bodies:
            answer = await http.request(method, path, content=body, headers=JSON)
            assert answer.status_code < 500, (path, body)
            assert answer.headers["content-type"].startswith("application/json"), answer.text


@settings(max_examples=6, phases=PHASES, derandomize=True)
@given(
    st.lists(
        st.tuples(st.sampled_from(["POST", "PATCH"]), st.sampled_from(ROUTES[1:]), BODIES),
        min_size=10,
        max_size=40,
    ),
    st.lists(BODIES, max_size=20),
)
def test_no_body_is_a_servers_error(
    offers: list[tuple[str, str, bytes]], starts: list[bytes]
) -> None:
    asyncio.run(send_all([*offers, *(("POST", "/start", body) for body in starts)]))


@pytest.mark.parametrize("path", ROUTES)
async def test_a_body_that_is_too_large_or_never_ends_is_let_go(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxwire_server.routes.bodies._BODY_TIMEOUT_MS", 200)
    async with served() as (server, http):
        start = (await http.post("/start")).json()["sessionId"]
        path = path.replace("none", start)  # who has no start is answered before his body
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        head += "Content-Type: application/json\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"{head}Content-Length: 50000000\r\n\r\n".encode())
        assert b" 413 " in await reader.readline()  # before a byte of it was sent
        writer.close()
        slow = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
        for _, half in slow:
            half.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        assert (await http.get("/status")).status_code == 200
        for said, half in slow:
            assert b" 408 " in await said.readline()
            half.close()


async def test_a_client_that_names_addresses_makes_the_server_send_nothing_there() -> None:
    with sink() as victim:
        port = victim.getsockname()[1]
        lines = [
            f"candidate:1 1 udp 2130706431 {host} {port} typ {kind}"
            for host in ("127.0.0.1", "localhost", "::ffff:127.0.0.1")
            for kind in ("host", "relay")
        ]
        named = "".join(f"a={line}\r\n" for line in lines)
        async with served() as (server, http):
            tasks = len(asyncio.all_tasks())
            for _ in range(5):
                sdp = re.sub(r"a=(candidate|end-of-candidates).*\r\n", "", OFFER) + named
                answer = await http.post("/api/offer", json={"sdp": sdp, "type": "offer"})
                candidates = [{"candidate": line, "sdp_mid": "0"} for line in lines]
                trickled = {"pc_id": answer.json()["pc_id"], "candidates": candidates}
                assert (await http.patch("/api/offer", json=trickled)).status_code == 200
            await until(lambda: len(asyncio.all_tasks()) <= tasks)  # all checks are over
            assert len(server.registry) == 0
        assert count(victim) == 0
        victim.sendto(b"x", victim.getsockname())
        assert count(victim) == 1


async def test_offers_beside_each_other_do_not_hold_the_server_up() -> None:
    """However many come, another client is answered, and what they cost is gone in the end."""
    async with served() as (_, http):
        await http.get("/status")
        before = len(os.listdir("/proc/self/fd"))
        full = OFFER + CANDIDATE.format("10.0.0.1") * 100
        asked = {"sdp": full, "type": "offer"}
        answers = asyncio.gather(*(http.post("/api/offer", json=asked) for _ in range(40)))
        assert (await http.get("/status")).status_code == 200
        assert {answer.status_code for answer in await answers} <= {200, 429}
        await descriptors_at_most(before + 40)  # HTTP's own connections stay open
