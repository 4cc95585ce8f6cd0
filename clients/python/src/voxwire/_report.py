"""Everything that a bug report about a session needs, without content and secrets."""

import platform
from typing import Any

from voxwire._options import Options
from voxwire._runtime import Runtime
from voxwire._version import library_version
from voxwire_protocol.event_codec import to_dict

__all__ = ["report_of"]


def report_of(runtime: Runtime, options: Options) -> dict[str, Any]:
    """A dict of what JSON can hold: how the session was opened, how it is, what happened to it."""
    inbox, latency = runtime.inbox, runtime.latency.latency
    opened, player = runtime.opened, runtime.player
    failure = runtime.failure
    return {
        "library": f"voxwire-python {library_version()}",
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "options": {
            "transport": options.transport,
            "codec": options.codec,
            "resume": options.resume,
            "ice_policy": options.ice_policy,
            "tools": [tool.name for tool in options.tools],
        },
        "session": {
            "id": inbox.welcome.session_id,
            "bot": inbox.welcome.bot,
            "server": inbox.welcome.server,
            "epoch": inbox.welcome.epoch,
            "connection": inbox.connection.value,
            "status": runtime.status.value,
            "features": sorted(feature.value for feature in runtime.features),
            "path": None if opened is None else opened.path_id,
            "failure": None if failure is None else {"code": failure.code.name.lower()},
        },
        "media": {
            "codec": None if opened is None else opened.path.codec,
            "codec_reason": None if opened is None else opened.path.codec_reason,
            "position_ms": runtime.player.position_ms if runtime.player else 0,
            "buffered_ms": 0 if player is None else player.buffer.buffered_ms,
            "concealed_ms": 0 if player is None else player.buffer.concealed_ms,
            "user_lost_ms": runtime.user.lost_ms,
            "user_muted": runtime.user.muted,
        },
        "round_trip_us": runtime.clock.rtt_us,
        "quality": to_dict(runtime.meter.quality),
        "latency": {
            "turns": latency.turns,
            "p50_ms": latency.p50_ms,
            "p95_ms": latency.p95_ms,
            "max_ms": latency.max_ms,
        },
        "skipped": runtime.log.conversation.skipped,
        "journal": runtime.journal.entries,
    }
