"""Peer, Host, Origin and forwarded headers on loopback and beyond."""

from typing import Any

import pytest

from voxwire_server.gate import Gate, is_loopback, missing_key_message

LOCAL = Gate(loopback=True)


def scope(*, client: str = "127.0.0.1", scheme: str = "ws", **headers: str) -> dict[str, Any]:
    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return {"type": "websocket", "scheme": scheme, "client": (client, 5000), "headers": raw}


def read(**headers: str) -> dict[str, Any]:
    return {**scope(scheme="http", **headers), "type": "http", "method": "GET"}


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:7860",
        "localhost:7860",
        "LOCALHOST:7860",
        "[::1]:7860",
        "127.0.0.2:7860",
        "127.255.0.1",
        "localhost:8080",  # ssh -L 8080:localhost:7860, a container's -p, an editor's forwarding
        "127.0.0.1",
        "[::1]",
    ],
)
def test_a_name_of_loopback_passes_whatever_its_port_and_so_does_its_own_page(host: str) -> None:
    assert LOCAL.check(scope(host=host)) is None
    assert LOCAL.check(scope(host=host, origin=f"http://{host.lower()}")) is None
    assert LOCAL.check(scope(host=host, scheme="wss", origin=f"https://{host.lower()}")) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:7860",
        "localhost.evil:7860",
        "localhost:7860.evil.example",
        "127.0.0.1.evil.example",
        "evil@127.0.0.1",
        "10.0.0.1:7860",
        "0.0.0.0:7860",
        "127.0.0.1:99999",
        "127.0.0.1:",
        "::1",
        "[::2]:7860",
        "",
    ],
)
def test_a_rebound_host_is_refused_with_its_own_page_too(host: str) -> None:
    for request in (scope(host=host), scope(host=host, origin=f"http://{host}"), read(host=host)):
        refusal = LOCAL.check(request)
        assert refusal is not None
        assert (refusal.status, refusal.code) == (403, "FORBIDDEN")
        assert "Host" in refusal.reason


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://127.0.0.1",
        "http://127.0.0.1:7861",
        "http://localhost:7860",
        "https://127.0.0.1:7860",
        "ws://127.0.0.1:7860",
        "http://127.0.0.1:7860/",
        "http://127.0.0.1:7860.evil.example",
        "http://evil.example#http://127.0.0.1:7860",
        "",
    ],
)
def test_an_origin_that_does_not_equal_the_host_is_refused(origin: str) -> None:
    refusal = LOCAL.check(scope(host="127.0.0.1:7860", origin=origin))
    assert refusal is not None
    assert "VOXWIRE_ALLOWED_ORIGINS" in refusal.reason


def test_a_page_of_another_loopback_server_may_be_allowed_by_name() -> None:
    gate = Gate(loopback=True, allowed_origins=frozenset({"http://localhost:5173"}))
    assert gate.check(scope(host="127.0.0.1:7860", origin="http://localhost:5173")) is None
    assert gate.check(scope(host="evil.example", origin="http://localhost:5173")) is not None


def test_a_default_port_is_in_neither_or_in_the_host_alone() -> None:
    for host in ("localhost", "localhost:80"):
        assert LOCAL.check(scope(host=host, origin="http://localhost")) is None
    assert (
        LOCAL.check(scope(host="localhost:443", scheme="wss", origin="https://localhost")) is None
    )
    assert LOCAL.check(scope(host="localhost:443", origin="http://localhost")) is not None


@pytest.mark.parametrize(
    "name",
    [
        *("forwarded", "x_forwarded_for", "x_forwarded_host", "x_forwarded_anything"),
        *("via", "x_real_ip", "cf_connecting_ip", "true_client_ip"),
    ],
)
def test_a_forwarded_request_needs_a_key_and_is_no_local_program(name: str) -> None:
    request = scope(host="127.0.0.1:7860", **{name: "1.2.3.4"})
    assert LOCAL.check(request) is not None
    assert Gate(loopback=True, has_key=True).check(request) is None
    assert not LOCAL.is_local_program(request)


@pytest.mark.parametrize("client", ["10.0.0.7", "203.0.113.9", "2001:db8::1"])
def test_where_the_application_is_mounted_in_a_server_of_the_network_strangers_stay_out(
    client: str,
) -> None:
    request = scope(client=client, host="127.0.0.1:7860")  # a Host is what its sender says
    refusal = LOCAL.check(request)
    assert refusal is not None
    assert "VOXWIRE_KEY" in refusal.reason
    assert Gate(loopback=True, has_key=True).check(request) is None  # its token is asked for then
    assert not LOCAL.is_local_program(request)


@pytest.mark.parametrize("client", ["127.0.0.1", "127.0.0.9", "::1", "::ffff:127.0.0.1"])
def test_a_program_of_this_machine_is_local_and_a_page_is_not(client: str) -> None:
    assert LOCAL.check(scope(client=client, host="localhost:1")) is None
    assert LOCAL.is_local_program(scope(client=client, host="localhost:1"))
    page = scope(client=client, host="localhost:1", origin="http://localhost:1")
    assert not LOCAL.is_local_program(page)
    assert LOCAL.is_local_program({**page, "headers": [], "client": None})  # a Unix socket


def test_two_hosts_or_none_are_refused() -> None:
    request = scope(host="127.0.0.1:7860")
    assert LOCAL.check({**request, "headers": [*request["headers"], (b"host", b"evil")]})
    assert LOCAL.check({**request, "headers": []})


def test_beyond_loopback_the_allow_list_decides() -> None:
    gate = Gate(loopback=False, has_key=True, allowed_origins=frozenset({"https://app.example"}))
    stranger = "203.0.113.9"
    assert gate.check(scope(client=stranger, host="bot.example")) is None
    for origin, allowed in (("https://app.example", True), ("https://other.example", False)):
        request = scope(client=stranger, host="bot.example", origin=origin)
        assert (gate.check(request) is None) is allowed


def test_a_container_s_forwarded_port_is_the_page_s_own_server() -> None:
    gate = Gate(loopback=False, has_key=True)  # it listens on 0.0.0.0, behind -p 8080:7860
    page = {"client": "172.17.0.1", "host": "localhost:8080"}
    assert gate.check(scope(**page, origin="http://localhost:8080")) is None
    assert gate.check(scope(**page, origin="http://localhost:3000")) is not None


def test_what_is_loopback() -> None:
    ours = ("localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1")
    assert all(is_loopback(host) for host in ours)
    others = ("0.0.0.0", "10.0.0.1", "example.com", "::", "::ffff:10.0.0.1", "localhost.", "")
    assert not any(is_loopback(host) for host in others)


def test_the_message_says_how_to_set_a_key() -> None:
    assert "VOXWIRE_KEY" in missing_key_message("0.0.0.0")


def test_a_page_may_read_its_own_files_wherever_it_is_served() -> None:
    gate = Gate(loopback=False, has_key=True)
    own = {"host": "bot.example:7860", "origin": "http://bot.example:7860"}
    assert gate.check(read(**own)) is None
    assert gate.check(read(host="bot.example", origin="https://bot.example")) is None
    assert gate.check(scope(**own)) is not None  # a session needs VOXWIRE_ALLOWED_ORIGINS
    assert gate.check({**read(**own), "method": "POST"}) is not None  # and is asked about by POST
    for origin in ("https://evil.example", "null", "http://bot.example", "bot.example:7860"):
        assert gate.check(read(host="bot.example:7860", origin=origin)) is not None
