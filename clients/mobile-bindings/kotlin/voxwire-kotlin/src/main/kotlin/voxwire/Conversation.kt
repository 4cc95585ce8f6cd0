package voxwire

/**
 * The turn log of one session: who said what, what of it was heard, which tools ran. Verbs return
 * whether they changed something. Any thread may call it.
 */
public class Conversation : AutoCloseable {
    private val inner = verb { NativeConversation() }

    /** The turns, oldest first; at most 500. */
    public val turns: List<LoggedTurn>
        get() = verb { inner.turns() }

    /** Number of times that messages were lost and a snapshot took their place. */
    public val skipped: UInt
        get() = verb { inner.skipped() }

    /**
     * Takes an envelope of the server; what says nothing of the conversation changes nothing.
     *
     * @throws VoxwireError `INVALID_ARGUMENT` for bytes that are no envelope.
     */
    public fun apply(envelope: ByteArray): Boolean = verb { inner.apply(direct(envelope)) }

    /**
     * What a snapshot (`Snapshot`, bytes) says takes the place of every turn.
     *
     * @throws VoxwireError `INVALID_ARGUMENT` for bytes that are no such message.
     */
    public fun restore(snapshot: ByteArray): Unit = verb { inner.restore(direct(snapshot)) }

    /** This client's speaker reached a word. */
    public fun wordHeard(utteranceId: String, index: UInt): Boolean =
        verb { inner.wordHeard(utteranceId, index) }

    /** This client was asked to run a call; the server may announce it before or after. */
    public fun ownCall(callId: String): Boolean = verb { inner.ownCall(callId) }

    /** What this client says about a call that it runs. */
    public fun ownProgress(callId: String, message: String): Boolean =
        verb { inner.ownProgress(callId, message) }

    /** The session is over: nothing is left open. */
    public fun over(): Boolean = verb { inner.over() }

    override fun close(): Unit = inner.close()
}
