"""Generated from protocol/proto by make gen."""
