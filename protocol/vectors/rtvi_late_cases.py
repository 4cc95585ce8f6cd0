"""A stock bot whose words come behind the end of what it says."""

import json
import re
from typing import Any

from rtvi_steps import heard, late, lost, m, overdue

_ARRIVAL = "TIMING_SOURCE_ARRIVAL"
_TEXT = "It is Paris."


def _state(bot: str) -> dict[str, Any]:
    return {"stateChanged": {"bot": f"BOT_STATE_{bot}", "user": "USER_STATE_SILENT"}}


def _begun(name: str, at: int) -> dict[str, Any]:
    value: dict[str, Any] = {"utteranceId": name, "source": _ARRIVAL}
    return {"utteranceStarted": value | ({"mediaMs": str(at)} if at else {})}


def _word(name: str, index: int, start: int, text: str, at: int) -> dict[str, Any]:
    spans = [found.span() for found in re.finditer("[^ \\ufeff]+", text)]
    words = [{"charStart": start + a, "charEnd": start + b, "endEstimated": True} for a, b in spans]
    value = {"utteranceId": name, "firstIndex": index, "textOffset": start, "text": text}
    return {"utteranceWords": value | {"baseMediaMs": str(at), "words": words, "source": _ARRIVAL}}


def _ended(name: str, end: str, at: int, words: int, char_end: int) -> dict[str, Any]:
    return {
        "utteranceEnded": {
            "utteranceId": name,
            "end": f"UTTERANCE_END_{end}",
            "heardMediaMs": str(at),
            "heardWords": words,
            "heardCharEnd": char_end,
        }
    }


def _output(spoken: str, rest: str, segment: Any = 1) -> dict[str, Any]:
    status = "completed" if not rest else "in-progress" if spoken else "new"
    return m(
        "bot-output",
        {
            "text": spoken + rest,
            "output_type": "sentence",
            "segment_id": segment,
            "will_be_spoken": True,
            "spoken_status": status,
            "spoken_progress": {"accumulated_text": spoken, "remaining_text": rest},
        },
    )


def _whole(message: dict[str, Any]) -> dict[str, Any]:
    """The message as it is."""
    data = message["data"]
    progress = data["spoken_progress"]
    text = (
        f'{{"label":"rtvi-ai","type":"bot-output","data":{{"text":"{data["text"]}",'
        f'"output_type":"sentence","segment_id":{json.dumps(data["segment_id"])},"will_be_spoken":true,'
        f'"spoken_status":"{data["spoken_status"]}","spoken_progress":{{'
        f'"accumulated_text":"{progress["accumulated_text"]}",'
        f'"remaining_text":"{progress["remaining_text"]}"}}}}}}'
    )
    return {"appMessage": {"type": "rtvi-ai", "dataJson": text}}


def _out(spoken: str, rest: str, *told: dict[str, Any], at: int = 0, segment: Any = 1) -> Any:
    message = _output(spoken, rest, segment)
    return heard(message, _whole(message), *told, at=at)


def _tts(text: str, *told: dict[str, Any], at: int = 0) -> Any:
    return heard(m("bot-tts-text", {"text": text}), *told, at=at)


def _ready() -> Any:
    welcome = {"welcome": {"protocolVersion": 1, "epoch": 1}}
    return heard(m("bot-ready", {"version": "2.2.0"}), welcome, _state("IDLE"))


def _two_of_three(name: str = "s1", segment: int = 1) -> list[Any]:
    """Begins to speak, and comes as far as the last word."""
    return [
        heard(m("bot-started-speaking"), _begun(name, 40), _state("SPEAKING"), at=40),
        _out("", _TEXT, segment=segment),
        _tts("It", _word(name, 0, 0, "It", 50), at=50),
        _out("It", " is Paris.", segment=segment),
        _tts("is", _word(name, 1, 3, "is", 300), at=300),
        _out("It is", " Paris.", segment=segment),
    ]


def _started(name: str, at: int) -> Any:
    return heard(m("bot-started-speaking"), _begun(name, at), _state("SPEAKING"), at=at)


def _stopped(*told: dict[str, Any], at: int = 900) -> Any:
    return heard(m("bot-stopped-speaking"), *told, at=at)


def _completed(name: str, at: int) -> dict[str, Any]:
    return _ended(name, "COMPLETED", at, 3, 12)


def bot_late() -> list[dict[str, Any]]:
    """The last word comes 180 ms behind the end; Pipecat brings it again with the next answer."""
    return [
        _ready(),
        *_two_of_three(),
        _stopped(_state("IDLE")),
        late("s1"),
        _out(_TEXT, "", _word("s1", 2, 6, "Paris.", 1080), _completed("s1", 1080), at=1080),
        late(""),
        heard(m("bot-started-speaking"), _begun("s2", 2000), _state("SPEAKING"), at=2000),
        _tts("Paris.", at=2001),
        _out("", "Paris. Bye.", segment=2),
        _tts("Paris.", _word("s2", 0, 0, "Paris.", 2010), at=2010),
        _out("Paris.", " Bye.", segment=2),
        _tts("Bye.", _word("s2", 1, 7, "Bye.", 2300), at=2300),
        _out("Paris. Bye.", "", segment=2),
        _stopped(_ended("s2", "COMPLETED", 2600, 2, 11), _state("IDLE"), at=2600),
        late(""),
    ]


def bot_never() -> list[dict[str, Any]]:
    """The last word comes later than anybody waits for it: it is not told, not even elsewhere."""
    return [
        _ready(),
        *_two_of_three(),
        _stopped(_state("IDLE")),
        late("s1"),
        overdue(_ended("s1", "COMPLETED", 1900, 2, 5), at=1900),
        late(""),
        overdue(at=1910),
        _out(_TEXT, "", at=2000),
        heard(m("bot-started-speaking"), _begun("s2", 2500), _state("SPEAKING"), at=2500),
        _tts("Paris.", at=2501),
        _tts("Yes", _word("s2", 0, 0, "Yes", 2510), at=2510),
    ]


def bot_late_cut() -> list[dict[str, Any]]:
    """An interruption while a word is missing: nothing was cut off, and nothing more comes."""
    return [
        _ready(),
        *_two_of_three(),
        _stopped(_state("IDLE")),
        late("s1"),
        heard(m("bot-interrupted"), _ended("s1", "COMPLETED", 1000, 2, 5), at=1000),
        late(""),
        _out(_TEXT, "", at=1010),
        _tts("Paris.", at=1011),
        heard(m("bot-tts-started")),
        heard(m("bot-started-speaking"), _begun("s2", 2000), _state("SPEAKING"), at=2000),
        _tts("Paris.", _word("s2", 0, 0, "Paris.", 2010), at=2010),
        # cut off as it speaks: what it still owed is not waited for
        _out("", "Paris. Bye.", segment=2),
        heard(
            m("bot-interrupted"),
            _ended("s2", "INTERRUPTED", 2200, 1, 6),
            {"interrupted": {"utteranceId": "s2"}},
            at=2200,
        ),
        _stopped(_state("IDLE"), at=2210),
        late(""),
    ]


def bot_late_next() -> list[dict[str, Any]]:
    """The next answer begins while a word is missing, by its voice or by its text."""
    return [
        _ready(),
        *_two_of_three(),
        _stopped(_state("IDLE")),
        late("s1"),
        heard(
            m("bot-started-speaking"),
            _ended("s1", "COMPLETED", 1100, 2, 5),
            _begun("s2", 1100),
            _state("SPEAKING"),
            at=1100,
        ),
        late(""),
        _out("", "Bye now.", segment=2),
        _tts("Paris.", at=1101),
        _out(_TEXT, "", at=1102),
        _tts("Bye", _word("s2", 0, 0, "Bye", 1110), at=1110),
        _out("Bye", " now.", segment=2),
        _stopped(_state("IDLE"), at=1500),
        late("s2"),
        _out("", "More.", _ended("s2", "COMPLETED", 1600, 1, 3), at=1600, segment=3),
        late(""),
        heard(m("bot-started-speaking"), _begun("s3", 1700), _state("SPEAKING"), at=1700),
        _tts("More.", _word("s3", 0, 0, "More.", 1710), at=1710),
        _stopped(_ended("s3", "COMPLETED", 1900, 1, 5), _state("IDLE"), at=1900),
    ]


def bot_late_order() -> list[dict[str, Any]]:
    """The two messages of the last word on either side of the end, and both behind it."""
    return [
        _ready(),
        # the word itself in time, its progress late
        *_two_of_three(),
        _tts("Paris.", _word("s1", 2, 6, "Paris.", 600), at=600),
        _stopped(_completed("s1", 900), _state("IDLE")),
        _out(_TEXT, "", at=1000),
        late(""),
        # its progress in time, the word itself late: it is told when the bot is silent
        *_two_of_three("s2", 2),
        _out(_TEXT, "", at=600, segment=2),
        _stopped(_word("s2", 2, 6, "Paris.", 900), _completed("s2", 900), _state("IDLE")),
        _tts("Paris.", at=1000),
        # both late, the word first
        *_two_of_three("s3", 3),
        _stopped(_state("IDLE")),
        late("s3"),
        _tts("Paris.", _word("s3", 2, 6, "Paris.", 1000), _completed("s3", 1000), at=1000),
        _out(_TEXT, "", at=1000, segment=3),
        late(""),
        # words that were announced otherwise are not waited for
        heard(m("bot-started-speaking"), _begun("s4", 1100), _state("SPEAKING"), at=1100),
        _out("", "$5", segment=4),
        _tts("five", _word("s4", 0, 0, "five", 1110), at=1110),
        _stopped(_ended("s4", "COMPLETED", 1500, 1, 4), _state("IDLE"), at=1500),
        late(""),
    ]


def bot_ahead() -> list[dict[str, Any]]:
    """A sentence that is told from its middle: what was told of it is not told again."""
    costs = "It costs $5 now."
    return [
        _ready(),
        # the next sentence is announced before the one that is spoken has ended
        _started("s1", 40),
        _out("", "One two."),
        _tts("One", _word("s1", 0, 0, "One", 50), at=50),
        _out("", "Three four.", segment=2),
        _tts("two.", _word("s1", 1, 4, "two.", 300), at=300),
        _out("One two.", ""),
        _tts("Three", _word("s1", 2, 9, "Three", 600), at=600),
        _out("Three", " four.", segment=2),
        _tts("four.", _word("s1", 3, 15, "four.", 900), at=900),
        _out("Three four.", "", segment=2),
        _stopped(_ended("s1", "COMPLETED", 1200, 4, 20), _state("IDLE"), at=1200),
        # a word in the middle is spoken otherwise than it was announced
        _started("s2", 2000),
        _out("", costs, segment=3),
        _tts("It", _word("s2", 0, 0, "It", 2010), at=2010),
        _tts("costs", _word("s2", 1, 3, "costs", 2200), at=2200),
        _tts("five", _word("s2", 2, 9, "five", 2400), at=2400),
        _out("It costs $5", " now.", segment=3),
        _tts("now.", _word("s2", 3, 14, "now.", 2600), at=2600),
        _out(costs, "", segment=3),
        _stopped(_ended("s2", "COMPLETED", 2900, 4, 18), _state("IDLE"), at=2900),
        # the connection is lost in the middle
        _started("s3", 4000),
        _out("", "One two three.", segment=4),
        _tts("One", _word("s3", 0, 0, "One", 4010), at=4010),
        lost(_ended("s3", "INTERRUPTED", 4200, 1, 3), _state("IDLE"), at=4200),
        _out("One two", " three.", segment=4),
        _tts("three.", _begun("s4", 4300), _word("s4", 0, 0, "three.", 4300), at=4300),
        _out("One two three.", "", segment=4),
        _stopped(_ended("s4", "COMPLETED", 4600, 1, 6), at=4600),
    ]


def bot_goes_on() -> list[dict[str, Any]]:
    """A pause inside a sentence, long enough for its utterance to end: the rest is of the next."""
    costs, see = "It costs $5 now.", "Let me see it."
    return [
        _ready(),
        _started("s1", 40),
        _out("", costs),
        _tts("It", _word("s1", 0, 0, "It", 50), at=50),
        _out("It", " costs $5 now."),
        _stopped(_state("IDLE")),
        late("s1"),
        overdue(_ended("s1", "COMPLETED", 1900, 1, 2), at=1900),
        _started("s2", 4000),
        _tts("costs", _word("s2", 0, 0, "costs", 4010), at=4010),
        _out("It costs", " $5 now."),
        _tts("$5", _word("s2", 1, 6, "$5", 4200), at=4200),
        _out("It costs $5", " now."),
        _tts("now.", _word("s2", 2, 9, "now.", 4400), at=4400),
        _out(costs, ""),
        _stopped(_ended("s2", "COMPLETED", 4600, 3, 13), _state("IDLE"), at=4600),
        # a word was kept back meanwhile: it is told with the one that shows that it goes on
        _started("s3", 5000),
        _out("", see, segment=2),
        _tts("Let", _word("s3", 0, 0, "Let", 5010), at=5010),
        _stopped(_state("IDLE"), at=5200),
        overdue(_ended("s3", "COMPLETED", 6200, 1, 3), at=6200),
        _out("Let me", " see it.", segment=2),
        _started("s4", 8000),
        _tts("me", at=8001),
        _tts("see", _word("s4", 0, 0, "me see", 8010), at=8010),
        _out("Let me see", " it.", segment=2),
        # progress may come before its word
        _stopped(_state("IDLE"), at=8100),
        overdue(_ended("s4", "COMPLETED", 9100, 2, 6), at=9100),
        _started("s5", 9500),
        _out(see, "", segment=2),
        _tts("it.", _word("s5", 0, 0, "it.", 9510), at=9510),
        # announced before the end, and nothing of it spoken
        _out("", "Two three.", segment=3),
        _stopped(_state("IDLE"), at=9700),
        late("s5"),
        _started_behind("s5", "s6", 9900, words=1, chars=3),
        _tts("Two", _word("s6", 0, 0, "Two", 9910), at=9910),
        _out("Two", " three.", segment=3),
        _stopped(_state("IDLE"), at=10100),
        _out(
            "Two three.",
            "",
            _word("s6", 1, 4, "three.", 10200),
            _ended("s6", "COMPLETED", 10200, 2, 10),
            at=10200,
            segment=3,
        ),
    ]


def _started_behind(ended: str, begun: str, at: int, *, words: int, chars: int) -> Any:
    """The bot speaks again while the end of an utterance waits."""
    told = (_ended(ended, "COMPLETED", at, words, chars), _begun(begun, at), _state("SPEAKING"))
    return heard(m("bot-started-speaking"), *told, at=at)


def bot_odd() -> list[dict[str, Any]]:
    """Segments of one text with other names, progress that goes back, and rare white space."""
    return [
        _ready(),
        _started("s1", 40),
        _out("", _TEXT, segment="a"),
        _tts("It", _word("s1", 0, 0, "It", 50), at=50),
        _tts("is", _word("s1", 1, 3, "is", 300), at=300),
        _out(_TEXT, "", segment="b"),
        _out("It is", " Paris.", segment=None),
        _stopped(_word("s1", 2, 6, "Paris.", 900), _completed("s1", 900), _state("IDLE")),
        _started("s2", 2000),
        _tts("a\ufeffb", _word("s2", 0, 0, "a\ufeffb", 2010), at=2010),
        _tts("c\u0085d", _word("s2", 2, 4, "c\u0085d", 2200), at=2200),
        _tts("\ufeff", at=2300),
        _stopped(_ended("s2", "COMPLETED", 2600, 3, 7), _state("IDLE"), at=2600),
        # a sentence that is said twice
        _started("s3", 3000),
        _out("", "No."),
        _tts("No.", _word("s3", 0, 0, "No.", 3010), at=3010),
        _out("No.", ""),
        _out("", "No.", segment=2),
        _stopped(_state("IDLE"), at=3200),
        late("s3"),
        _out(
            "No.",
            "",
            _word("s3", 1, 4, "No.", 3300),
            _ended("s3", "COMPLETED", 3300, 2, 7),
            at=3300,
            segment=2,
        ),
    ]
