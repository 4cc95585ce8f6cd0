"""A process that is one of several has a secret, or does not start."""

from typing import Any

import pytest

from voxwire_server.cluster import Cluster
from voxwire_server.config import Settings
from voxwire_server.keys import KeyRing
from voxwire_server.session.engine import EngineError

KEY, OTHER = "k" * 32, "o" * 32


@pytest.mark.parametrize(
    "settings",
    [{}, {"engine_key": "short"}, {"engine_key": f"{KEY},short"}, {"engine_key": " , "}],
)
def test_an_engine_without_a_secret_is_refused(settings: dict[str, Any]) -> None:
    made = Settings(engine="unix:///run/redis.sock", **settings)
    with pytest.raises(EngineError, match="VOXWIRE_ENGINE_KEY"):
        Cluster.of(made, KeyRing(), port=7860)


@pytest.mark.parametrize(
    ("settings", "key"),
    [({}, KEY), ({"engine_key": f" {OTHER} , {KEY}"}, ""), ({"engine_key": OTHER}, KEY)],
)
def test_one_with_a_secret_is_not(settings: dict[str, Any], key: str) -> None:
    made = Settings(engine="unix:///run/redis.sock", **settings)
    assert Cluster.of(made, KeyRing.parse(key=key), port=7860) is not None


def test_a_process_that_is_alone_needs_none() -> None:
    assert Cluster.of(Settings(), KeyRing(), port=7860) is None
