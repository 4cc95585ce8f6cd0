"""Rooms of Daily's: what a media path asks of one, and Daily's SDK behind it.

Importing it brings in nothing; the SDK is loaded when a call is made (extra ``daily``).
"""

from voxwire_protocol.daily.call import DailyCall, daily_ready, load_daily
from voxwire_protocol.daily.room import (
    BLOCK_MS,
    MOST_BLOCKS,
    OTHER_LEFT,
    MakeRoom,
    Room,
    RoomStats,
)

__all__ = [
    "BLOCK_MS",
    "MOST_BLOCKS",
    "OTHER_LEFT",
    "DailyCall",
    "MakeRoom",
    "Room",
    "RoomStats",
    "daily_ready",
    "load_daily",
]
