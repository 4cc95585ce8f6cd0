package voxwire

import com.google.gson.JsonElement

/** words/: words on the wire, texts joined, and words on the media clock. */
internal fun runWords(case: Step) =
    when (val kind = case.text("kind")) {
        "decode" -> decode(case)
        "join" -> join(case)
        "timeline" -> Timeline().use { timeline -> case.steps { step(timeline, it) } }
        else -> case.fail("no such kind: $kind")
    }

private fun decode(case: Step) {
    val message = case.value("message").asJsonObject
    val data = Schema.bytes("UtteranceWords", message)
    case.expect("bytes", hex(data))
    val words = decodeWords(data, case.text("text_so_far"))
    case.expect("words", words.map(::wordJson))
    val number = { name: String -> message.get(name)?.asString?.toUInt() ?: 0u }
    val text = message.get("text")?.asString ?: ""
    val again = encodeWords(words, text, number("textOffset"), number("revision"))
    if (decodeWords(again, case.text("text_so_far")) != words) case.fail("encoded again, others")
}

private fun join(case: Step) =
    case.value("joins").asJsonArray.forEach { join ->
        val text = { name: String -> join.asJsonObject.get(name) }
        val joined = joinTexts(text("before").asString, text("after").asString)
        if (json(joined) != case.expectations.told(text("text"))) case.fail("joined: $joined")
    }

private fun step(timeline: Timeline, step: Step) {
    val id = if (step.has("utterance_id")) step.text("utterance_id") else ""
    when (step.op) {
        "begin" -> timeline.begin(id, step.number("media_ms"))
        "add" -> {
            val words = step.value("words").asJsonArray.map(::wordOf)
            timeline.add(words, step.uint("revision"))
        }
        "advance" -> {
            val due = timeline.advance(step.number("media_ms"))
            step.expect("due", due.map { listOf(it.utteranceId, it.index) })
        }
        "next_due_ms" -> step.expect("value", timeline.nextDueMs)
        "heard" -> step.expect("heard", heardJson(timeline.heard(id, step.number("media_ms"))))
        "cut" -> {
            val heard = timeline.cut(step.number("media_ms"), step.number("until_ms"))
            step.expect("heard", heard.map(::heardJson))
        }
        "end" -> timeline.end(id)
        "words" -> step.expect("indices", timeline.words(id).map { it.index })
        "set_text" -> timeline.setText(id, step.number("offset"), step.text("text"))
        "text" -> step.expect("value", timeline.text(id))
        else -> step.unknown()
    }
}

private fun wordOf(value: JsonElement): TimedWord {
    val word = value.asJsonObject
    check(word.size() == 9) { "a field of a word is not read" }
    val text = { name: String -> word.get(name).asString }
    return TimedWord(
        utteranceId = text("utterance_id"),
        index = text("index").toUInt(),
        text = text("text"),
        charStart = text("char_start").toUInt(),
        charEnd = text("char_end").toUInt(),
        startMs = text("start_ms").toULong(),
        endMs = text("end_ms").toULong(),
        endEstimated = word.get("end_estimated").asBoolean,
        source = TimingSource.valueOf(text("source").removePrefix("TIMING_SOURCE_")),
    )
}

private fun wordJson(word: TimedWord) =
    json(
        mapOf(
            "utterance_id" to word.utteranceId,
            "index" to word.index,
            "text" to word.text,
            "char_start" to word.charStart,
            "char_end" to word.charEnd,
            "start_ms" to word.startMs,
            "end_ms" to word.endMs,
            "end_estimated" to word.endEstimated,
            "source" to "TIMING_SOURCE_${word.source.name}",
        )
    )

private fun heardJson(heard: Heard) =
    json(
        mapOf(
            "utterance_id" to heard.utteranceId,
            "words" to heard.words,
            "char_end" to heard.charEnd,
            "media_ms" to heard.mediaMs,
        )
    )
