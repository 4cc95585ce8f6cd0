"""Words fire when they are heard: once, in order, never after a cut."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from voxwire_protocol import wire
from voxwire_protocol.timeline import Heard, TimedWord, Timeline, decode_words, encode_words

SOURCE = wire.TimingSource.TIMING_SOURCE_PROVIDER_WORD


def word(index: int, start_ms: int, utterance_id: str = "u", text: str = "abc") -> TimedWord:
    return TimedWord(
        utterance_id=utterance_id,
        index=index,
        text=text,
        char_start=index * 4,
        char_end=index * 4 + 3,
        start_ms=start_ms,
        end_ms=start_ms + 50,
        end_estimated=False,
        source=SOURCE,
    )


def words(*starts_ms: int, utterance_id: str = "u") -> list[TimedWord]:
    return [word(index, at, utterance_id) for index, at in enumerate(starts_ms)]


def indices(due: list[TimedWord]) -> list[int]:
    return [item.index for item in due]


def test_a_word_fires_at_its_onset_and_only_once() -> None:
    timeline = Timeline()
    timeline.begin("u", 0)
    timeline.add(words(0, 100))
    assert indices(timeline.advance(0)) == [0]
    assert timeline.next_due_ms() == 100
    assert timeline.advance(99) == []
    assert indices(timeline.advance(100)) == [1]
    assert timeline.advance(100) == timeline.advance(0) == []
    assert timeline.next_due_ms() is None


def test_words_of_two_utterances_come_by_onset_and_then_by_which_was_known_first() -> None:
    timeline = Timeline()
    timeline.add(words(10, 30, utterance_id="b"))
    timeline.add(words(10, 20, utterance_id="a"))
    due = [(item.utterance_id, item.start_ms) for item in timeline.advance(100)]
    assert due == [("b", 10), ("a", 10), ("a", 20), ("b", 30)]


def test_begin_counts_once_and_may_follow_the_words() -> None:
    timeline = Timeline()
    timeline.add(words(500))
    timeline.begin("u", 400)
    timeline.begin("u", 0)
    assert timeline.cut(100, 400) == []
    assert timeline.cut(100, 401) == [Heard("u", 0, 0, 100)]


def test_a_revision_moves_only_words_that_were_not_delivered() -> None:
    timeline = Timeline()
    timeline.add(words(0, 100))
    timeline.advance(0)
    timeline.add([word(0, 5), word(1, 50)], 1)
    timeline.add([word(1, 70)], 1)
    assert [item.start_ms for item in timeline.words("u")] == [0, 50]
    assert indices(timeline.advance(50)) == [1]


def test_index_order_holds_where_times_go_back() -> None:
    timeline = Timeline()
    timeline.add(words(200, 100))
    assert timeline.advance(199) == []
    assert indices(timeline.advance(200)) == [0, 1]


def test_a_cut_drops_what_was_not_heard_and_closes() -> None:
    timeline = Timeline()
    timeline.begin("u", 0)
    timeline.add(words(0, 100, 200))
    assert timeline.cut(150, 1000) == [Heard("u", 2, 7, 150)]
    timeline.add([word(2, 120)], 9)
    assert indices(timeline.advance(5000)) == [0, 1]
    assert timeline.heard("u", 5000) == Heard("u", 2, 7, 150)


def test_a_cut_below_what_already_fired_keeps_the_heard_prefix_exact() -> None:
    timeline = Timeline()
    timeline.add(words(0, 100, 200))
    timeline.advance(250)
    assert timeline.cut(50, 1000) == [Heard("u", 1, 3, 50)]
    assert len(timeline.words("u")) == 1
    assert timeline.advance(9999) == []


def test_words_that_are_passed_over_count_as_delivered() -> None:
    timeline = Timeline()
    timeline.add(words(0, 100, 200))
    timeline.skip("u", words=2)
    assert timeline.delivered("u") == 2
    assert indices(timeline.advance(1000)) == [2]
    timeline.skip("u", words=1)
    timeline.skip("u", words=9)
    assert timeline.delivered("u") == 3
    assert timeline.delivered("unknown") == 0


def test_nothing_is_known_of_an_unknown_utterance() -> None:
    timeline = Timeline()
    assert timeline.heard("x", 7) == Heard("x", 0, 0, 7)
    assert timeline.words("x") == ()
    assert timeline.text("x") == ""


def test_memory_is_bounded_to_32_utterances_that_are_over() -> None:
    timeline = Timeline()
    for number in range(100):
        timeline.add([word(0, number, f"u{number}")])
        timeline.advance(number)
        timeline.end(f"u{number}")
    assert len(timeline._known) == 32
    assert timeline._live == {}
    assert timeline.words("u67") == ()
    assert timeline.words("u68") != ()


def test_text_is_put_in_place_and_bounded() -> None:
    timeline = Timeline()
    timeline.set_text("u", 0, "héllo")
    timeline.set_text("u", 7, "👋🏽")
    timeline.set_text("u", 5, "--")
    assert timeline.text("u") == "héllo--👋🏽"
    timeline.set_text("u", 2**32 - 1, "x")
    assert timeline.text("u") == "héllo--👋🏽"


@st.composite
def spoken(draw: st.DrawFn) -> tuple[str, int, list[TimedWord]]:
    """A piece of text, its offset, and consecutive words in it."""
    texts = draw(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6))
    offset = draw(st.integers(0, 1000))
    first = draw(st.integers(0, 50))
    at, said = offset, list[TimedWord]()
    for index, text in enumerate(texts, first):
        start_ms = draw(st.integers(0, 100_000))
        said.append(
            replace(
                word(index, start_ms, "ü", text),
                char_start=at,
                char_end=at + len(text),
                end_ms=start_ms + draw(st.integers(0, 900)),
                end_estimated=draw(st.booleans()),
            )
        )
        at += len(text)
    return "".join(texts), offset, said


@given(spoken(), st.integers(0, 9))
def test_words_survive_the_wire(case: tuple[str, int, list[TimedWord]], revision: int) -> None:
    text, offset, said = case
    message = encode_words(said, text, offset, revision=revision)
    message = wire.UtteranceWords.FromString(message.SerializeToString())
    assert message.revision == revision
    assert decode_words(message) == said
    assert decode_words(message, source=wire.TimingSource.TIMING_SOURCE_ESTIMATED) == said


def test_a_message_without_a_source_takes_that_of_its_utterance() -> None:
    message = encode_words(words(5), "abc")
    message.source = wire.TimingSource.TIMING_SOURCE_UNSPECIFIED
    assert decode_words(message, source=SOURCE) == words(5)


@pytest.mark.parametrize(
    "said",
    [
        [],
        [word(0, 0), word(2, 10)],
        [word(0, 0), word(1, 10, "v")],
        [word(0, 0), replace(word(1, 10), source=wire.TimingSource.TIMING_SOURCE_ARRIVAL)],
    ],
)
def test_words_that_do_not_belong_into_one_message_are_refused(said: list[TimedWord]) -> None:
    with pytest.raises(ValueError, match="words"):
        encode_words(said, "abc def")


@given(st.builds(wire.UtteranceWords, text=st.text(max_size=9), text_offset=st.integers(0, 9)),
       st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 20)), max_size=5),
       st.text(max_size=9))  # fmt: skip
def test_decoding_never_raises(
    message: wire.UtteranceWords, spans: list[tuple[int, int]], text_so_far: str
) -> None:
    for start, end in spans:
        message.words.add(char_start=start, char_end=end)
    assert len(decode_words(message, text_so_far)) == len(spans)


class Naive:
    """The same rules on plain lists, looked through from the start every time."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.begun: dict[str, int] = {}
        self.placed: dict[str, dict[int, tuple[int, TimedWord]]] = {}
        self.fired: list[tuple[str, int]] = []
        self.closed: set[str] = set()
        self.cut_at: dict[str, int] = {}

    def know(self, name: str) -> None:
        if name not in self.order:
            self.order.append(name)
            self.placed[name] = {}

    def begin(self, name: str, media_ms: int) -> None:
        self.know(name)
        self.begun.setdefault(name, media_ms)

    def add(self, item: TimedWord, revision: int) -> None:
        name = item.utterance_id
        self.know(name)
        if name in self.closed or item.index <= self.last_fired(name):
            return
        known = self.placed[name].get(item.index)
        if known is None or known[0] < revision:
            self.placed[name][item.index] = (revision, item)

    def last_fired(self, name: str) -> int:
        return max((index for fired, index in self.fired if fired == name), default=-1)

    def words(self, name: str) -> list[TimedWord]:
        return [item for _, (_, item) in sorted(self.placed.get(name, {}).items())]

    def waiting(self, name: str) -> list[TimedWord]:
        return [item for item in self.words(name) if item.index > self.last_fired(name)]

    def head(self) -> TimedWord | None:
        heads = [waiting[0] for name in self.order if (waiting := self.waiting(name))]
        return min(heads, key=lambda item: item.start_ms, default=None)

    def advance(self, media_ms: int) -> list[TimedWord]:
        due: list[TimedWord] = []
        while (item := self.head()) is not None and item.start_ms <= media_ms:
            self.fired.append((item.utterance_id, item.index))
            due.append(item)
        return due

    def prefix(self, name: str, media_ms: int) -> list[TimedWord]:
        said: list[TimedWord] = []
        for item in self.words(name):
            if item.start_ms >= media_ms:
                break
            said.append(item)
        return said

    def heard(self, name: str, media_ms: int) -> Heard:
        media_ms = min(media_ms, self.cut_at.get(name, media_ms))
        said = self.prefix(name, media_ms)
        return Heard(name, len(said), said[-1].char_end if said else 0, media_ms)

    def cut(self, media_ms: int, until_ms: int) -> list[Heard]:
        prefixes: list[Heard] = []
        for name in self.order:
            if name in self.closed and not self.waiting(name):
                continue
            first = [item.start_ms for item in self.words(name)[:1]]
            starts = [self.begun[name]] if name in self.begun else first
            if not starts or starts[0] >= until_ms:
                continue
            kept = {item.index for item in self.prefix(name, media_ms)}
            self.placed[name] = {i: w for i, w in self.placed[name].items() if i in kept}
            self.closed.add(name)
            self.cut_at[name] = min(media_ms, self.cut_at.get(name, media_ms))
            prefixes.append(self.heard(name, media_ms))
        return prefixes


NAMES = st.sampled_from(["a", "b", "c"])
TIMES = st.integers(0, 60)


class AgainstNaive(RuleBasedStateMachine):
    """The timeline does what the naive model does."""

    def __init__(self) -> None:
        super().__init__()
        self.timeline = Timeline()
        self.model = Naive()

    @rule(name=NAMES, media_ms=TIMES)
    def begin(self, name: str, media_ms: int) -> None:
        self.timeline.begin(name, media_ms)
        self.model.begin(name, media_ms)

    @rule(
        name=NAMES,
        placed=st.lists(st.tuples(st.integers(0, 6), TIMES), max_size=4),
        revision=st.integers(0, 2),
    )
    def add(self, name: str, placed: list[tuple[int, int]], revision: int) -> None:
        items = [word(index, start_ms, name) for index, start_ms in placed]
        self.timeline.add(items, revision)
        for item in items:
            self.model.add(item, revision)

    @rule(media_ms=TIMES)
    def advance(self, media_ms: int) -> None:
        assert self.timeline.advance(media_ms) == self.model.advance(media_ms)

    @rule(media_ms=TIMES, ahead_ms=TIMES)
    def cut(self, media_ms: int, ahead_ms: int) -> None:
        until_ms = media_ms + ahead_ms
        prefixes = self.timeline.cut(media_ms, until_ms)
        assert prefixes == self.model.cut(media_ms, until_ms)

    @rule(name=NAMES)
    def end(self, name: str) -> None:
        self.timeline.end(name)
        self.model.know(name)
        self.model.closed.add(name)

    @rule(name=NAMES, media_ms=TIMES)
    def heard(self, name: str, media_ms: int) -> None:
        assert self.timeline.heard(name, media_ms) == self.model.heard(name, media_ms)

    @invariant()
    def words_and_next_are_the_same(self) -> None:
        head = self.model.head()
        assert self.timeline.next_due_ms() == (head.start_ms if head else None)
        for name in ("a", "b", "c"):
            assert self.timeline.words(name) == tuple(self.model.words(name))


AgainstNaive.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
TestAgainstNaive = AgainstNaive.TestCase
