"""Puts a mixin over an instance of a service, of whatever subclass, where it stands."""

from typing import Any, TypeVar, cast

__all__ = ["adopt_as"]

T = TypeVar("T")


def adopt_as(service: Any, steady: type[T], plain: type[Any]) -> T:
    """Make ``service`` an instance of ``steady``, too.

    Args:
        service: An instance of ``plain`` or of a subclass.
        steady: A subclass of ``plain`` without a constructor of its own.
        plain: The service's class in Pipecat.

    Returns:
        The same instance.
    """
    kind = type(service)
    if not isinstance(service, steady):
        service.__class__ = steady if kind is plain else type(kind.__name__, (steady, kind), {})
    return cast(T, service)
