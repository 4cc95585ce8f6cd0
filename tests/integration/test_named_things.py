"""What READMEs, comments and docstrings name exists: files, sections, commands, packages."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.readmes import MARKDOWN_LINKS, anchors, fences, headings, markdown_files
from voxwire_server.config import Settings

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (".py", ".ts", ".tsx", ".mjs", ".proto", ".h")
CLONE = "../voxwire/"
"""How README.md names this clone from an app beside it."""

PROJECTS = ("protocol/python", "server", "clients/python")
NAMES_MADE_UP = ("tests/integration/test_readmes.py", "tests/integration/test_named_things.py")
EXTERNAL = {"ws", "@daily-co/daily-js"}
"""Packages of npm that a README tells one to install."""


def sources() -> Iterator[tuple[str, str]]:
    """Tracked source files with their text, without what is generated."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if name.endswith(SOURCES) and "/gen/" not in name and (ROOT / name).is_file():
            yield name, (ROOT / name).read_text("utf-8")


def texts() -> Iterator[tuple[str, str]]:
    """Markdown and sources."""
    yield from ((name, (ROOT / name).read_text("utf-8")) for name in markdown_files())
    yield from sources()


@pytest.mark.parametrize("name", markdown_files())
def test_a_link_leads_somewhere(name: str) -> None:
    for target in MARKDOWN_LINKS.findall((ROOT / name).read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), f"{name}: {target}"
        if anchor:
            assert anchor in anchors(file.read_text("utf-8")), f"{name}: {target}"


def test_a_document_that_a_comment_names_is_in_the_repository() -> None:
    known = [f"/{path}" for path in (*markdown_files(), "CHANGELOG.md")]
    lost = [
        f"{name}: {found[0]}"
        for name, text in sources()
        for found in re.finditer(r"(?<![\w/.{*])(?:[\w-]+/)*[\w-]+\.md\b|\bdesign §\S+", text)
        if not name.startswith(NAMES_MADE_UP)
        and not any(path.endswith(f"/{found[0]}") for path in known)
    ]
    assert not lost


def test_a_section_of_the_specification_that_is_named_exists() -> None:
    named = re.compile(r"(protocol/spec/[\w-]+\.md)`{0,2}((?:,\s*(?:\*|//|#)?\s*\"[^\"]+\")+)")
    found = [
        (name, path, " ".join(re.sub(r"\n\s*(?://|#|\*)*\s*", " ", section).split()))
        for name, text in texts()
        for path, sections in named.findall(text)
        for section in re.findall(r"\"([^\"]+)\"", sections)
    ]
    assert found
    lost = [
        f"{name}: {path} has no section {section!r}"
        for name, path, section in found
        if section not in headings((ROOT / path).read_text("utf-8"))
    ]
    assert not lost


@pytest.mark.parametrize("name", [name for name in markdown_files() if "README" in name])
def test_a_path_in_back_ticks_exists(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    tops = "|".join(("protocol", "server", "clients", "tests", "examples", "scripts"))
    for path in re.findall(rf"`((?:{tops})/[\w./*-]+)`", text):
        places = (ROOT, (ROOT / name).parent)
        assert any(list(place.glob(path.rstrip("/"))) for place in places), f"{name}: {path}"


def commands(program: str) -> Iterator[tuple[str, list[str]]]:
    """Every use of a program in a shell fence or in back-ticks of the Markdown files."""
    shell = [(f.path, f.text) for f in fences() if f.language == "sh"]
    inline = [
        (name, code)
        for name in markdown_files()
        for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", (ROOT / name).read_text("utf-8"))
    ]
    for name, text in shell + inline:
        for line in text.replace("\\\n", " ").splitlines():
            line = line.partition("  #")[0].removeprefix(".venv/bin/")
            if re.match(rf"(?:[A-Z_]+=\S+ )*{program}(?: |$)", line):
                words = shlex.split(line)
                while re.match(r"[A-Z_]+=", words[0]):
                    words.pop(0)
                yield name, words


def test_pip_is_told_to_install_only_what_exists() -> None:
    found = list(commands("pip install"))
    assert found
    for name, words in found:
        for argument in words[2:]:
            path, _, extras = argument.rstrip("]").partition("[")
            project = project_of(name, path)
            have = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
            wanted = {extra for extra in extras.split(",") if extra}
            assert wanted <= set(have["optional-dependencies"]), f"{name}: {argument}"


def project_of(name: str, path: str) -> Path:
    """The project behind a path on pip's command line: its folder, or its wheel in dist/."""
    if path.startswith(f"{CLONE}dist/"):
        distribution, version, *_ = Path(path).name.split("-")
        for project in PROJECTS:
            have = tomllib.loads((ROOT / project / "pyproject.toml").read_text("utf-8"))["project"]
            if have["name"].replace("-", "_") == distribution and have["version"] == version:
                return ROOT / project
    folder = (ROOT / name).parent / path
    assert (folder / "pyproject.toml").is_file(), f"{name}: pip has no {path}"
    return folder


def test_npm_is_told_to_install_only_what_exists() -> None:
    packages = [json.loads(p.read_text()) for p in ROOT.glob("clients/js/packages/*/package.json")]
    tarballs = {
        f"{CLONE}dist/{p['name'][1:].replace('/', '-')}-{p['version']}.tgz" for p in packages
    }
    found = [words[2:] for _, words in commands("npm install")]
    assert tarballs in [set(words) for words in found]
    near = {name.replace(CLONE, "../../") for name in tarballs}  # for an example's folder
    assert {word for words in found for word in words} <= tarballs | near | EXTERNAL


def test_make_and_npm_are_told_to_run_only_what_there_is() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for name, words in commands("make"):
        named = [word for word in words[1:] if "=" not in word]
        assert set(named[:1]) <= targets, f"{name}: {words}"
    scripts = {
        (package["name"], script)
        for path in json.loads((ROOT / "package.json").read_text("utf-8"))["workspaces"]
        for package in [json.loads((ROOT / path / "package.json").read_text("utf-8"))]
        for script in package.get("scripts", {})
    }
    for name, words in commands("npm run"):
        if "-w" in words:
            assert (words[words.index("-w") + 1], words[2]) in scripts, f"{name}: {words}"
        else:
            package = json.loads((ROOT / name).with_name("package.json").read_text("utf-8"))
            assert words[2] in package["scripts"], f"{name}: {words}"


@pytest.mark.parametrize("program", ["voxwire talk", "voxwire-server run"])
def test_a_command_of_ours_is_shown_with_flags_that_it_has(program: str) -> None:
    command, verb = program.split()
    path = Path(sys.executable).with_name(command)
    usage = subprocess.run(
        [path, verb, "--help"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    known = set(re.findall(r"--[a-z-]+", usage))
    found = list(commands(program))
    assert found
    for name, words in found:
        assert {word for word in words if word.startswith("--")} <= known, f"{name}: {words}"


def test_a_setting_is_shown_with_the_default_that_it_has() -> None:
    rows = re.findall(
        r"^\| (`VOXWIRE_[^|]+) \| ([^|]+) \|", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert rows
    for names, defaults in rows:
        variables = re.findall(r"VOXWIRE_\w+", names)
        shown = defaults.split(", ") if len(variables) > 1 else [defaults]
        assert len(shown) == len(variables), names
        for variable, default in zip(variables, shown, strict=True):
            field = Settings.model_fields[variable.removeprefix("VOXWIRE_").lower()]
            if default.strip().startswith("`"):
                assert str(field.default) == default.strip().strip("`"), variable
            else:
                assert field.default in ("", "[]", None, 0), f"{variable}: {default}"


@pytest.mark.parametrize("name", markdown_files())
def test_a_variable_that_is_named_is_read_somewhere(name: str) -> None:
    code = "".join(text for _, text in sources())
    settings = {f"VOXWIRE_{field.upper()}" for field in Settings.model_fields}
    for variable in set(re.findall(r"VOXWIRE_[A-Z_]+", (ROOT / name).read_text("utf-8"))):
        assert variable in settings or variable in code, f"{name}: {variable}"
