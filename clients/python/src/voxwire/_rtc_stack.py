"""The WebRTC stack, which takes half a second to import: in a thread, before it is needed."""

from voxwire._threads import in_thread, leave_to_thread
from voxwire_protocol.errors import ErrorCode, UsageError

__all__ = ["begin_to_load", "load"]

_loaded = False


def _load() -> None:
    global _loaded
    import voxwire_protocol.rtc  # noqa: F401 # pyright: ignore[reportUnusedImport]

    _loaded = True


async def load() -> None:
    """Imports it. The event loop goes on meanwhile; cancel-safe.

    Raises:
        UsageError: MISSING_EXTRA: it is not installed, or not wholly.
    """
    if _loaded:
        return
    try:
        await in_thread(_load, name="voxwire-import")
    except ImportError as error:
        reason = f"WebRTC cannot be loaded ({error}): pip install 'voxwire[webrtc]'"
        raise UsageError(ErrorCode.MISSING_EXTRA, reason) from error


def begin_to_load() -> None:
    """Imports it beside what the caller does next; what is wrong with it `load` says."""

    def try_to_load() -> None:
        try:
            _load()
        except ImportError:
            return

    if not _loaded:
        leave_to_thread(try_to_load)
