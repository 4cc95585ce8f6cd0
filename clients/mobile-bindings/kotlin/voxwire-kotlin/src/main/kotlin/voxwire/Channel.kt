package voxwire

import java.nio.ByteBuffer

/**
 * One side of a session's numbered message exchange: acknowledgements, replay, chunks, resuming.
 *
 * Messages are the bytes of `voxwire.v1.Envelope`; times milliseconds of one monotonic clock, of any
 * origin. Any thread may call it; [close] frees it.
 *
 * @throws VoxwireError `INVALID_ARGUMENT` when `maxSendBytes` is below 128.
 */
public class Channel(options: ChannelOptions) : AutoCloseable {
    private val inner = verb { NativeChannel(options) }

    /** With the limits of the specification; [peer] is who the other side is. */
    public constructor(peer: Side) : this(ChannelOptions(peer))

    /** Where it is. */
    public val state: ChannelState
        get() = verb { inner.state() }

    /** Forgets everything and numbers anew, after a resume answered with `resumed` = false. */
    public fun restart(): Unit = verb { inner.restart() }

    /**
     * Takes what the peer has said about the largest envelope that it accepts, bytes.
     *
     * @throws VoxwireError `INVALID_ARGUMENT` below 128.
     */
    public fun setMaxSendBytes(maxSendBytes: ULong): Unit =
        verb { inner.setMaxSendBytes(maxSendBytes) }

    /**
     * False when sending would push an unacknowledged message out of the replay.
     *
     * @throws VoxwireError `INVALID_ARGUMENT` for bytes that are no envelope.
     */
    public fun hasRoom(envelope: ByteArray): Boolean = verb { inner.hasRoom(direct(envelope)) }

    /**
     * Numbers, encodes and keeps an envelope. Returns encoded envelopes, to be written in this order.
     *
     * @throws VoxwireError `INVALID_ARGUMENT` for bytes that are no envelope, without a payload or
     *   with a chunk; `TOO_LARGE` above the limits. Nothing is numbered then.
     */
    public fun send(envelope: ByteArray, nowMs: ULong): List<ByteArray> =
        verb { inner.send(direct(envelope), nowMs) }

    /** Takes one encoded envelope from a carrier; deliver the messages whatever was refused. */
    public fun receive(data: ByteArray, nowMs: ULong): Receipt =
        verb { inner.receive(direct(data), nowMs) }

    /** Returns the standalone acknowledgement if it is due. */
    public fun outgoing(nowMs: ULong): ByteArray? = verb { inner.outgoing(nowMs) }

    /** Notes that the carrier is gone. */
    public fun onLost(nowMs: ULong): Unit = verb { inner.onLost(nowMs) }

    /**
     * Encodes again what the peer has not received; null when some of it is no longer kept: both
     * sides [restart] then.
     *
     * @throws VoxwireError `MALFORMED` when [lastSeq] was never sent.
     */
    public fun resume(lastSeq: ULong, nowMs: ULong): List<ByteArray>? =
        verb { inner.resume(lastSeq, nowMs) }

    override fun close(): Unit = inner.close()
}

/**
 * Reads what can be said of an envelope without its payload.
 *
 * @throws VoxwireError `MALFORMED` for bytes that are no envelope.
 */
public fun inspect(envelope: ByteArray): EnvelopeInfo =
    verb { nativeInspect(direct(envelope)) }

/** Bytes where the library can read them. */
internal fun direct(data: ByteArray): ByteBuffer =
    ByteBuffer.allocateDirect(data.size).put(data).flip()
