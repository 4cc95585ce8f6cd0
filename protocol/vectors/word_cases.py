"""Words on the wire (``decode-*``) and on the media clock (``timeline-*``)."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.json_format import MessageToDict

from voxwire_protocol import wire

Case = dict[str, Any]
Span = tuple[int, int, int, int]  # char_start, char_end, start_ms, end_ms

_WORD = "TIMING_SOURCE_PROVIDER_WORD"


def cases() -> Iterator[tuple[str, Case]]:
    """File name and content of each case."""
    for name, case in _decode_cases():
        yield f"decode-{name}", case
    yield "join-texts", _join_case()
    for name, case in _timeline_cases():
        yield f"timeline-{name}", case


def _decode(
    about: str, text: str, spans: list[Span], texts: list[str], *, so_far: str = "", **fields: int
) -> Case:
    message = wire.UtteranceWords(
        utterance_id="u1",
        text=text,
        words=[wire.Word(char_start=a, char_end=b, start_ms=s, end_ms=e) for a, b, s, e in spans],
        source=wire.TimingSource.TIMING_SOURCE_PROVIDER_WORD,
        **fields,  # pyright: ignore[reportArgumentType]
    )
    base, first = fields.get("base_media_ms", 0), fields.get("first_index", 0)
    return {
        "about": about,
        "kind": "decode",
        "message": MessageToDict(message),
        "bytes": message.SerializeToString().hex(),
        "text_so_far": so_far,
        "words": [
            {
                "utterance_id": "u1",
                "index": first + at,
                "text": word,
                "char_start": a,
                "char_end": b,
                "start_ms": base + s,
                "end_ms": base + e,
                "end_estimated": False,
                "source": _WORD,
            }
            for at, ((a, b, s, e), word) in enumerate(zip(spans, texts, strict=True))
        ],
    }


def _join_case() -> Case:
    joins = [
        ("", "", ""),
        ("Hello", "", "Hello"),
        ("", "Hello", "Hello"),
        ("Hello.", "How are you?", "Hello. How are you?"),
        ("Hello. ", "How", "Hello. How"),
        ("Hello.", "\nHow", "Hello.\nHow"),
        ("您好。", "感谢您致电。", "您好。感谢您致电。"),
        ("こんにちは。", "元気ですか", "こんにちは。元気ですか"),
        ("カ", "ﾀｶﾅ", "カﾀｶﾅ"),
        ("𠮷野家", "𠮷", "𠮷野家𠮷"),
        ("“您好”", "“再见”", "“您好”“再见”"),
        ("稍等……", "好了", "稍等……好了"),
        ("你好", "iPhone 很好", "你好 iPhone 很好"),
        ("OK", "好", "OK 好"),
        ("안녕하세요.", "반갑습니다", "안녕하세요. 반갑습니다"),
        ("สวัสดีครับ", "ยินดี", "สวัสดีครับ ยินดี"),
        ("שלום", "עולם", "שלום עולם"),
        ("…", "好", "… 好"),
        ("👋", "👋", "👋 👋"),
    ]
    return {
        "about": "Texts said one after the other: one space, or none in Chinese and Japanese.",
        "kind": "join",
        "joins": [{"before": a, "after": b, "text": text} for a, b, text in joins],
    }


def _decode_cases() -> Iterator[tuple[str, Case]]:
    yield (
        "plain",
        _decode(
            "Times count from base_media_ms.",
            "Hello, world!",
            [(0, 6, 0, 300), (7, 13, 320, 700)],
            ["Hello,", "world!"],
            base_media_ms=12000,
        ),
    )
    yield (
        "later-piece",
        _decode(
            "Indices go on and spans count from the start of the utterance.",
            " And more.",
            [(14, 17, 0, 200), (18, 23, 210, 500)],
            ["And", "more."],
            base_media_ms=13000,
            first_index=2,
            text_offset=13,
            so_far="Hello, world!",
        ),
    )
    yield (
        "emoji",
        _decode(
            "Spans are code points: a waving hand with a skin tone is two, a family is five.",
            "Hi 👋🏽 the 👨‍👩‍👧 smiles",
            [(0, 2, 0, 10), (3, 5, 20, 30), (6, 9, 40, 50), (10, 15, 60, 70), (16, 22, 80, 90)],
            ["Hi", "👋🏽", "the", "👨‍👩‍👧", "smiles"],
        ),
    )
    yield (
        "cjk",
        _decode(
            "Words without spaces between them.",
            "你好，世界。𠮷野家",
            [(0, 3, 0, 400), (3, 6, 400, 900), (6, 9, 950, 1500)],
            ["你好，", "世界。", "𠮷野家"],
        ),
    )
    yield (
        "rtl",
        _decode(
            "Spans follow the order of the characters, not of the display; marks count.",
            "שלום עוֹלם abc مرحبا",
            [(0, 4, 0, 300), (5, 10, 310, 600), (11, 14, 610, 800), (15, 20, 810, 1200)],
            ["שלום", "עוֹלם", "abc", "مرحبا"],
        ),
    )
    yield (
        "combining",
        _decode(
            "Nothing is normalised: e and a combining acute are two code points.",
            "cafe\u0301 noir",
            [(0, 5, 0, 200), (6, 10, 210, 400)],
            ["cafe\u0301", "noir"],
        ),
    )
    yield (
        "earlier-text",
        _decode(
            "A revision may leave the text out: the words are slices of what came before.",
            "",
            [(0, 6, 0, 300), (7, 13, 300, 650)],
            ["Hello,", "world!"],
            so_far="Hello, world!",
            revision=1,
        ),
    )
    yield (
        "outside",
        _decode(
            "A span outside the text is cut to it.",
            "Hello",
            [(0, 9, 0, 10), (3, 2, 10, 20), (20, 30, 20, 30)],
            ["Hello", "", ""],
            so_far="Hel",
        ),
    )


def _word(utterance_id: str, index: int, start_ms: int, end_ms: int | None = None) -> Case:
    """A word of three characters and a space."""
    return {
        "utterance_id": utterance_id,
        "index": index,
        "text": f"w{index % 100:02d}",
        "char_start": index * 4,
        "char_end": index * 4 + 3,
        "start_ms": start_ms,
        "end_ms": start_ms + 80 if end_ms is None else end_ms,
        "end_estimated": end_ms is None,
        "source": _WORD,
    }


def _words(utterance_id: str, *starts_ms: int, first: int = 0) -> list[Case]:
    return [_word(utterance_id, index, at) for index, at in enumerate(starts_ms, first)]


def _begin(utterance_id: str, media_ms: int) -> Case:
    return {"op": "begin", "utterance_id": utterance_id, "media_ms": media_ms}


def _add(words: list[Case], revision: int = 0) -> Case:
    return {"op": "add", "words": words, "revision": revision}


def _advance(media_ms: int, *due: tuple[str, int]) -> Case:
    return {"op": "advance", "media_ms": media_ms, "due": [list(word) for word in due]}


def _next(value: int | None) -> Case:
    return {"op": "next_due_ms", "value": value}


def _prefix(utterance_id: str, words: int, char_end: int, media_ms: int) -> Case:
    return {
        "utterance_id": utterance_id,
        "words": words,
        "char_end": char_end,
        "media_ms": media_ms,
    }


def _heard(at_ms: int, utterance_id: str, words: int, char_end: int, media_ms: int) -> Case:
    prefix = _prefix(utterance_id, words, char_end, media_ms)
    return {"op": "heard", "utterance_id": utterance_id, "media_ms": at_ms, "heard": prefix}


def _cut(media_ms: int, until_ms: int, *prefixes: Case) -> Case:
    return {"op": "cut", "media_ms": media_ms, "until_ms": until_ms, "heard": list(prefixes)}


def _end(utterance_id: str) -> Case:
    return {"op": "end", "utterance_id": utterance_id}


def _known(utterance_id: str, *indices: int) -> Case:
    return {"op": "words", "utterance_id": utterance_id, "indices": list(indices)}


def _set_text(utterance_id: str, offset: int, text: str) -> Case:
    return {"op": "set_text", "utterance_id": utterance_id, "offset": offset, "text": text}


def _text(utterance_id: str, value: str) -> Case:
    return {"op": "text", "utterance_id": utterance_id, "value": value}


def _script(about: str, *steps: Case) -> Case:
    return {"about": about, "kind": "timeline", "steps": list(steps)}


def _timeline_cases() -> Iterator[tuple[str, Case]]:
    yield (
        "order",
        _script(
            "Words fire at their onset, once, by onset between utterances.",
            _next(None),
            _advance(0),
            _add(_words("b", 150, 300)),
            _begin("a", 100),
            _begin("b", 120),
            _add(_words("a", 100, 150, 400)),
            _next(100),
            _advance(99),
            _advance(100, ("a", 0)),
            _advance(150, ("b", 0), ("a", 1)),
            _advance(120),
            _next(300),
            _add(_words("a", 100, 150, 400)),
            _advance(1000, ("b", 1), ("a", 2)),
            _add(_words("a", 500, first=3)),
            _advance(600, ("a", 3)),
            _next(None),
        ),
    )
    yield (
        "revision",
        _script(
            "A higher revision moves words that were not delivered; indices never go back.",
            _begin("u", 0),
            _add(_words("u", 0, 100, 200, 300)),
            _advance(0, ("u", 0)),
            _add(_words("u", 50, 500, 40, 600), 1),
            _add(_words("u", 1, 1, 1, 1), 1),
            _next(500),
            _advance(499),
            _advance(500, ("u", 1), ("u", 2)),
            _advance(600, ("u", 3)),
            _known("u", 0, 1, 2, 3),
            _heard(500, "u", 1, 3, 500),
            _heard(501, "u", 3, 11, 501),
        ),
    )
    yield (
        "missing-index",
        _script(
            "A missing word holds nothing up, and does not come after a later one.",
            _begin("u", 0),
            _add(_words("u", 0)),
            _add(_words("u", 200, first=2)),
            _advance(100, ("u", 0)),
            _add(_words("u", 300, first=3)),
            _advance(200, ("u", 2)),
            _add(_words("u", 100, first=1)),
            _advance(1000, ("u", 3)),
            _known("u", 0, 2, 3),
        ),
    )
    yield (
        "cut",
        _script(
            "A cut drops words that begin at or after it; those before it still fire.",
            _begin("u", 0),
            _add(_words("u", 0, 100, 200, 300)),
            _advance(50, ("u", 0)),
            _heard(200, "u", 2, 7, 200),
            _cut(200, 400, _prefix("u", 2, 7, 200)),
            _known("u", 0, 1),
            _add(_words("u", 110, 120, first=2)),
            _add(_words("u", 90, first=1), 5),
            _next(100),
            _advance(1000, ("u", 1)),
            _heard(1000, "u", 2, 7, 200),
            _heard(100, "u", 1, 3, 100),
            _cut(100, 2000),
            _begin("v", 400),
            _add(_words("v", 400)),
            _advance(1000, ("v", 0)),
        ),
    )
    yield (
        "cut-several",
        _script(
            "A cut concerns what begins before until_ms and is open, or ended with words to come.",
            _begin("ended", 0),
            _add(_words("ended", 0, 100)),
            _end("ended"),
            _begin("over", 0),
            _add(_words("over", 0)),
            _end("over"),
            _begin("open", 150),
            _add(_words("open", 160, 260)),
            _add(_words("unbegun", 280)),
            _begin("queued", 290),
            _begin("after", 300),
            _add(_words("after", 300)),
            _set_text("no-place", 0, "x"),
            _advance(20, ("ended", 0), ("over", 0)),
            _cut(
                90,
                300,
                _prefix("ended", 1, 3, 90),
                _prefix("open", 0, 0, 90),
                _prefix("unbegun", 0, 0, 90),
                _prefix("queued", 0, 0, 90),
            ),
            _add(_words("queued", 290)),
            _advance(1000, ("after", 0)),
        ),
    )
    yield (
        "cut-again",
        _script(
            "A second cut of an utterance with words to come can only take more away.",
            _begin("u", 0),
            _add(_words("u", 0, 100, 200)),
            _cut(150, 300, _prefix("u", 2, 7, 150)),
            _cut(180, 300, _prefix("u", 2, 7, 150)),
            _cut(50, 300, _prefix("u", 1, 3, 50)),
            _advance(1000, ("u", 0)),
            _cut(0, 300),
        ),
    )
    yield (
        "end",
        _script(
            "An ended utterance takes no more words; those it has still fire.",
            _begin("u", 0),
            _add(_words("u", 0, 100)),
            _end("u"),
            _end("u"),
            _add(_words("u", 200, first=2)),
            _advance(500, ("u", 0), ("u", 1)),
            _heard(500, "u", 2, 7, 500),
            _heard(0, "u", 0, 0, 0),
            _heard(500, "nobody", 0, 0, 500),
            _known("nobody"),
        ),
    )
    yield (
        "forget",
        _script(
            "The last 32 utterances that are over are remembered.",
            *(
                step
                for number in range(33)
                for step in (
                    _add(_words(f"u{number}", number)),
                    _end(f"u{number}"),
                    _advance(number, (f"u{number}", 0)),
                )
            ),
            _known("u0"),
            _known("u1", 0),
            _known("u32", 0),
        ),
    )
    yield (
        "text",
        _script(
            "Pieces of text stand at their offset, code points; a gap is filled with spaces.",
            _text("u", ""),
            _set_text("u", 0, "Hi 👋🏽"),
            _set_text("u", 5, " there"),
            _text("u", "Hi 👋🏽 there"),
            _set_text("u", 0, "Hi 👋🏽"),
            _set_text("u", 6, "T"),
            _text("u", "Hi 👋🏽 There"),
            _set_text("u", 13, "!"),
            _text("u", "Hi 👋🏽 There  !"),
            _set_text("u", 262144, "too far"),
            _text("u", "Hi 👋🏽 There  !"),
        ),
    )
