"""Scenarios of `voxwire eval` that could not fail, and bots that could not be caught."""

from pathlib import Path

import pytest
from test_eval import HEAD, written

from voxwire.cli.evals.reading import find_files, read_file
from voxwire.cli.evals.yaml_lines import ScenarioError


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (f"{HEAD}  - user: a\n    expect: []\n    expect: []", 7, "a second 'expect'"),
        ("name: a\nname: b\nturns: [{user: a}]", 2, "a second 'name'"),
        ("name: a\nturns: []", 2, "'turns' needs at least one turn"),
        ("name: a\nscenarios:\n- {name: b}\nturns: []", 4, "'turns' needs at least one turn"),
    ],
)
def test_a_scenario_that_could_not_fail_is_wrong(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ScenarioError) as caught:
        read_file(path)
    assert f"{path}:{line}: {reason}" in caught.value.reason


def test_what_is_merged_in_may_be_given_anew(tmp_path: Path) -> None:
    text = f"{HEAD}  - &first {{user: a, send_after: {{delay_ms: 5}}}}\n  - {{<<: *first, user: b}}"
    [scenario] = read_file(written(tmp_path, text))
    assert [turn.user for turn in scenario.turns] == ["a", "b"]


@pytest.mark.parametrize("key", ["turns", "persona", "scenarios"])
def test_a_folder_does_not_pass_over_a_scenario_whose_name_is_misspelt(
    tmp_path: Path, key: str
) -> None:
    path = written(tmp_path, f"nmae: f\n{key}: []")
    assert find_files([tmp_path]) == [path]
