"""Names and types of files, as both sides check them."""

import pytest

from voxwire_protocol.files import is_name, media_type_of, takes


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "plan.pdf",
        "Screenshot 10.00\u202fAM.png",
        "a\u00a0b",
        "👨\u200d👩\u200d👧.png",
        "...",
        "Ünï",
    ],
)
def test_what_people_name_their_files_is_a_name(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "a\\b", "a\0", "a\nb", "\x85", "\u202egnp.exe", "\ud800", "a" * 256],
)
def test_paths_controls_and_what_turns_text_around_are_no_name(name: str) -> None:
    assert not is_name(name)


def test_a_media_type_is_compared_without_parameters_and_case() -> None:
    assert media_type_of("Text/Plain; charset=utf-8") == "text/plain"
    for bad in ("", "image", "image/", "/png", "a/b/c", "im age/png", "image/png\r\nx", "ä/b"):
        assert media_type_of(bad) == ""
    assert takes(["image/*"], "image/png")
    assert takes([" Image/PNG "], "image/png")
    assert takes(["*/*"], "a/b")
    assert not takes(["image/*", "application/pdf"], "imagex/png")
    assert not takes([], "image/png")
