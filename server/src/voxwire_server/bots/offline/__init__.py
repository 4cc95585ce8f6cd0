"""The built-in offline bot: ears, mind and voice on one CPU, no network and no keys.

Import the submodules directly; this package imports nothing, so that the helper processes, which
start through it, stay small.
"""

__all__: list[str] = []
