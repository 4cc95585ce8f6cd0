"""Captions, their offsets and the context have the spaces of the language, and no others."""

import asyncio
from typing import Any

import pytest

import voxwire
from tests.support.odd_bot import Script, odd_bot
from voxwire_server.testing import running_server

ZH = "您好，感谢您致电。"
JA = "こんにちは。"


def english(_: str) -> list[str]:
    return ["Hel", "lo ", "the", "re."]


@pytest.mark.parametrize(
    ("text", "more", "pieces"),
    [
        (ZH, {"split": list, "own_spaces": True}, list(ZH)),
        (JA, {"split": list, "own_spaces": True}, list(JA)),
        (
            "Hello there.",
            {"split": english, "own_spaces": True},
            ["Hel", "lo", "the", "re."],
        ),
        (ZH, {"order": "none"}, ["您", "好，", "感", "谢", "您", "致", "电。"]),
        ("我用 iPhone。", {"order": "none"}, ["我", "用", "iPhone。"]),
        ("안녕하세요. 반갑습니다.", {}, ["안녕하세요.", "반갑습니다."]),
        ("สวัสดีครับ ยินดี", {"order": "none"}, ["สวัสดีครับ", "ยินดี"]),
    ],
)
async def test_words_are_slices_of_the_text_and_the_context_is_that_text(
    text: str, more: dict[str, Any], pieces: list[str]
) -> None:
    script = Script(answers={"go": [text]}, **more)
    words: list[voxwire.BotWord] = []
    async with running_server(odd_bot(script)) as server, asyncio.timeout(60):
        async with voxwire.connect(server.url, transport="websocket") as session:
            await session.send_text("go")
            async for event in session:
                if isinstance(event, voxwire.BotWord):
                    words.append(event)
                elif isinstance(event, voxwire.UtteranceEnded):
                    assert event.heard_char_end == len(text)
                    break
            await session.send_text("again")
            await session.wait_for(voxwire.UtteranceEnded)
    assert [word.text for word in words] == pieces
    assert [text[word.char_start : word.char_end] for word in words] == pieces
    assert script.answers_kept()[0] == text
