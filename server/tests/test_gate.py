"""Host, Origin and forwarded headers on loopback and beyond."""

import pytest

from voxwire_server.gate import Gate, is_loopback, missing_key_message

LOCAL = Gate(port=7860, loopback=True)


def headers(**values: str) -> list[tuple[bytes, bytes]]:
    return [(k.replace("_", "-").encode(), v.encode()) for k, v in values.items()]


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "[::1]:7860"])
def test_our_own_names_pass(host: str) -> None:
    assert LOCAL.check(headers(host=host)) is None
    assert LOCAL.check(headers(host=host, origin=f"http://{host}")) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:80", "localhost.evil:7860", "[::1]", ""]
)
def test_a_rebound_host_is_refused(host: str) -> None:
    refusal = LOCAL.check(headers(host=host))
    assert refusal is not None
    assert refusal.status == 403


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://127.0.0.1",
        "http://127.0.0.1:7861",
        "https://127.0.0.1:7860",
        "http://127.0.0.1:7860.evil.example",
        "http://evil.example#http://127.0.0.1:7860",
        "",
    ],
)
def test_a_foreign_origin_is_refused(origin: str) -> None:
    assert LOCAL.check(headers(host="127.0.0.1:7860", origin=origin)) is not None


@pytest.mark.parametrize(
    "name", ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-anything"]
)
def test_a_forwarded_request_needs_a_key(name: str) -> None:
    request = [(b"host", b"127.0.0.1:7860"), (name.encode(), b"1.2.3.4")]
    assert LOCAL.check(request) is not None
    assert Gate(port=7860, loopback=True, has_key=True).check(request) is None


def test_two_hosts_or_none_are_refused() -> None:
    assert LOCAL.check([(b"host", b"127.0.0.1:7860"), (b"host", b"evil")]) is not None
    assert LOCAL.check([]) is not None


def test_beyond_loopback_the_allow_list_decides() -> None:
    gate = Gate(
        port=443, loopback=False, has_key=True, allowed_origins=frozenset({"https://app.example"})
    )
    assert gate.check(headers(host="bot.example")) is None
    assert gate.check(headers(host="bot.example", origin="https://app.example")) is None
    assert gate.check(headers(host="bot.example", origin="https://other.example")) is not None


def test_what_is_loopback() -> None:
    assert all(is_loopback(h) for h in ("localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"))
    assert not any(is_loopback(h) for h in ("0.0.0.0", "10.0.0.1", "example.com", "::"))


def test_the_message_says_how_to_set_a_key() -> None:
    assert "VOXWIRE_KEY" in missing_key_message("0.0.0.0")


def test_a_page_may_read_its_own_files_wherever_it_is_served() -> None:
    gate = Gate(port=7860, loopback=False, has_key=True)
    own = headers(host="bot.example:7860", origin="http://bot.example:7860")
    assert gate.check(own, reads=True) is None
    assert gate.check(headers(host="bot.example", origin="https://bot.example"), reads=True) is None
    assert gate.check(own) is not None  # a session needs VOXWIRE_ALLOWED_ORIGINS all the same
    for origin in ("https://evil.example", "null", "http://bot.example", "bot.example:7860"):
        assert gate.check(headers(host="bot.example:7860", origin=origin), reads=True) is not None
    rebound = headers(host="evil.example:7860", origin="http://evil.example:7860")
    assert LOCAL.check(rebound, reads=True) is not None
