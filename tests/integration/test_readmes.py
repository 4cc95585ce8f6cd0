"""Every fence of a README says what it is, and that is true."""

import pytest

from tests.support.readmes import Fence, fences, has_fragment, read_fences, trouble_of

PAGE = """\
# Title

## First

<!-- program -->
```python
print(1)
```

1. A list

   <!-- fragment of tests/integration/test_readmes.py -->
   ```python
   def made_up() -> int:
       return 1
   ```

## Second

```sh
make run
```
"""


def made_up() -> int:
    return 1


@pytest.mark.parametrize("fence", fences(), ids=lambda fence: f"{fence.path}:{fence.line}")
def test_a_fence_is_marked_and_the_mark_is_true(fence: Fence) -> None:
    assert trouble_of(fence) == "", f"{fence.path}:{fence.line}"


def test_the_scanner_finds_fences_with_their_marks_and_headings() -> None:
    found = read_fences(PAGE, "x/README.md")
    assert [(f.heading, f.language, f.kind, f.of, f.runner) for f in found] == [
        ("First", "python", "program", "", ""),
        ("First", "python", "fragment", "tests/integration/test_readmes.py", None),
        ("Second", "sh", "", "", None),
    ]
    assert found[1].text == "def made_up() -> int:\n    return 1\n"
    assert found[0].line == 6


def test_an_unmarked_fence_fails() -> None:
    *marked, unmarked = read_fences(PAGE, "x/README.md")
    assert [trouble_of(fence) for fence in marked] == ["", ""]
    assert "no mark" in trouble_of(unmarked)


@pytest.mark.parametrize(
    ("comment", "trouble"),
    [
        ("<!-- a remark -->", "no mark"),
        ("<!-- programme -->", "no mark"),
        ("<!-- program in Deno -->", "nothing runs"),
        ("<!-- program of tests/integration/test_nowhere.py -->", "there is no test"),
        ("<!-- program of tests/integration/test_words.py -->", "does not read"),
        ("<!-- fragment of README.md -->", "no example and no test"),
        ("<!-- fragment of examples/nowhere.py -->", "no example and no test"),
        ("<!-- fragment of examples/echo/bot.py -->", "no such lines"),
        ("<!-- not here: -->", "why not?"),
        ("<!-- not here -->", "why not?"),
    ],
)
def test_a_mark_that_is_not_true_fails(comment: str, trouble: str) -> None:
    [fence] = read_fences(f"{comment}\n```python\nprint(1)\nprint(2)\n```\n", "x/README.md")
    assert trouble in trouble_of(fence)


def test_a_fragment_that_differs_by_a_character_fails() -> None:
    [_, fence, _] = read_fences(PAGE, "x/README.md")
    text = "x = 0\n\nclass X:\n    def made_up() -> int:\n        return 1\n"
    assert has_fragment(text, fence.text)
    for at, character in enumerate(fence.text.rstrip("\n")):
        other = fence.text[:at] + ("\n" if character != "\n" else " ") + fence.text[at + 1 :]
        assert not has_fragment(text, other), other
    assert has_fragment("run([a, b, c], on=x)\n", "[a, b, c]\n")
    assert not has_fragment("run([a, b, d], on=x)\n", "[a, b, c]\n")
