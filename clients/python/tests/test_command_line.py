"""The command line where it makes no sense, and what it prints then."""

import shutil
import subprocess
from pathlib import Path

import pytest

from voxwire.cli import main
from voxwire.cli.arguments import parsers


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """The exit code of a command that prints nothing, and what stands on stderr."""
    try:
        code = main(list(arguments))
    except SystemExit as end:  # of argparse
        code = int(end.code or 0)
    out, err = capsys.readouterr()
    assert out == ""
    return code, err


def test_what_cannot_be_written_is_said_before_anybody_is_called(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    nowhere = str(tmp_path / "no" / "file")
    for arguments in (
        ("load", "ws://127.0.0.1:1", "--chart", nowhere),
        ("say", "ws://127.0.0.1:1", "hello", "--record", nowhere),
        ("talk", "ws://127.0.0.1:1", "--text", "hello", "--events", nowhere),
    ):
        code, err = failed(capsys, *arguments)
        assert code == 6
        assert err == f"voxwire: DEVICE: cannot write {nowhere}: No such file or directory\n"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("load", "ws://h", "--record", "a.wav"), 2, "unrecognized arguments: --record"),
        (("load", "ws://h", "-n", "0"), 2, "must be 1 to 10000"),
        (("load", "ws://h", "-n", "many"), 2, "must be 1 to 10000"),
        (("load", "ws://h", "--duration", "nan"), 2, "must be 0 to 86400 seconds"),
        (("talk", "ws://h", "--resume-timeout", "-1"), 2, "must be 0 to 86400 seconds"),
        (("say", "ws://h", "hi", "--timeout", "0"), 2, "must be above 0"),
        (("say", "ws://h", "hi", "--timeout", "soon"), 2, "'soon' is no number of seconds"),
        (("say", "ws://h", " "), 2, "there is nothing to say"),
        (("say", "ws://h", "qestion.wav"), 6, "there is no file qestion.wav"),
        (("say", "ws://a..b", "hi"), 2, "the URL must look like"),
        (("events", "ws://user:CANARY@h"), 2, "without a user name"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, says: str
) -> None:
    found, err = failed(capsys, *arguments)
    assert found == code
    assert says in err.splitlines()[-1]
    assert "CANARY" not in err and "Traceback" not in err


def test_a_command_that_breaks_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, code, says in (
        (LookupError("what"), 1, "voxwire: INTERNAL: LookupError: what\n"),
        (KeyboardInterrupt(), 130, ""),
        (RuntimeError("two\nlines"), 1, "voxwire: INTERNAL: RuntimeError: two lines\n"),
    ):

        def breaks(*_: object, error: BaseException = error, **__: object) -> str:
            raise error

        monkeypatch.setattr("voxwire.cli.completion", breaks)
        assert failed(capsys, "completion", "bash") == (code, says)


def test_every_help_says_what_its_options_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXWIRE_TOKEN", "CANARY")
    for name in parsers():
        with pytest.raises(SystemExit):
            main([name, "--help"])
        out, err = capsys.readouterr()
        assert out.startswith(f"usage: voxwire {name}") and err == ""
        assert "\x1b" not in out and "CANARY" not in out


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("columns", ["30", "200"])
def test_a_shell_completes_every_option_by_every_long_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["completion", "bash"]) == 0
    script, _ = capsys.readouterr()
    typed = {
        "ta": ["talk"],
        "load --se": ["--sessions"],
        "load --rec": [],
        "talk --r": ["--record", "--resume-timeout"],
        "eval --verb": ["--verbose"],
        "doctor --h": ["--help"],
        "completion z": ["zsh"],
    }
    asked = "".join(
        f"COMP_WORDS=(voxwire {line}) COMP_CWORD={len(line.split())}; _voxwire;"
        ' echo "${COMPREPLY[@]}"\n'
        for line in typed
    )
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{asked}"], capture_output=True, text=True, check=True, timeout=30
    )
    assert [line.split() for line in done.stdout.splitlines()] == list(typed.values())
