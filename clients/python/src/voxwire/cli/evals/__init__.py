"""Pipecat's evaluation scenarios, held against a bot through this client: ``voxwire eval``.

The format is that of ``pipecat/evals`` (pipecat-ai 1.14.0): what it means there it means here, and
what cannot be had here is said, never skipped (``docs/eval.md``).
"""
