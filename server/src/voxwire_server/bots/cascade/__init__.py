"""Bots whose ears, mind and voice are providers named by settings.

``Cascade`` is what the built-in bots ``cascade`` and ``local`` are made of, and what a bot of one's
own can be made of: :meth:`Cascade.services` are its three parts.
"""

from voxwire_server.bots.cascade.cascade import Cascade

__all__ = ["Cascade"]
