"""Whose forwarded headers count, what they say, and where the server is for its clients."""

import pytest

from voxwire_server.proxies import (
    Front,
    ProxiesError,
    PublicUrl,
    TrustedProxies,
    is_unix,
    unix_path,
)

OURS = TrustedProxies.parse("127.0.0.1, 10.0.0.0/8, 2001:db8:1::/64")


def said(*hops: str, proto: str = "") -> list[tuple[bytes, bytes]]:
    headers = [(b"x-forwarded-for", hop.encode()) for hop in hops]
    return [*headers, (b"x-forwarded-proto", proto.encode())] if proto else headers


@pytest.mark.parametrize("peer", ["203.0.113.9", "11.0.0.1", "2001:db8:2::1", "evil", "", None])
def test_a_header_of_a_stranger_counts_for_nothing(peer: str | None) -> None:
    assert OURS.front(peer, said("198.51.100.7", proto="https")) is None


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.1.2.3", "::ffff:10.1.2.3", "2001:db8:1::9"])
def test_a_proxy_of_ours_says_who_and_how(peer: str) -> None:
    front = OURS.front(peer, said("198.51.100.7", proto="https"))
    assert front == Front("198.51.100.7", "https")


@pytest.mark.parametrize(
    ("hops", "client"),
    [
        (("198.51.100.7, 10.0.0.2",), "198.51.100.7"),
        (("1.1.1.1, 198.51.100.7",), "198.51.100.7"),  # the client wrote the first one itself
        (("1.1.1.1", "198.51.100.7"), "198.51.100.7"),
        (("10.0.0.3, 10.0.0.2",), "10.0.0.3"),
        (("198.51.100.7:4711",), "198.51.100.7"),
        (("[2001:db8:9::1]:4711",), "2001:db8:9::1"),
        (("2001:db8:9::1",), "2001:db8:9::1"),
        (("::ffff:198.51.100.7",), "198.51.100.7"),
        (("198.51.100.7, junk, 10.0.0.2",), "10.0.0.2"),
        (("junk",), None),
        ((), None),
        (("",), None),
        ((",".join(["1.1.1.1"] * 4000 + ["10.0.0.2"]),), "1.1.1.1"),
    ],
)
def test_the_last_address_counts_that_is_no_proxy_of_ours(
    hops: tuple[str, ...], client: str | None
) -> None:
    front = OURS.front("127.0.0.1", said(*hops))
    assert front is not None
    assert front.client == client


@pytest.mark.parametrize(
    ("proto", "scheme"),
    [("https", "https"), ("HTTP", "http"), ("http, https", "https"), ("gopher", ""), ("", "")],
)
def test_a_scheme_is_http_or_https(proto: str, scheme: str) -> None:
    front = OURS.front("127.0.0.1", said("198.51.100.7", proto=proto))
    assert front is not None
    assert front.scheme == scheme


def test_whoever_comes_by_the_unix_socket_is_a_proxy_when_that_is_said() -> None:
    proxies = TrustedProxies.parse("unix")
    assert proxies.front(None, said("198.51.100.7")) == Front("198.51.100.7", "")
    assert proxies.front("127.0.0.1", said("198.51.100.7")) is None
    assert not TrustedProxies.parse(" , ")


@pytest.mark.parametrize("text", ["proxy.example", "10.0.0.1/8", "10.0.0.0/33", "*", "127.0.0.1;"])
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(ProxiesError, match="VOXWIRE_TRUSTED_PROXIES"):
        TrustedProxies.parse(f"127.0.0.1,{text}")


@pytest.mark.parametrize(
    ("text", "origin", "websocket", "prefix"),
    [
        ("https://Bot.Example", "https://bot.example", "wss://bot.example", ""),
        ("https://bot.example:443/", "https://bot.example", "wss://bot.example", ""),
        ("http://bot.example:8080/a/b/", *2 * ("http://bot.example:8080",), "/a/b"),
        (
            "https://[2001:db8::1]:8443",
            "https://[2001:db8::1]:8443",
            "wss://[2001:db8::1]:8443",
            "",
        ),
        ("", "", "", ""),
    ],
)
def test_a_public_url_has_an_origin_and_a_prefix(
    text: str, origin: str, websocket: str, prefix: str
) -> None:
    public = PublicUrl.parse(text)
    assert (public.origin, public.prefix) == (origin, prefix)
    assert public.websocket == websocket.replace("http://", "ws://") + ("/a/b" if prefix else "")


@pytest.mark.parametrize(
    "text",
    [
        *("bot.example", "wss://bot.example", "https://", "https://bot.example?x=1"),
        *("https://u:p@bot.example", "https://bot.example/#a", "https://bot.example:99999"),
        *("https://bot.example/a//b", "https://[bot.example"),
    ],
)
def test_what_is_no_url_of_a_server_is_refused(text: str) -> None:
    with pytest.raises(ProxiesError, match="VOXWIRE_PUBLIC_URL"):
        PublicUrl.parse(text)


@pytest.mark.parametrize(
    ("path", "below"),
    [("/voice", True), ("/voice/v1/session", True), ("/voices", False), ("/v1/session", False)],
)
def test_a_proxy_may_take_the_prefix_away_or_leave_it(path: str, *, below: bool) -> None:
    assert PublicUrl.parse("https://bot.example/voice").root_path(path) == ("/voice" * below)


def test_a_unix_socket_is_named_by_its_path() -> None:
    assert is_unix("unix:/run/voxwire.sock")
    assert not is_unix("127.0.0.1")
    assert unix_path("unix:/run/voxwire.sock") == "/run/voxwire.sock"
