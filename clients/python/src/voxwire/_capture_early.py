"""What runs from `connect` on, before there is a session: the devices, and a live microphone."""

import asyncio

from voxwire._live.audio import LiveAudio
from voxwire._user import UserAudio

__all__ = ["EarlyCapture"]


class EarlyCapture:
    """Runs them, so that the user's first words are kept. Ends with `stop`.

    Attributes:
        user: The user's side of the session.
        tasks: What runs; a session that begins waits for them, too.
    """

    def __init__(self, user: UserAudio, live: LiveAudio) -> None:
        """Takes what is to run; nothing does yet."""
        self.user = user
        self.tasks: list[asyncio.Task[None]] = []
        self._live = live
        self._devices = live.active
        self._microphone = user.live

    def start(self) -> None:
        """Starts what does not wait for the session."""
        if self._devices:
            self.tasks.append(asyncio.create_task(self._live.run(), name="voxwire-devices"))
        if self._microphone:
            self.tasks.append(asyncio.create_task(self.user.run(), name="voxwire-microphone"))

    def rest(self, group: asyncio.TaskGroup) -> None:
        """The session is up: starts the rest."""
        if not self._microphone:
            group.create_task(self.user.run())
        if not self._devices:
            group.create_task(self._live.run())

    async def stop(self, why: str = "the session did not begin") -> None:
        """Ends them; what is kept of the user is dropped, and the log says so."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.user.say_dropped(why)
