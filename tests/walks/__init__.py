"""How many files of the server one thing passes on its way: traced, not read."""
