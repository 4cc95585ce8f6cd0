"""Talk to a bot of Pipecat's own runner, with the API of every other session.

::

    async with voxwire.connect("http://localhost:7860", peer=PipecatBot()) as session:
        ...

What such a bot cannot do is not in `Session.features`: protocol/spec/rtvi.md.
"""

from voxwire.rtvi._bot import PipecatBot

__all__ = ["PipecatBot"]
