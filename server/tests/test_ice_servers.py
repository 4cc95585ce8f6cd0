"""ICE servers: coturn's credentials and the static list."""

import base64
import hashlib
import json
import traceback

import pytest

from voxwire_protocol import wire
from voxwire_server.ice_servers import IceServers, IceServersError, refresh_after_s, turn_credential

NOW = 1_790_000_000
URLS = "turn:turn.example:3478?transport=udp, turns:turn.example:443?transport=tcp"
CANARY = "CANARY-turn-secret"

# printf '%s' USERNAME | openssl dgst -sha1 -hmac SECRET -binary | base64
VECTORS = [
    ("north", "1735689600:owner.abcdef", "yY9dL0kQ0dsWw9wkzorYvRY/bgA="),
    ("4080218913", "1893456000:k3x9q.mzxw6ytboi", "5MDTLCeXJc5zy9RWT/XwmOJ8eOA="),
]


def rfc2104_sha1(secret: bytes, text: bytes) -> str:
    """HMAC-SHA1 spelt out from RFC 2104, without the hmac module."""
    secret = (hashlib.sha1(secret).digest() if len(secret) > 64 else secret).ljust(64, b"\0")
    inner = hashlib.sha1(bytes(b ^ 0x36 for b in secret) + text).digest()
    outer = hashlib.sha1(bytes(b ^ 0x5C for b in secret) + inner).digest()
    return base64.b64encode(outer).decode()


@pytest.mark.parametrize(("secret", "username", "credential"), VECTORS)
def test_the_credential_is_the_one_that_coturn_computes(
    secret: str, username: str, credential: str
) -> None:
    assert turn_credential(secret, username) == credential
    assert rfc2104_sha1(secret.encode(), username.encode()) == credential


def test_a_secret_longer_than_a_block_and_beyond_ascii_is_hashed_like_coturns() -> None:
    for secret in ("x" * 65, "gehéim" * 20, "ü"):
        assert turn_credential(secret, "1:a") == rfc2104_sha1(secret.encode(), b"1:a")


def test_credentials_are_minted_for_the_session_and_say_how_long_they_live() -> None:
    servers = IceServers.parse(turn_urls=URLS, turn_secret=CANARY)
    (server,) = servers.mint("owner.abc", now_s=NOW + 0.9, ttl_s=None)
    assert list(server.urls) == [url.strip() for url in URLS.split(",")]
    assert (server.username, server.ttl_secs) == (f"{NOW + 3600}:owner.abc", 3600)
    assert server.credential == rfc2104_sha1(CANARY.encode(), server.username.encode())
    (other,) = servers.mint("owner.abd", now_s=NOW, ttl_s=None)
    assert other.credential != server.credential and servers.mints


@pytest.mark.parametrize(("left_s", "ttl_s"), [(9e9, 3600), (600, 600), (120.9, 120), (1, 1)])
def test_credentials_never_outlive_the_token(left_s: float, ttl_s: int) -> None:
    servers = IceServers.parse(turn_urls=URLS, turn_secret="s")
    (server,) = servers.mint("a", now_s=NOW + 0.5, ttl_s=left_s)
    assert server.ttl_secs == ttl_s
    assert int(server.username.split(":")[0]) <= NOW + 0.5 + left_s


def test_an_expired_token_gets_no_credentials_but_the_static_servers() -> None:
    servers = IceServers.parse(
        ice_servers='[{"urls": "stun:s.example"}]', turn_urls=URLS, turn_secret="s"
    )
    for left_s in (0.9, 0, -5):
        assert [list(s.urls) for s in servers.mint("a", now_s=NOW, ttl_s=left_s)] == [
            ["stun:s.example"]
        ]
    assert len(servers.mint("a", now_s=NOW, ttl_s=5)) == 2


def test_refresh_comes_before_the_end() -> None:
    assert refresh_after_s(600) == 450
    assert all(1 <= refresh_after_s(ttl) < ttl for ttl in range(2, 700))


@pytest.mark.parametrize("session_id", ["", "a:b", "a b", "a\n", "é", "x" * 129])
def test_a_session_id_that_would_change_the_user_name_is_refused(session_id: str) -> None:
    with pytest.raises(ValueError):
        IceServers.parse(turn_urls=URLS, turn_secret="s").mint(session_id, now_s=NOW, ttl_s=9)


def test_the_static_list_is_what_w3c_says() -> None:
    text = json.dumps(
        [
            {"urls": "stun:stun.example"},
            {"urls": ["turn:[2001:db8::1]:3478", "turns:t"], "username": "u", "credential": "c"},
        ]
    )
    servers = IceServers.parse(ice_servers=text)
    first, second = servers.mint("a", now_s=NOW, ttl_s=None)
    assert first == wire.IceServer(urls=["stun:stun.example"])
    assert (second.username, second.credential, second.ttl_secs) == ("u", "c", 0)
    first.urls.append("changed by a caller")
    assert list(servers.mint("a", now_s=NOW, ttl_s=None)[0].urls) == ["stun:stun.example"]
    assert not servers.mints and IceServers.parse(ice_servers=" ").mint("", now_s=0, ttl_s=0) == []


@pytest.mark.parametrize(
    "url",
    [
        *("http://x", "stuns:x", "TURN:x", "turn://x", "turn:", "turn:u@x", "turn:x/path", "x"),
        *("turn:x:0", "turn:x:65536", "turn:x:", "turn:[::g]", "turn:[1.2.3.4]", "turn:-x", ""),
        *("turn:x?transport=tls", "turn:x?transport=udp&a=b", "turn:x y", "turn:x\n", "turn:x#f"),
    ],
)
def test_what_is_no_stun_or_turn_url_is_refused(url: str) -> None:
    entry = {"urls": url, "username": "u", "credential": "c"}
    with pytest.raises(IceServersError):
        IceServers.parse(ice_servers=json.dumps([entry]))
    if url:
        with pytest.raises(IceServersError):
            IceServers.parse(turn_urls=url + "/", turn_secret="s")


@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        "{}",
        "null",
        json.dumps([CANARY]),
        json.dumps([{}]),
        json.dumps([{"urls": []}]),
        json.dumps([{"url": "stun:x"}]),
        json.dumps([{"urls": "stun:x?transport=udp"}]),
        json.dumps([{"urls": f"turn:x {CANARY}", "username": CANARY, "credential": CANARY}]),
        json.dumps([{"urls": "turn:x", "username": CANARY}]),
        json.dumps([{"urls": "turn:x", "credential": CANARY}]),
        json.dumps([{"urls": "turn:x", "username": "u", "credential": "c", "credentialType": "p"}]),
        json.dumps([{"urls": "turn:x", "username": "u" * 509, "credential": CANARY}]),
        json.dumps([{"urls": "turn:x", "username": 1, "credential": CANARY}]),
        json.dumps([{"urls": "turn:x", "username": "u", "credential": CANARY, CANARY: 1}]),
        json.dumps([{"urls": "stun:x"}] * 17),
        f'[{{"urls":"stun:x","urls":"stun:{CANARY}"}}]',
    ],
    ids=range(17),
)
def test_a_wrong_list_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(IceServersError) as caught:
        IceServers.parse(ice_servers=text)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("urls", "secret"), [(URLS, ""), ("", CANARY), ("stun:x", CANARY), (f"turn:{CANARY}/", CANARY)]
)
def test_turn_urls_and_secret_go_together(urls: str, secret: str) -> None:
    with pytest.raises(IceServersError) as caught:
        IceServers.parse(turn_urls=urls, turn_secret=secret)
    assert CANARY not in str(caught.value)
    with pytest.raises(IceServersError):
        IceServers(max_ttl_s=0)
