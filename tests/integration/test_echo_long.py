"""Echo cancellation in every room, at every delay, with and without drift; the short form is
test_echo.py. Each figure goes to out/echo.txt.
"""

from pathlib import Path

import numpy as np
import pytest

from tests.support.double_talk import bot_speech, speak_over, user_phrases
from tests.support.room import ROOMS, Rig, music
from voxwire._live.echo import EchoCanceller, NoFilter

LENGTH_S = 12
CONVERGED_S = 6
PLACES = ((20, 200), (80, 0), (80, 200), (150, 200), (300, 200))
"""Delay, ms, and drift, parts per million."""

OUT = Path(__file__).resolve().parents[2] / "out" / "echo.txt"


def note(line: str) -> None:
    OUT.parent.mkdir(exist_ok=True)
    with OUT.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


@pytest.mark.parametrize("far", ["speech", "music"])
@pytest.mark.parametrize("room", ROOMS)
async def test_echo_is_20_db_quieter(far: str, room: str) -> None:
    sound = await bot_speech(LENGTH_S) if far == "speech" else music(LENGTH_S)
    found: dict[tuple[int, int], float] = {}
    for delay_ms, drift_ppm in PLACES:
        rig = Rig(EchoCanceller(), ROOMS[room], delay_ms, drift_ppm)
        rig.run(sound)
        found[delay_ms, drift_ppm] = rig.echo_loss_db(CONVERGED_S)
    note(f"{far}, {room}: " + ", ".join(f"{at}: {db:.1f} dB" for at, db in found.items()))
    assert min(found.values()) >= 20, found


async def test_echo_is_20_db_quieter_on_devices_at_48_khz() -> None:
    rig = Rig(EchoCanceller(), ROOMS["living room"], 150, drift_ppm=200, device_rate=48_000)
    rig.run(await bot_speech(LENGTH_S))
    loss_db = rig.echo_loss_db(CONVERGED_S)
    note(f"speech, living room, 48 kHz: {loss_db:.1f} dB")
    assert loss_db >= 20


@pytest.mark.parametrize("far", ["speech", "music"])
async def test_a_user_who_speaks_over_the_bot_is_understood_nine_words_of_ten(far: str) -> None:
    """He is 6 dB louder than the bot at the microphone, and the devices drift."""
    phrases = await user_phrases(20)
    sound = await bot_speech(40) if far == "speech" else music(40)

    def words(room: str, delay_ms: float) -> int:
        rig = Rig(EchoCanceller(), ROOMS[room], delay_ms, 200)
        return speak_over(rig, sound, phrases, above_db=6).recognised()

    quiet = Rig(NoFilter(), ROOMS["desk"], 80)
    clean = speak_over(quiet, np.zeros_like(sound), phrases).recognised()
    found = {room: words(room, 80) for room in ROOMS}
    found["living room, 300 ms"] = words("living room", 300)
    note(f"double talk, {far}: clean {clean}; {found}")
    assert min(found.values()) >= 0.9 * clean, found
