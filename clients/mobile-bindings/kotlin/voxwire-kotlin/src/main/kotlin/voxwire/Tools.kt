package voxwire

/** The calls that this side executes: each runs at most once. Any thread may call it. */
public class ToolRuns : AutoCloseable {
    private val inner = verb { NativeToolRuns() }

    /** Calls whose tool runs now, by their ids. */
    public val running: List<String>
        get() = verb { inner.running() }

    /** Takes a request: `START` the first time, `RUNNING`, `FINISHED` or `IGNORE` after that. */
    public fun request(callId: String): Run = verb { inner.request(callId) }

    /** Notes what a tool gave; true = send it as the `ToolResult`. */
    public fun finish(callId: String, result: CallResult): Boolean =
        verb { inner.finish(callId, result) }

    /** Takes a `ToolCancel`: `STOP` a running tool, `IGNORE` anything else. */
    public fun withdraw(callId: String): Run = verb { inner.withdraw(callId) }

    /** What a finished call gave; null when it is not kept any more. */
    public fun resultOf(callId: String): CallResult? = verb { inner.resultOf(callId) }

    override fun close(): Unit = inner.close()
}

/**
 * The calls of one session, on the side that asks: a client's tests of its own tools stand on it. Times
 * are milliseconds of one monotonic clock, of any origin. Any thread may call it.
 */
public class ToolCalls(options: ToolCallsOptions) : AutoCloseable {
    private val inner = verb { NativeToolCalls(options) }

    /** Calls that have not ended, oldest first. */
    public val openCalls: List<Call>
        get() = verb { inner.openCalls() }

    /** When [tick] wants to be called next; null = no call is open. */
    public val nextDueMs: ULong?
        get() = verb { inner.nextDueMs() }

    /** Where a call is; null when it is unknown or forgotten. */
    public fun state(callId: String): CallState? = verb { inner.state(callId) }

    /**
     * Opens a call. Its deadline is armed from here on and nothing moves it.
     *
     * @throws VoxwireError `INVALID_ARGUMENT` for an id that is known and for a token that is short or
     *   for a server's call; `CAPACITY` when too many are open.
     */
    public fun request(request: ToolRequest, nowMs: ULong): Call =
        verb { inner.request(request, nowMs) }

    /** Notes that the executor has taken a request; [by] is who says so. */
    public fun accept(callId: String, nowMs: ULong, by: Executor): List<Effect> =
        verb { inner.accept(callId, nowMs, by) }

    /** Notes that a call runs; counts as acceptance, never moves the deadline. */
    public fun progress(callId: String, nowMs: ULong, by: Executor): List<Effect> =
        verb { inner.progress(callId, nowMs, by) }

    /** Ends a call with what its executor says, if it may. */
    public fun result(
        callId: String,
        result: CallResult,
        callToken: ByteArray,
        nowMs: ULong,
        by: Executor,
    ): List<Effect> = verb { inner.result(callId, result, direct(callToken), nowMs, by) }

    /** Withdraws a call; [by] is who does. */
    public fun cancel(callId: String, reason: String, nowMs: ULong, by: Executor): List<Effect> =
        verb { inner.cancel(callId, reason, nowMs, by) }

    /** Applies each open call's policy to an interruption of the bot, oldest call first. */
    public fun interrupted(nowMs: ULong): List<Effect> = verb { inner.interrupted(nowMs) }

    /** Ends what fell due, earliest first. */
    public fun tick(nowMs: ULong): List<Effect> = verb { inner.tick(nowMs) }

    /** Notes that the client is away: requests need not be accepted until it is back. */
    public fun onLost(): Unit = verb { inner.onLost() }

    /** Notes that the client is back and returns the requests to send again. */
    public fun redeliver(nowMs: ULong): List<Call> = verb { inner.redeliver(nowMs) }

    override fun close(): Unit = inner.close()
}
