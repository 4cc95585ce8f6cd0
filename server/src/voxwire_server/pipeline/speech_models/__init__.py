"""Speech-to-speech models: what Voxwire adds to Pipecat's services."""
