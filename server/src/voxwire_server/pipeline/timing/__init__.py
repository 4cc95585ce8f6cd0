"""When each word of a voice is spoken, found in its sound."""
