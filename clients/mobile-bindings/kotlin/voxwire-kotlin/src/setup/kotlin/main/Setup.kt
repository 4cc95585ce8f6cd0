// Next to nothing: `make test` builds and tests it once, so that Maven has what the real build needs.
internal fun nothing() = Unit
