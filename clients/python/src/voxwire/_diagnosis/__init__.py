"""The checks of `voxwire.diagnose`, each a module, and what their outcomes mean together."""
