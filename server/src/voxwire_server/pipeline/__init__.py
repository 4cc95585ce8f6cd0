"""A Pipecat pipeline on a session: the transport, its observer, words, VAD."""
