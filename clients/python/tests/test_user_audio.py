"""What is kept of the user goes to the path that takes over, whatever the one before still does."""

import numpy as np

from voxwire._user import UserAudio
from voxwire_protocol import wire

BLOCK = 320


class Counting:
    """A microphone whose samples say their own number."""

    def __init__(self) -> None:
        self._next = 0

    async def run(self) -> None:
        return

    def read(self, num_samples: int) -> np.ndarray:
        first, self._next = self._next, self._next + num_samples
        return np.arange(first, self._next).astype(np.int16)


async def test_what_waits_outlives_the_path_that_is_given_up() -> None:
    user = UserAudio(Counting())
    before = user.carried(lambda _: True)
    before.__enter__()
    for _ in range(10):
        user.read(BLOCK)
    heard_so_far = 4 * BLOCK
    resent = user.resume(wire.PathReady(path_id=2, capture_index=heard_so_far))
    before.__exit__(None, None, None)  # it ends when the next one is in use already
    assert resent.resent_ms == 6 * 20
    pieces = user.take_kept()
    assert pieces[0].index == heard_so_far
    pcm = b"".join(piece.pcm for piece in pieces)
    assert np.frombuffer(pcm, "<i2").tolist() == list(range(heard_so_far, 10 * BLOCK))
