"""The test that clients/python/README.md shows runs as it is written, in a moment."""

import re
import time
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_test_of_the_readme_passes_in_a_moment() -> None:
    section = README.read_text("utf-8").partition("## Testing your program")[2]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    scope: dict[str, object] = {}
    exec(compile(found[1], str(README), "exec"), scope)
    tests = [value for name, value in scope.items() if name.startswith("test_")]
    assert len(tests) == 1
    began = time.process_time()
    tests[0]()  # type: ignore[operator]
    assert time.process_time() - began < 1
