"""Several services for one part of a bot: where one fails, or is silent, the next goes on.

``HearingRelay``, ``MindRelay`` and ``VoiceRelay`` stand where a Pipecat service would. Each has
unmodified services behind it, asks them in order, and lets nothing of one out that has failed.
Bounds are those of ``deadlines`` (``protocol/adr/0050-cascades.md``).
"""

from voxwire_server.pipeline.failover.candidates import Candidate
from voxwire_server.pipeline.failover.deadlines import Deadlines
from voxwire_server.pipeline.failover.hearing import HearingRelay
from voxwire_server.pipeline.failover.mind import MindRelay
from voxwire_server.pipeline.failover.relay import Relay
from voxwire_server.pipeline.failover.voice import VoiceRelay

__all__ = ["Candidate", "Deadlines", "HearingRelay", "MindRelay", "Relay", "VoiceRelay"]
