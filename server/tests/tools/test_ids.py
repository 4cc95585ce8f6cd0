"""Every tool call has one id that no other call of the session has."""

from hypothesis import given, settings
from hypothesis import strategies as st

from voxwire_server.tools.ids import CallIds

MODEL_IDS = st.sampled_from(["", "a", "a~2", "a~2~2", "b", "\ud800", "\udc00"])
STEPS = st.tuples(st.sampled_from(["called", "run", "end", "elsewhere"]), MODEL_IDS)


def test_both_who_tell_of_a_call_get_one_id_in_either_order() -> None:
    ids = CallIds()
    assert ids.called("a", "show") == ids.run("a", "show") == "a"
    assert ids.run("b", "show") == ids.called("b", "show") == "b"


def test_an_id_that_the_model_uses_again_is_another_call() -> None:
    ids = CallIds()
    names: list[str] = []
    for _ in range(4):
        names.append(ids.called("a", "show"))
        ids.ended(ids.run("a", "show"))
    assert names == ["a", "a~2", "a~3", "a~4"]


def test_two_calls_at_once_under_one_id_of_the_model_s_are_two() -> None:
    ids = CallIds()
    called = [ids.called("a", "show"), ids.called("a", "show")]
    assert called == ["a", "a~2"]
    assert [ids.run("a", "show"), ids.run("a", "show")] == called
    assert ids.run("a", "show") == "a~3"


def test_two_tools_under_one_id_are_two_calls() -> None:
    ids = CallIds()
    show, hide = ids.called("a", "show"), ids.called("a", "hide")
    assert show != hide
    assert (ids.run("a", "hide"), ids.run("a", "show")) == (hide, show)


def test_an_id_that_looks_like_one_of_ours_is_not_given_twice() -> None:
    ids = CallIds()
    assert [ids.called(name, "t") for name in ("a~2", "a", "a", "a~2")] == [
        "a~2",
        "a",
        "a~3",
        "a~2~2",
    ]


def test_what_runs_here_does_not_end_by_the_pipeline_s_word() -> None:
    ids = CallIds()
    ours, theirs = ids.called("a", "show"), ids.called("b", "search")
    ids.run("a", "show")
    assert ids.elsewhere("a", "show") is None
    assert ids.elsewhere("b", "search") == theirs
    ids.ended(theirs)
    ids.ended(theirs)
    assert ids.elsewhere("b", "search") is None
    assert ours == "a"


def test_ids_of_long_ago_are_forgotten_but_never_while_their_call_is_open() -> None:
    ids = CallIds()
    held = ids.called("held", "t")
    for number in range(5_000):
        ids.ended(ids.called(str(number), "t"))
    assert len(ids._given) <= 1024
    assert ids.called("held", "t") != held
    assert ids.called("4999", "t") == "4999~2"


@given(st.lists(STEPS, max_size=60))
@settings(max_examples=200, deadline=None)
def test_whatever_happens_ids_are_new_and_fit_for_the_wire(steps: list[tuple[str, str]]) -> None:
    ids = CallIds()
    made: set[str] = set()
    open_ids: list[str] = []
    for verb, model_id in steps:
        if verb in ("called", "run"):
            call_id = ids.called(model_id, "t") if verb == "called" else ids.run(model_id, "t")
            call_id.encode()
            if call_id not in open_ids:
                assert call_id not in made
                made.add(call_id)
                open_ids.append(call_id)
        elif verb == "end" and open_ids:
            ids.ended(open_ids.pop(0))
        else:
            found = ids.elsewhere(model_id, "t")
            assert found is None or found in open_ids
