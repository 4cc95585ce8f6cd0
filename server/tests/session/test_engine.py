"""What ``VOXWIRE_ENGINE`` may say."""

import pytest

from voxwire_server.session.engine import Engine, EngineError, open_engine


@pytest.mark.parametrize(
    ("url", "engine"),
    [
        ("redis://h", Engine("server", url="redis://h")),
        (
            "valkeys://u:p@h:1/2?ssl_ca_certs=x",
            Engine("server", url="rediss://u:p@h:1/2?ssl_ca_certs=x"),
        ),
        ("unix:///run/redis.sock?db=1", Engine("server", url="unix:///run/redis.sock?db=1")),
        (
            "redis+sentinel://a,b:1/main",
            Engine("sentinel", hosts=(("a", 26379), ("b", 1)), name="main"),
        ),
        (
            "valkeys+sentinel://u:p%40q@[::1]:7/main/3?sentinel_password=s",
            Engine(
                "sentinel",
                hosts=(("::1", 7),),
                name="main",
                database=3,
                user="u",
                password="p@q",
                tls=True,
                sentinel_password="s",
            ),
        ),
        (
            "rediss+cluster://:p@a:1,b",
            Engine("cluster", hosts=(("a", 1), ("b", 6379)), password="p", tls=True),
        ),
    ],
)
def test_every_form_is_read(url: str, engine: Engine) -> None:
    assert Engine.parse(url) == engine


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "write VOXWIRE_ENGINE as"),
        ("redis", "write VOXWIRE_ENGINE as"),
        ("redis://", "write VOXWIRE_ENGINE as"),
        ("http://secret@host", "write VOXWIRE_ENGINE as"),
        ("redis+nats://h", "write VOXWIRE_ENGINE as"),
        ("redis+sentinel://a", "what Sentinel calls the server"),
        ("redis+sentinel://a/main/x", "no database"),
        ("redis+cluster://a/1", "no database"),
        ("redis+cluster://a:x", "hosts are names"),
        ("redis+cluster://", "write VOXWIRE_ENGINE as"),
        ("redis+cluster://,", "hosts are names"),
        ("redis+sentinel://a/main?what=1", "what is no setting"),
        ("redis://h:port", "write VOXWIRE_ENGINE as"),
        ("redis://h?db=x", "write VOXWIRE_ENGINE as"),
    ],
)
def test_anything_else_is_said_to_be_wrong_without_its_secrets(url: str, said: str) -> None:
    with pytest.raises(EngineError, match=said) as error:
        open_engine(url, session_ms=1)
    assert "secret" not in str(error.value)
