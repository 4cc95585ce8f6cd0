"""Every example is run by a test, and stands in the table of examples."""

from tests.integration.test_example_bots import CLIENTS, EXAMPLES, KEYS
from tests.support.readmes import MARKDOWN_LINKS

PROGRAMS = {path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.py")}
ELSEWHERE = {
    "echo/bot.py",  # in the same file
    "order/bot.py",  # test_replicas.py
    "from-pipecat/bot.py",  # tests/interop/test_from_pipecat.py
    "fastapi/main.py",  # tests/integration/test_embedding.py
    "fastapi/task.py",
    "oidc/oidc.py",  # tests/integration/test_oidc.py
}


def test_every_example_is_started() -> None:
    of_the_client = {  # test_python_examples.py and test_voice_example.py
        name for name in PROGRAMS if "/" not in name
    }
    bots = {f"{name}/bot.py" for name in KEYS}
    assert {*CLIENTS, *ELSEWHERE, *of_the_client, *bots} == PROGRAMS


def test_the_table_of_examples_has_them_all() -> None:
    table = (EXAMPLES / "README.md").read_text("utf-8")
    linked = {target.removesuffix("/README.md") for target in MARKDOWN_LINKS.findall(table)}
    explained = {
        path.parent.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("README.md")
    } - {"."}
    assert linked == {
        *explained,
        *(path for path in PROGRAMS if path.split("/")[0] not in explained),
    }
