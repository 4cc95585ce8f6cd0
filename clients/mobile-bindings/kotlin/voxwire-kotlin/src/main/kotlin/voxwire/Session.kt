package voxwire

import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.withContext

/**
 * Something that a session tells.
 *
 * @property name Its name, as in every client: `bot_word`. `tool_call` (`id`, `name`, `arguments`) and
 *   `tool_stopped` (`id`) are about the tools of this program.
 * @property json Its fields, a JSON object.
 */
public data class SessionEvent(public val name: String, public val json: String)

/**
 * One conversation with a bot. It outlives its connection, which is dialled again: what is sent
 * meanwhile goes out once, in order. Any thread may call it; [pull] and [push] wait for nothing.
 *
 * [end] says goodbye; [close] frees it, and ends it without a word.
 */
public class Session private constructor(
    private val inner: NativeSession,
    private val started: SessionEvent,
) : AutoCloseable {
    /** Names the session on the server. */
    public val id: String
        get() = info.sessionId

    /** Name of the bot. */
    public val bot: String
        get() = info.bot

    /** Rate of what [pull] hands out, Hz; the same for the whole session. */
    public val playoutRate: UInt
        get() = info.playoutRate

    /** Where the speaker is on the media clock, milliseconds. */
    public val positionMs: ULong
        get() = info.positionMs

    private val info: NativeInfo
        get() = verb { inner.info() } ?: error("a session that was connected is up")

    /**
     * What happens, from `session_started` on, until the session ends in order. Collect it once, all
     * the time: what is not read waits, and then the oldest is skipped.
     *
     * @throws VoxwireError The session ended otherwise.
     */
    public val events: Flow<SessionEvent> = flow {
        emit(started)
        while (true) {
            val event = verb { inner.nextEvent() } ?: break
            emit(SessionEvent(event.name, event.json))
        }
    }

    /**
     * The next [numSamples] of the bot's audio, int16 mono at [playoutRate]; silence where there is
     * none. Call it in real time, also while the bot is silent, mostly for 20 ms.
     *
     * @param delayUs How long from now the first sample sounds, microseconds: words, states and
     *   reports go by it.
     */
    public fun pull(numSamples: Int, delayUs: ULong = 0u): ShortArray {
        val pcm = verb { inner.pull(numSamples.toULong(), delayUs) }
        val samples = ShortArray(numSamples)
        ByteBuffer.wrap(pcm).order(ByteOrder.LITTLE_ENDIAN).asShortBuffer().get(samples)
        return samples
    }

    /** Takes what the microphone gave, int16 mono at 16 kHz, in real time. */
    public fun push(samples: ShortArray) {
        val pcm = ByteBuffer.allocateDirect(2 * samples.size).order(ByteOrder.LITTLE_ENDIAN)
        pcm.asShortBuffer().put(samples)
        verb { inner.push(pcm) }
    }

    /**
     * Says something to the bot in writing.
     *
     * @throws VoxwireError `INVALID_ARGUMENT` above 65 536 characters, `INVALID_STATE` when it ended.
     */
    public fun sendText(text: String): Unit = verb { inner.sendText(text) }

    /** Cuts the bot off, as if the user had spoken. */
    public fun interrupt(): Unit = verb { inner.interrupt() }

    /** Closes or opens the microphone; what it hears while closed is not sent. */
    public fun mute(muted: Boolean): Unit = verb { inner.mute(muted) }

    /**
     * Sends a message of the application to the bot.
     *
     * @throws VoxwireError `INVALID_ARGUMENT`: [dataJson] is no JSON, or above 60 KB.
     */
    public fun sendMessage(kind: String, dataJson: String): Unit =
        verb { inner.sendMessage(kind, dataJson) }

    /**
     * Gives the result of a tool that was called here; a call that is over is passed over.
     *
     * @throws VoxwireError `INVALID_ARGUMENT`: [resultJson] is no JSON.
     */
    public fun finishTool(callId: String, resultJson: String): Unit =
        verb { inner.finishTool(callId, resultJson) }

    /** Says what went wrong with a tool that was called here, in words that the bot may speak. */
    public fun failTool(callId: String, reason: String): Unit =
        verb { inner.failTool(callId, reason) }

    /** Ends the session, after at most 6 s; what was told can still be read. */
    public suspend fun end(): Unit = verb { inner.end() }

    /** Aborts the control channel's socket, as a broken network would; for tests. */
    public fun dropControl(): Unit = verb { inner.dropControl() }

    override fun close(): Unit = inner.destroy()

    public companion object {
        /**
         * Connects to a bot and returns when the session is up. Cancelled, it leaves nothing behind.
         *
         * @param url `ws://host:port`, `https://host`, or with the path that the server is mounted at.
         * @param onWaiting Is told where the session is in the line of a server that has no place for
         *   it yet, whenever that is new; see [SessionOptions.waitingTimeoutMs].
         * @throws VoxwireError It cannot be had within [SessionOptions.connectTimeoutMs], which
         *   stands still while it waits for a place.
         */
        public suspend fun connect(
            url: String,
            options: SessionOptions = SessionOptions(),
            onWaiting: (Waiting) -> Unit = {},
        ): Session {
            val inner = verb { NativeSession(url, options) }
            var session: Session? = null
            try {
                while (session == null) {
                    val event = verb { inner.nextEvent() } ?: error("a session begins or fails")
                    val place = event.waiting
                    if (place != null) {
                        onWaiting(place)
                    } else {
                        session = Session(inner, SessionEvent(event.name, event.json))
                    }
                }
                return session
            } finally {
                if (session == null) {
                    withContext(NonCancellable) { inner.destroy() }
                }
            }
        }
    }
}
