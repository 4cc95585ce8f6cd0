"""What is kept of a session opens with any key of the set, and in any version as far as it goes."""

import base64
from typing import Any

import pytest

from tests.support.sealed import opened, sealed
from voxwire_protocol import wire
from voxwire_server.caps import Amounts, Caps, Payer
from voxwire_server.control.attaches import Before
from voxwire_server.ports import KeptConversation, SessionFacts
from voxwire_server.session.snapshots import Kept, SnapshotError, Snapshots

OLD, NEW, FOREIGN = b"o" * 32, b"n" * 32, b"f" * 32
RESUME = wire.Feature.FEATURE_RESUME
TURN = wire.Turn(turn_id="t1", text="good morning")
KEPT = Kept(
    facts=SessionFacts(
        bot="a",
        user="ada",
        features=frozenset({RESUME}),
        max_duration_s=600,
        token_expires_at_s=1_800_000_060.0,
        origin=b"https://example.org",
        client=wire.ClientInfo(library="voxwire-py"),
        metadata_json='{"a": 1}',
        tools=(wire.ToolDeclaration(name="look"),),
        speaks=False,
    ),
    before=Before(3, (bytes(32),)),
    began_unix_ms=1_800_000_000_000,
    media_began_ms=40,
    muted=True,
    told=wire.Snapshot(turns=[TURN], heard_media_ms=900),
    messages=[{"role": "user", "content": "good morning"}],
    state='{"step": 3}',
    caps={Payer("user", "ada"): Caps(seconds=60)},
    spent=Amounts(1, 2, 3, 4),
)
FIRST: dict[str, Any] = {
    "v": 1,
    "bot": "a",
    "user": "ada",
    "features": [int(RESUME)],
    "max_duration_s": 600,
    "token_expires_at_s": 1_800_000_060.0,
    "origin": "aHR0cHM6Ly9leGFtcGxlLm9yZw==",
    "client": "Cgp2b3h3aXJlLXB5",
    "metadata": '{"a": 1}',
    "client_tools": ["CgRsb29r"],
    "speaks": False,
    "epoch": 3,
    "tokens": ["A" * 43 + "="],
    "began": 1_800_000_000_000,
    "media_began": 40,
    "muted": True,
    "told": base64.b64encode(KEPT.told.SerializeToString()).decode(),
    "messages": [{"role": "user", "content": "good morning"}],
    "state": '{"step": 3}',
    "caps": [["user", "ada", "seconds=60"]],
    "spent": [1, 2, 3, 4],
}
"""As the first release writes it. It is read by each that comes after: what a snapshot says
besides these has a default."""
SAID_IN_IT = ("told", "messages", "state")


def read(said: Any) -> Kept:
    """What is read of a snapshot that says that."""
    return Snapshots(NEW).read("s1", sealed("s1", said, NEW))


def test_it_says_what_was_kept_in_the_way_that_the_spec_has() -> None:
    snapshot = Snapshots(NEW).pack("s1", KEPT)
    assert opened("s1", snapshot, NEW) == FIRST
    assert Snapshots(NEW).read("s1", snapshot) == KEPT
    assert b"ada" not in snapshot


def test_the_first_key_writes_and_each_reads() -> None:
    both = Snapshots(NEW, OLD)
    for writes in (NEW, OLD):
        assert both.read("s1", Snapshots(writes).pack("s1", KEPT)) == KEPT
    snapshot = both.pack("s1", KEPT)
    assert Snapshots(OLD, NEW).read("s1", snapshot) == KEPT
    with pytest.raises(SnapshotError, match="no key"):
        Snapshots(OLD).read("s1", snapshot)


@pytest.mark.parametrize("snapshot", [b"", b"1234", b"12345", bytes(200)])
def test_what_no_key_opens_is_not_read(snapshot: bytes) -> None:
    for data in (snapshot, Snapshots(FOREIGN).pack("s1", KEPT)):
        with pytest.raises(SnapshotError):
            Snapshots(NEW, OLD).read("s1", data)


def test_one_of_another_session_or_that_was_changed_is_not_read() -> None:
    snapshots = Snapshots(NEW)
    snapshot = snapshots.pack("s1", KEPT)
    for session_id, data in [
        ("s2", snapshot),
        ("", snapshot),
        ("s1", snapshot[:-1]),
        ("s1", snapshot[:20] + bytes([snapshot[20] ^ 1]) + snapshot[21:]),
        ("s1", snapshot[:4]),
    ]:
        with pytest.raises(SnapshotError):
            snapshots.read(session_id, data)


def test_the_first_version_is_read_and_what_it_says_besides_is_not() -> None:
    assert read(FIRST) == KEPT
    assert read({**FIRST, "later": {"a": [1]}, "": None}) == KEPT


@pytest.mark.parametrize("name", SAID_IN_IT)
def test_what_a_snapshot_does_not_say_has_its_default(name: str) -> None:
    kept = read({key: value for key, value in FIRST.items() if key != name})
    assert getattr(kept, name) == getattr(
        Kept(facts=KEPT.facts, before=KEPT.before, began_unix_ms=0), name
    )
    assert kept.facts == KEPT.facts and not kept.anew


@pytest.mark.parametrize("name", sorted(FIRST.keys() - set(SAID_IN_IT)))
@pytest.mark.parametrize("version", [1, 2])
def test_without_its_head_nobody_is_let_in(name: str, version: int) -> None:
    said = {**FIRST, "v": version}
    del said[name]
    with pytest.raises(SnapshotError):
        read(said)


@pytest.mark.parametrize(
    "said",
    [
        {**FIRST, "v": 2, "told": {"turns": []}, "messages": "…", "state": 7},
        {**{key: FIRST[key] for key in FIRST if key not in SAID_IN_IT}, "v": 9, "talk": []},
    ],
)
def test_of_a_newer_version_the_head_is_read_and_the_bot_begins_anew(said: Any) -> None:
    kept = read(said)
    assert (kept.facts, kept.before, kept.caps) == (KEPT.facts, KEPT.before, KEPT.caps)
    assert (kept.began_unix_ms, kept.media_began_ms) == (KEPT.began_unix_ms, 40)
    assert kept.muted and kept.spent == KEPT.spent
    assert kept.anew and kept.conversation is None
    assert (kept.told, kept.messages, kept.state) == (wire.Snapshot(), None, "")
    assert KEPT.conversation == KeptConversation(KEPT.messages, KEPT.state)


@pytest.mark.parametrize(
    "said",
    [
        [],
        "text",
        {**FIRST, "v": "2"},
        {**FIRST, "v": None},
        {**FIRST, "tokens": 7},
        {**FIRST, "tokens": ["not base64"]},
        {**FIRST, "caps": [["user", "ada", 7]]},
        {**FIRST, "caps": [["user", "ada", "planets=3"]]},
        {**FIRST, "client": "////"},
        {**FIRST, "told": "////"},
        {**FIRST, "spent": [1, 2, 3, 4, 5]},
    ],
)
def test_one_that_says_something_else_is_not_read_and_fails_nobody(said: Any) -> None:
    with pytest.raises(SnapshotError):
        read(said)
