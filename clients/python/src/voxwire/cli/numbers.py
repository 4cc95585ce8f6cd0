"""Numbers of the command line."""

from argparse import ArgumentTypeError

__all__ = [
    "count",
    "milliseconds",
    "milliseconds_from_zero",
    "percent",
    "seconds",
    "seconds_from_zero",
]

MAX_S = 86_400


def seconds(value: str) -> float:
    """A time above 0, seconds."""
    found = seconds_from_zero(value)
    if not found:
        raise ArgumentTypeError(f"must be above 0 and at most {MAX_S} seconds")
    return found


def seconds_from_zero(value: str) -> float:
    """A time, seconds, which may be 0."""
    try:
        found = float(value)
    except ValueError:
        raise ArgumentTypeError(f"{value!r} is no number of seconds") from None
    if not 0 <= found <= MAX_S:
        raise ArgumentTypeError(f"must be 0 to {MAX_S} seconds")
    return found


def count(value: str) -> int:
    """1 to 10000."""
    if not value.isdecimal() or not 0 < int(value) <= 10_000:
        raise ArgumentTypeError("must be 1 to 10000")
    return int(value)


def milliseconds(value: str) -> int:
    """A time above 0, milliseconds."""
    number = int(value)
    if number <= 0:
        raise ArgumentTypeError("must be a whole number of milliseconds above 0")
    return number


def milliseconds_from_zero(value: str) -> int:
    """A time, milliseconds, which may be 0: a minute at most."""
    if not value.isdecimal() or int(value) > 60_000:
        raise ArgumentTypeError("must be 0 to 60000 milliseconds")
    return int(value)


def percent(value: str) -> float:
    """0 to 100."""
    try:
        found = float(value)
    except ValueError:
        raise ArgumentTypeError(f"{value!r} is no number") from None
    if not 0 <= found <= 100:
        raise ArgumentTypeError("must be 0 to 100")
    return found
