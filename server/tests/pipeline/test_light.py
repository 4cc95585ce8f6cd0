"""What is kept of a message: no picture, no sound, no file, and not too much of a text."""

import json
from typing import Any

import pytest

from voxwire_server.pipeline.light import MAX_MESSAGE_BYTES, light, size_of


@pytest.mark.parametrize(
    ("part", "word"),
    [
        ({"type": "image_url", "image_url": {"url": "data:"}}, "[image, not kept]"),
        ({"type": "input_audio", "input_audio": {"data": ""}}, "[audio, not kept]"),
        ({"type": "audio", "audio": ""}, "[audio, not kept]"),
        ({"type": "file_base64", "file": {"_raw_bytes": b""}}, "[file, not kept]"),
        ({"type": "file_url", "file": {"url": ""}}, "[file, not kept]"),
        ({"type": "hologram"}, "[part, not kept]"),
        ({"type": "text"}, "[part, not kept]"),
        (7, "[part, not kept]"),
    ],
)
def test_a_word_stands_in_the_place_of_what_is_no_text(part: Any, word: str) -> None:
    message = {"role": "user", "content": [part]}
    made = light(message)
    assert made == {"role": "user", "content": [{"type": "text", "text": word}]}
    assert message["content"] == [part]


def test_text_stays_as_it_is() -> None:
    content = [{"type": "text", "text": "a"}, "b", {"type": "refusal", "refusal": "c"}]
    for message in ({"role": "user", "content": content}, {"role": "user", "content": "d"}):
        assert light(message) == message


def test_a_whole_message_may_be_a_picture_or_have_sound() -> None:
    picture = {"role": "user", "mime_type": "image/png", "data": "AAAA"}
    assert light(picture) == {"role": "user", "content": "[image, not kept]"}
    spoken = {"role": "assistant", "content": "a", "audio": {"data": "AAAA"}}
    assert light(spoken) == {"role": "assistant", "content": "a"}
    named = {"role": "assistant", "content": "a", "audio": {"id": "x"}}
    assert light(named) == named


@pytest.mark.parametrize("letter", ["x", "ö", "\N{GRINNING FACE}"])
def test_a_long_text_is_cut_unless_it_is_to_be_whole(letter: str) -> None:
    for content in (letter * 100_000, [{"type": "text", "text": letter * 20_000}] * 5):
        message = {"role": "user", "content": content}
        made = light(message)
        assert made["content"].startswith(letter) and made["content"].endswith(" [...]")
        assert MAX_MESSAGE_BYTES * 0.9 < size_of(made) <= MAX_MESSAGE_BYTES
        assert light(message, whole=True) == message


def test_arguments_that_are_too_long_are_left_out_and_stay_json() -> None:
    function = {"name": "f", "arguments": json.dumps({"a": "x" * 50_000})}
    call = {"id": "1", "type": "function", "function": function}
    made = light({"role": "assistant", "tool_calls": [call]})
    assert made["tool_calls"] == [{**call, "function": {"name": "f", "arguments": "{}"}}]
    assert "content" not in made


def test_what_is_no_json_has_no_size() -> None:
    assert size_of({"role": "user", "content": b"a"}) == 0
