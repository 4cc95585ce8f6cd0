package voxwire

/** The name of a code as TypeScript has it: `invalid_argument`. */
public val ErrorCode.wireName: String
    get() = name.lowercase()

/**
 * What a verb refuses; nothing changed.
 *
 * `INTERNAL` is a defect of the library, or a number beyond its range: the object at fault stays
 * unusable, and every later verb of it fails so, too. Close it.
 *
 * @property code What is wrong.
 * @property reason One sentence for a developer; never echoes what was given.
 * @property seq Number of the message at fault; 0 = unknown or not numbered.
 */
public class VoxwireError internal constructor(
    public val code: ErrorCode,
    public val reason: String,
    public val seq: ULong,
    cause: Throwable?,
) : RuntimeException("$reason (${code.wireName})", cause)

/** Runs a verb; what it throws is a [VoxwireError]. */
internal inline fun <T> verb(run: () -> T): T =
    try {
        run()
    } catch (error: VoxwireException.Refused) {
        throw VoxwireError(error.code, error.reason, error.seq, error)
    } catch (error: InternalException) {
        val reason = "a defect of the library, or a number beyond its range"
        throw VoxwireError(ErrorCode.INTERNAL, reason, 0u, error)
    }
