"""How READMEs and errors say that something is installed: it is on no index, what it needs is."""

import re
import tomllib
from pathlib import Path

from tests.support.readmes import fences, markdown_files

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = {
    "voxwire": "clients/python",
    "voxwire-server": "server",
    "voxwire-protocol": "protocol/python",
}
BARE = re.compile(
    r"(?:pip|npm|uv|pipx) (?:install|add)[^\n`]*?[ '\"]"
    r"(?:voxwire[\w-]*|@voxwire/\w+)(?=[\[ '\"`\n]|$)"
)
NAMED = re.compile(r"(?<![\w/.@-])(voxwire(?:-server|-protocol)?)\[([\w, ]+)\]")


def extras(name: str) -> set[str]:
    """What may stand in brackets behind a package."""
    path = ROOT / PROJECTS[name] / "pyproject.toml"
    return set(tomllib.loads(path.read_text("utf-8"))["project"]["optional-dependencies"])


def test_no_document_tells_to_install_ours_from_an_index() -> None:
    assert BARE.search("pip install 'voxwire[cli]'")
    assert BARE.search("npm install @voxwire/react")
    assert not BARE.search("pip install ../../protocol/python '../../server[openai]'")
    found = [
        f"{name}: {match[0]}"
        for name in markdown_files()
        if not name.startswith("protocol/adr/")
        for match in BARE.finditer((ROOT / name).read_text("utf-8"))
    ]
    assert not found


def test_an_extra_that_is_named_is_one() -> None:
    sources = [
        path.relative_to(ROOT).as_posix()
        for folder in PROJECTS.values()
        for path in (ROOT / folder / "src").rglob("*.py")
    ]
    found = [
        (name, package, extra.strip())
        for name in [*markdown_files(), *sources]
        for package, listed in NAMED.findall((ROOT / name).read_text("utf-8"))
        for extra in listed.split(",")
    ]
    assert len(found) > 20
    known = {package: extras(package) for package in PROJECTS}
    assert not [each for each in found if each[2] not in known[each[1]]]


def test_where_ours_is_installed_it_is_said_what_an_index_is_asked_for() -> None:
    installing = {
        fence.path
        for fence in fences()
        if re.search(r"^(?:\S*pip|npm|  ?\S*pip) install .*(?:\.\./|\./)", fence.text, re.MULTILINE)
    }
    assert len(installing) >= 6
    silent = [
        name
        for name in sorted(installing)
        if not re.search(r"\bindex\b|\bregistry\b", (ROOT / name).read_text("utf-8"))
    ]
    assert not silent
