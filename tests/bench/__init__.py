"""`make bench`: our figures beside stock Pipecat's, measured in the same run."""
