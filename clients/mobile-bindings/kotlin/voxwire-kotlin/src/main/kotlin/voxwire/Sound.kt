package voxwire

/** Captured audio that is to be sent: int16 mono; [index] is the number of its first sample. */
public class CapturedPiece(public val index: ULong, public val samples: ShortArray)

/**
 * Keeps one session's microphone and says what of it is to be sent next. Audio is int16 mono; times are
 * milliseconds of one monotonic clock. Any thread may call it.
 *
 * @param sampleRate Hz.
 * @param keptMs How long audio is kept, milliseconds.
 * @throws VoxwireError `INVALID_ARGUMENT` for more than a minute.
 */
public class Capture(sampleRate: UInt, keptMs: ULong = 3000u) : AutoCloseable {
    private val inner = verb { NativeCapture(sampleRate, keptMs) }

    /** What it has come to, samples. */
    public val state: CaptureState
        get() = verb { inner.state() }

    /** Takes what the microphone gave at [nowMs]. */
    public fun capture(samples: ShortArray, nowMs: ULong): Unit =
        verb { inner.capture(samples.asList(), nowMs) }

    /** The user is not heard: the count goes on, nothing is kept, what waited is forgotten. */
    public fun mute(numSamples: ULong): Unit = verb { inner.mute(numSamples) }

    /** No path takes audio any more. */
    public fun park(): Unit = verb { inner.park() }

    /** A path takes audio from sample [index] on; returns how many are not kept any more. */
    public fun resume(index: ULong, nowMs: ULong): ULong = verb { inner.resume(index, nowMs) }

    /** The same where the server knows only how long ago the newest of its audio came. */
    public fun resumeAfter(ageMs: ULong, nowMs: ULong): ULong =
        verb { inner.resumeAfter(ageMs, nowMs) }

    /** A path takes audio from now on; nothing is sent again. */
    public fun follow(): Unit = verb { inner.follow() }

    /** What is to be sent next, at most one block; it counts as sent. */
    public fun take(nowMs: ULong): CapturedPiece? =
        verb { inner.take(nowMs)?.let { CapturedPiece(it.index, it.samples.toShortArray()) } }

    override fun close(): Unit = inner.close()
}

/** The peer's clock, from pings. Times are microseconds of each side's own monotonic clock. */
public class Clock : AutoCloseable {
    private val inner = verb { NativeClock() }

    /** The fastest of the last 8 exchanges; null when nothing was measured. */
    public val best: ClockSample?
        get() = verb { inner.best() }

    /** Returns the next ping, to be sent at [nowUs], which is now. */
    public fun ping(nowUs: ULong): Ping = verb { inner.ping(nowUs) }

    /** Takes an answer; null when it answers no open ping or cannot be true. */
    public fun receive(pong: Pong, nowUs: ULong): ClockSample? = verb { inner.receive(pong, nowUs) }

    /** When the next ping is due, milliseconds. */
    public fun nextPingMs(nowMs: ULong): ULong = verb { inner.nextPingMs(nowMs) }

    override fun close(): Unit = inner.close()
}

/** Answers a ping of the peer that came at [receivedUs]; [nowUs] is when the answer is sent. */
public fun pong(ping: Ping, receivedUs: ULong, nowUs: ULong): Pong =
    verb { nativePong(ping, receivedUs, nowUs) }

/**
 * Orders the packets of one RTP audio stream; waits for holes, never for packets in order. Times are
 * milliseconds, with fractions, of one monotonic clock.
 *
 * @throws VoxwireError `INVALID_ARGUMENT` for options outside their bounds.
 */
public class Jitter(options: JitterOptions) : AutoCloseable {
    private val inner = verb { NativeJitter(options) }

    /** When [pop] has something to do without another packet; null while no hole is pending. */
    public val nextDueMs: Double?
        get() = verb { inner.nextDueMs() }

    /** The counters. */
    public val stats: JitterStats
        get() = verb { inner.stats() }

    /** Takes in one packet, which arrived at [nowMs]. */
    public fun push(packet: Packet, nowMs: Double): Unit = verb { inner.push(packet, nowMs) }

    /** Hands over packets in order, and gaps that are not waited for any more. */
    public fun pop(nowMs: Double): List<JitterItem> = verb { inner.pop(nowMs) }

    override fun close(): Unit = inner.close()
}

/** What the speaker plays next: int16 mono; [spans] cover it; [position] is that after it. */
public class Block(
    public val samples: ShortArray,
    public val spans: List<Span>,
    public val position: ULong,
)

/**
 * Adaptive playout buffer of one track; owned by one player. Audio is int16 mono, positions are samples
 * on the media clock.
 *
 * @throws VoxwireError `INVALID_ARGUMENT` for a sample rate below 1000 Hz.
 */
public class Playout(options: PlayoutOptions) : AutoCloseable {
    private val inner = verb { NativePlayout(options) }

    /** Where it is, and what has happened to the audio. */
    public val state: PlayoutState
        get() = verb { inner.state() }

    /** Takes audio at the position of its first sample. */
    public fun push(sampleIndex: ULong, samples: ShortArray): Unit =
        verb { inner.push(sampleIndex, samples.asList()) }

    /**
     * Hands out the next block; always [numSamples] long.
     *
     * @throws VoxwireError `INVALID_ARGUMENT` for more than 1440000.
     */
    public fun pull(numSamples: ULong): Block =
        verb {
            val block = inner.pull(numSamples)
            Block(block.samples.toShortArray(), block.spans, block.position)
        }

    /** Takes back audio of a continuous stream that was given a place it does not have. */
    public fun rewind(sampleIndex: ULong, misplaced: ULong): Unit =
        verb { inner.rewind(sampleIndex, misplaced) }

    /** Falls silent within 10 ms; returns the position at which the sound stops. */
    public fun flush(until: ULong): ULong = verb { inner.flush(until) }

    /** Drops what is buffered and waits for another stream; position and counters stay. */
    public fun restart(targetMs: UInt, continuous: Boolean): Unit =
        verb { inner.restart(targetMs, continuous) }

    override fun close(): Unit = inner.close()
}
