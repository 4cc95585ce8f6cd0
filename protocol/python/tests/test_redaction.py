"""What is secret by the schema is in no message that is shown, whatever message it is."""

from google.protobuf.message import Message

from voxwire_protocol import wire
from voxwire_protocol.redaction import without_secrets

SECRET = "s3cret"
OPTION = wire.Envelope.DESCRIPTOR.file.pool.FindExtensionByName("voxwire.v1.sensitivity")


def filled(message: Message, depth: int = 0) -> int:
    """Fills every field that the schema calls secret; how many there are."""
    found = 0
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        many = hasattr(value, "append") and not isinstance(value, str | bytes)
        if field.GetOptions().Extensions[OPTION] == 2:
            secret = SECRET.encode() if field.type == field.TYPE_BYTES else SECRET
            setattr(message, field.name, secret)
            found += 1
        elif field.message_type is not None and depth < 4:
            if field.message_type.GetOptions().map_entry:
                continue
            one = field.message_type._concrete_class()
            if inside := filled(one, depth + 1):
                value.append(one) if many else value.CopyFrom(one)
                found += inside
    return found


def test_no_payload_keeps_a_secret_and_the_message_itself_stays_what_it_was() -> None:
    secrets = 0
    for payload in (*wire.CLIENT_PAYLOADS, *wire.SERVER_PAYLOADS):
        envelope = wire.Envelope(seq=7)
        getattr(envelope, payload).SetInParent()
        found = filled(getattr(envelope, payload))
        secrets += found
        before = envelope.SerializeToString()
        shown = without_secrets(envelope)
        assert SECRET.encode() not in shown.SerializeToString(), payload
        assert (shown.seq, shown.WhichOneof("payload")) == (7, payload)
        assert envelope.SerializeToString() == before
        assert (shown is envelope) == (not found), payload
    assert secrets >= 9


def test_what_is_no_secret_stays() -> None:
    hello = wire.Hello(token=SECRET, metadata_json="{}", session_id="s")
    shown = without_secrets(wire.Envelope(hello=hello)).hello
    assert (shown.token, shown.metadata_json, shown.session_id) == ("", "{}", "s")
    for nothing in (wire.Envelope(), wire.Envelope(hello=wire.Hello(session_id="s"))):
        assert without_secrets(nothing) is nothing


def test_of_a_url_only_the_place_stays_and_of_relays_nothing() -> None:
    secret, shown = f"wss://me:{SECRET}@host:1/v1?token={SECRET}#x", "wss://host:1/v1"
    welcome = wire.Welcome(resume_url=secret)
    welcome.ice_servers.add(urls=[f"turn:host?{SECRET}"])
    hidden = without_secrets(wire.Envelope(welcome=welcome)).welcome
    assert (hidden.resume_url, len(hidden.ice_servers)) == (shown, 0)
    moved = without_secrets(wire.Envelope(go_away=wire.GoAway(resume_url=secret)))
    assert moved.go_away.resume_url == shown
    answer = without_secrets(wire.Envelope(path_answer=wire.PathAnswer(room_url=secret)))
    assert answer.path_answer.room_url == shown
    plain = wire.Envelope(go_away=wire.GoAway(resume_url=shown))
    assert without_secrets(plain) is plain
