"""The built-in offline bot: ears, mind and voice on one CPU, no network and no keys.

Import the submodules directly; this package imports nothing, so that the espeak-ng helper
process, which starts through it, stays small.
"""

__all__: list[str] = []
