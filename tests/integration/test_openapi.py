"""The OpenAPI document says what the routes do: schemathesis asks them, and holds them to it.

``test_openapi_long`` asks more, in every state of a credential.
"""

import asyncio
import os
from collections.abc import Iterator
from functools import partial
from itertools import cycle
from typing import Any, Final

import httpx
import pytest
import websockets

from tests.integration.test_every_route import GUARDED, OPEN, USED_MAY, routes_of, served
from tests.support.api_schema import Asker, api_schema, operations
from tests.support.coturn import free_ports
from tests.support.token_states import ADMIN_KEY, KEY, STATES, Credentials
from voxwire_protocol import wire

OPERATIONS: Final = operations(api_schema())
NO_OPERATIONS: Final = {
    "HEAD": "a GET without its body",
    "OPTIONS": "a page's preflight",
}
"""Methods that the document leaves out, and why; it leaves out the console's files, too."""
EXAMPLES: Final = 5
SDP: Final = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
    "c=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=sendrecv\r\na=mid:0\r\na=setup:actpass\r\n"
    f"a=ice-ufrag:abcd\r\na=ice-pwd:{'p' * 24}\r\na=rtpmap:111 opus/48000/2\r\n"
    f"a=fingerprint:sha-256 {':'.join(['AA'] * 32)}\r\n"
)


def test_the_document_has_every_route() -> None:
    routes = {f"{method} {path}" for method, path in routes_of({}) if method not in NO_OPERATIONS}
    files = {f"{m} {path}" for (m, path), (_, why) in OPEN.items() if why.startswith("the console")}
    assert len(routes) == len(OPERATIONS) + len(files - {"HEAD /"} & routes)
    assert routes - files == OPERATIONS.keys()


def way_of(label: str) -> tuple[str, str]:
    """Method and path of an operation."""
    method, _, path = label.partition(" ")
    return method, path


def right(label: str, credentials: Credentials) -> dict[str, str]:
    """The header that opens an operation; of one that is open, a token."""
    key = {"key": KEY, "admin key": ADMIN_KEY}.get(GUARDED.get(way_of(label), ""))
    return {"Authorization": f"Bearer {key}"} if key else credentials.headers("right")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[httpx.Client, Credentials]]:
    more = {"host": "0.0.0.0", "accepts": "text/*,application/octet-stream"}
    with served({**more, "caps_per_user": "turns=500"}, {}) as made:
        yield made


@pytest.fixture
def asker(server: tuple[httpx.Client, Credentials]) -> Asker:
    return Asker(str(server[0].base_url).rstrip("/"))


@pytest.mark.parametrize("label", OPERATIONS)
def test_whoever_may_is_answered_as_the_document_says(
    label: str, server: tuple[httpx.Client, Credentials], asker: Asker
) -> None:
    operation, headers = OPERATIONS[label], partial(right, label, server[1])
    covered = list(asker.covered(operation, headers))
    invented = asker.invented(operation, headers, examples=EXAMPLES)
    assert asker.asked == len(covered) + len(invented) >= 2
    for case, answer in [*covered, *invented]:
        assert answer.status_code not in (401, 403), case
        assert b"Traceback" not in answer.content


@pytest.mark.parametrize("label", [label for label in OPERATIONS if way_of(label) in GUARDED])
def test_whoever_may_not_gets_401_or_403_and_as_the_document_says(
    label: str, server: tuple[httpx.Client, Credentials], asker: Asker
) -> None:
    operation, states = OPERATIONS[label], bad_states(label)
    turns, tried = cycle(states), []

    def headers() -> dict[str, str]:
        tried.append(next(turns))
        return server[1].headers(tried[-1])

    while len(tried) < len(states):  # cases of an operation that takes nothing are few
        for case, answer in asker.covered(operation, headers):
            if case.method == operation.method.upper():
                assert answer.status_code in (401, 403), (tried[-1], case)
    assert set(tried) == set(states)


def bad_states(label: str) -> list[str]:
    """States of a token in which nobody may."""
    return [state for state in STATES if state != "used" or way_of(label) not in USED_MAY]


def test_what_goes_well_is_as_the_document_says(
    server: tuple[httpx.Client, Credentials], asker: Asker
) -> None:
    client, credentials = server
    seen: dict[str, int] = {}

    def good(label: str, token: str = "", **parts: Any) -> Any:
        credential = {"Authorization": f"Bearer {token}"} if token else right(label, credentials)
        answer = asker.ask(OPERATIONS[label].Case(**parts), credential)
        seen[label] = answer.status_code
        return answer.json() if answer.content[:1] == b"{" else answer

    for label in OPERATIONS:
        if way_of(label)[0] == "GET" and "{" not in label:
            good(label)
    good("POST /v1/session")
    user = {"user": "ada", "bot": "test", "ttl_s": 60, "limits": {"max_sessions": 1}}
    good("POST /v1/tokens", body=user, media_type="application/json")
    page = {"media_type": "application/json", "body": {"transport": "webrtc", "body": {"a": 1}}}
    start = good("POST /start", **page)["sessionId"]
    assert "wsUrl" in good("POST /start", **{**page, "body": {"transport": "websocket"}})
    offer, token = {"sdp": SDP, "type": "offer"}, credentials.token("right")
    for path, whose in (("/api/offer", {}), ("/sessions/{start}/api/offer", {"start": start})):
        where = {"media_type": "application/json", "path_parameters": whose}
        pc_id = good(f"POST {path}", token, body=offer, **where)["pc_id"]
        good(f"PATCH {path}", token, body={"pc_id": pc_id, "candidates": []}, **where)
    file = {"media_type": "multipart/form-data", "body": {"file": "words"}}
    good("POST /files", **file)
    good("POST /sessions/{start}/files", path_parameters={"start": start}, **file)
    asyncio.run(_while_a_session_lives(client, credentials.token("right"), good))
    assert seen == {label: 204 if label.startswith("DELETE") else 200 for label in OPERATIONS}


def test_a_server_with_turn_tells_of_it_as_the_document_says() -> None:
    turn = {"turn_urls": f"turn:127.0.0.1:{free_ports().port}", "turn_secret": "shared"}
    with served({**turn, "turn_check_s": "60"}, {}) as (client, credentials):
        asker = Asker(str(client.base_url).rstrip("/"))
        answer = asker.ask(OPERATIONS["GET /readyz"].Case(), credentials.headers("right"))
        assert answer.json()["turn"] in ("unknown", "down")


async def _while_a_session_lives(client: httpx.Client, token: str, good: Any) -> None:
    """The operator lists, reads and ends a session."""
    ours, port = websockets.Subprotocol(wire.SUBPROTOCOL), client.base_url.port
    async with websockets.connect(
        f"ws://127.0.0.1:{port}/v1/session", subprotocols=[ours], proxy=None
    ) as socket:
        hello = wire.Hello(protocol_version=1, attach_nonce=os.urandom(16), token=token)
        await socket.send(wire.Envelope(hello=hello).SerializeToString())
        welcome = wire.Envelope.FromString(bytes(await socket.recv(decode=False))).welcome
        named = {"path_parameters": {"id": welcome.session_id}}
        listed = good("GET /v1/sessions")["sessions"]
        assert welcome.session_id in [session["id"] for session in listed]
        one = good("GET /v1/sessions/{id}", **named)
        assert (one["user"], one["spent"]["turns"]) == ("ada", 0)
        end = {"media_type": "application/json", "body": {"reason": "enough"}}
        good("DELETE /v1/sessions/{id}", **named, **end)
