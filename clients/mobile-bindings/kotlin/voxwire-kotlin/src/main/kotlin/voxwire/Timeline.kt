package voxwire

/**
 * Words of the bot on the media clock: which are due, which were heard. Times are milliseconds of the
 * media clock, positions in a text Unicode code points. Any thread may call it; [close] frees it.
 */
public class Timeline : AutoCloseable {
    private val inner = verb { NativeTimeline() }

    /** Onset of the next word to deliver; null = no word is waiting. */
    public val nextDueMs: ULong?
        get() = verb { inner.nextDueMs() }

    /** Notes the position of an utterance's first sample. The first call for it counts. */
    public fun begin(utteranceId: String, mediaMs: ULong): Unit =
        verb { inner.begin(utteranceId, mediaMs) }

    /** Places words. A known one stays unless [revision] is higher and it was not delivered. */
    public fun add(words: List<TimedWord>, revision: UInt): Unit =
        verb { inner.add(words, revision) }

    /** Returns the words that became due at a position of playout, each one once. */
    public fun advance(mediaMs: ULong): List<TimedWord> = verb { inner.advance(mediaMs) }

    /** Returns the prefix whose words began before a position of playout. */
    public fun heard(utteranceId: String, mediaMs: ULong): Heard =
        verb { inner.heard(utteranceId, mediaMs) }

    /** Closes what is speaking at [mediaMs]; audio before [untilMs] is void. */
    public fun cut(mediaMs: ULong, untilMs: ULong): List<Heard> =
        verb { inner.cut(mediaMs, untilMs) }

    /** Closes an utterance: later words are ignored, those placed are still delivered. */
    public fun end(utteranceId: String): Unit = verb { inner.end(utteranceId) }

    /** How many words of an utterance were delivered or passed over. */
    public fun delivered(utteranceId: String): ULong = verb { inner.delivered(utteranceId) }

    /** Passes over the first words of an utterance, as far as they are known. */
    public fun skip(utteranceId: String, words: ULong): Unit =
        verb { inner.skip(utteranceId, words) }

    /** The words of an utterance as far as known, by index, without those cut. */
    public fun words(utteranceId: String): List<TimedWord> = verb { inner.words(utteranceId) }

    /** The text of an utterance as far as [setText] gave it. */
    public fun text(utteranceId: String): String = verb { inner.text(utteranceId) }

    /** Puts a piece of an utterance's text at its position. */
    public fun setText(utteranceId: String, offset: ULong, text: String): Unit =
        verb { inner.setText(utteranceId, offset, text) }

    override fun close(): Unit = inner.close()
}

/**
 * Reads the words of a message, the bytes of an `UtteranceWords`.
 *
 * @param textSoFar Text of the utterance from earlier messages.
 * @param source What counts for a message that does not say it.
 * @throws VoxwireError `MALFORMED` for bytes that are no such message.
 */
public fun decodeWords(
    message: ByteArray,
    textSoFar: String,
    source: TimingSource = TimingSource.UNSPECIFIED,
): List<TimedWord> = verb { nativeDecodeWords(direct(message), textSoFar, source) }

/**
 * Writes words of one utterance as the bytes of an `UtteranceWords`; [text] is the piece of the
 * utterance's text that holds them and begins at [textOffset].
 *
 * @throws VoxwireError `INVALID_ARGUMENT` when the words are none, or do not belong together.
 */
public fun encodeWords(
    words: List<TimedWord>,
    text: String,
    textOffset: UInt,
    revision: UInt,
): ByteArray = verb { nativeEncodeWords(words, text, textOffset, revision) }

/** Joins two texts with one space, or with none where the script has none. */
public fun joinTexts(before: String, after: String): String =
    verb { nativeJoinTexts(before, after) }
