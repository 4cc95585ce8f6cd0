"""``/``: the console and what stands there without it."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from voxwire_server.routes.console import CONTENT_SECURITY_POLICY, console_routes


@pytest.fixture
def built(tmp_path: Path) -> TestClient:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>console</title>")
    (tmp_path / "theme.js").write_text("// theme")
    (tmp_path / "assets/index-abc123.js").write_text("export {};")
    (tmp_path / "assets/playout.worklet-abc123.js").write_text("export {};")
    return TestClient(Starlette(routes=console_routes(tmp_path)))


def test_the_page_is_never_kept_and_allows_nothing_foreign(built: TestClient) -> None:
    answer = built.get("/")
    assert answer.status_code == 200 and "console" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    directives = [part.split() for part in CONTENT_SECURITY_POLICY.split(";")]
    assert ["default-src", "'self'"] in directives and ["script-src", "'self'"] in directives
    assert "unsafe" not in CONTENT_SECURITY_POLICY and "data:" not in CONTENT_SECURITY_POLICY


@pytest.mark.parametrize("name", ["index-abc123.js", "playout.worklet-abc123.js"])
def test_what_has_a_hash_in_its_name_is_kept_for_ever(built: TestClient, name: str) -> None:
    answer = built.get(f"/assets/{name}")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_other_files_are_asked_for_again(built: TestClient) -> None:
    first = built.get("/theme.js")
    assert first.headers["cache-control"] == "no-cache"
    assert built.head("/theme.js").status_code == 200


@pytest.mark.parametrize(
    "path", ["/index.html", "/assets/", "/../app.py", "/%2e%2e/app.py", "/assets/..%2findex.html"]
)
def test_nothing_else_can_be_asked_for(built: TestClient, path: str) -> None:
    assert built.get(path, follow_redirects=False).status_code == 404
    assert "console" not in built.get(path).text


def test_without_a_built_console_the_page_says_what_to_install(tmp_path: Path) -> None:
    client = TestClient(Starlette(routes=console_routes(tmp_path / "missing")))
    answer = client.get("/", headers={"host": "127.0.0.1:7861<script>"})
    assert answer.status_code == 200
    assert "Node 20" in answer.text and "make build" in answer.text
    assert "voxwire talk ws://127.0.0.1:7861script" in answer.text
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
