"""What scripts/ do about Rust: pins and lock file, a machine without cargo; and what is counted."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
WORKSPACE = ROOT / "clients" / "mobile-bindings"

PRINTED = """\
test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
test one ... FAILED
test result: FAILED. 2 passed; 1 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.00s
"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A way to import a script."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module


def test_the_pins_name_no_registry_and_every_direct_version_exactly() -> None:
    pins = (WORKSPACE / "Cargo.pins").read_text()
    assert "source" not in pins
    assert "://" not in pins
    packages = re.findall(r"^name = \"(.+)\"\nversion = \"(.+)\"(\nchecksum)?", pins, re.MULTILINE)
    assert {name for name, _, checksum in packages if not checksum} == {
        *("voxwire-core", "voxwire-ffi", "voxwire-bindgen", "voxwire-client", "voxwire-media"),
        "voxwire-rs",
    }
    manifest = (WORKSPACE / "Cargo.toml").read_text()
    wanted = re.findall(r"^([\w-]+) = .*\"(=?)(\d+\.\d+\.\d+)\"", manifest, re.MULTILINE)
    wanted = [entry for entry in wanted if entry[0] not in ("version", "rust-version")]
    assert wanted
    for name, exact, version in wanted:
        assert exact, name
        assert (name, version) in {(name, version) for name, version, _ in packages}


def test_the_lock_file_is_the_pins_and_where_crates_come_from(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rust = script("rust")
    monkeypatch.setattr(rust, "LOCK", tmp_path / "Cargo.lock")
    rust.write_lock()
    lock = (tmp_path / "Cargo.lock").read_text()
    pins = rust.PINS.read_text()
    assert re.sub(r"^source = .*\n", "", lock, flags=re.MULTILINE) == pins
    assert lock.count("\nsource = ") == pins.count("\nchecksum = ") > 0


def test_what_the_test_programs_printed_is_counted(script: Any, tmp_path: Path) -> None:
    count_mobile = script("counts").count_mobile
    log = tmp_path / "log.txt"
    log.write_text(PRINTED)
    count = count_mobile(log, 101)
    assert str(count) == "6 passed, 1 failed, 3 skipped"
    assert count.failures == ["mobile: test one ... FAILED"]
    log.write_text(PRINTED.splitlines()[0])
    assert str(count_mobile(log, 0)) == "4 passed, 0 failed"
    assert str(count_mobile(log, 101)) == "4 passed, 1 failed"
    log.write_text("error: could not compile `voxwire-core`")
    assert str(count_mobile(log, 101)) == "0 passed, 1 failed"
    log.write_text("")
    assert count_mobile(log, 0).failed == 1
    log.write_text(PRINTED + "vectors: 163 passed, 2 failed\n")
    assert str(count_mobile(log, 1)) == "169 passed, 3 failed, 3 skipped"
    log.write_text("[INFO] Tests run: 10, Failures: 1, Errors: 2, Skipped: 3\n")
    assert str(count_mobile(log, 1)) == "4 passed, 3 failed, 3 skipped"


def test_without_cargo_one_line_says_so(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rust = script("rust")
    monkeypatch.setattr(rust, "cargo", lambda: None)
    monkeypatch.setattr(rust, "compiler", lambda: "")
    monkeypatch.setattr(rust.shutil, "which", lambda *_: None)
    monkeypatch.delenv("CI", raising=False)
    script("mobile").prepare()
    assert not rust.is_ready()
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("test: the mobile bindings are left out: no cargo here; install Rust")


def test_without_cargo_ci_fails(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rust = script("rust")
    monkeypatch.setattr(rust, "compiler", lambda: "")
    monkeypatch.setattr(rust.shutil, "which", lambda *_: None)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(script("steps").StepError, match="no cargo here"):
        script("mobile").prepare()


REPORT = """<testsuites><testsuite tests="3" errors="0" failures="1" skipped="1">
<testcase classname="tests.test_a" name="test_one"/>
<testcase classname="tests.test_a" name="test_two"><failure message="assert 1 == 2&#10;more">long
</failure></testcase>
<testcase classname="tests.test_a" name="test_three"><skipped message="no"/></testcase>
</testsuite></testsuites>"""


def test_what_failed_is_named(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = script("counts")
    monkeypatch.setattr(counts, "OUT", tmp_path)
    counts.report_of("part", "name").write_text(REPORT)
    count = counts.count_pytest("part", "name", 1)
    assert str(count) == "1 passed, 1 failed, 1 skipped"
    assert count.failures == ["tests.test_a::test_two: assert 1 == 2"]
    assert counts.count_pytest("part", "crashed", 139).failures == [
        "part crashed: ended with 139 and wrote no report"
    ]
