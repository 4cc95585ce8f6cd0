"""examples/voice_test.py: against the offline bot, which it starts, and against what was recorded.

The second run has no server: the recordings answer as the bot did.
"""

import resource
import shutil
import socket
from pathlib import Path
from xml.etree import ElementTree

import pytest

import voxwire
from tests.support.programs import run
from voxwire.testing.voice.bot_files import BotFiles

ROOT = Path(__file__).resolve().parents[2]
TESTS = {
    "test_it_knows_the_weather",
    "test_it_understands_a_recording",
    "test_it_is_silent_once_it_is_interrupted",
    "test_what_is_typed_cuts_it_off",
}
PATIENT = ("-o", "voxwire_within_ms=60000")


async def passes(folder: Path, *arguments: str) -> float:
    """Runs the example; the time of the processor that it took, seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    command = ("python", "-m", "pytest", "-pno:cacheprovider", "--junitxml=junit.xml", *arguments)
    ended = await run((*command, "voice_test.py"), folder)
    assert ended.status == 0, ended.out
    cases = ElementTree.parse(folder / "junit.xml").getroot().iter("testcase")
    assert {case.attrib["name"] for case in cases} == TESTS
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


async def test_the_example_passes_against_the_bot_and_against_its_recordings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("voice_test.py", "question.wav"):
        shutil.copy(ROOT / "examples" / name, tmp_path)
    live_s = await passes(tmp_path, *PATIENT, "--voxwire-record=tapes")
    assert len([*(tmp_path / "tapes").iterdir()]) == len(TESTS)
    again_s = await passes(tmp_path, *PATIENT, "--voxwire-replay=tapes")
    with capsys.disabled():
        print(f"\nexamples/voice_test.py: {live_s:.1f} s of a processor, {again_s:.1f} s again")
    assert again_s < live_s  # real time: processor


def test_a_bots_file_is_served_once_and_what_it_lacks_is_said(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("async def bot(session):\n    pass\n", "utf-8")
    (tmp_path / "bad.py").write_text("import nothing_like_that\n", "utf-8")
    files = BotFiles()
    try:
        url = files.url_of(str(tmp_path / "good.py"))
        assert files.url_of(str(tmp_path / "good.py")) == url
        with pytest.raises(voxwire.TransportError, match="nothing_like_that"):
            files.url_of(str(tmp_path / "bad.py"))
    finally:
        files.close()
    port = int(url.rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
