package voxwire

import com.google.gson.JsonParser

/** conversation/: messages of a server and the log of turns that comes of them. */
internal fun runConversation(case: Step) {
    var log = Conversation()
    case.steps { step ->
        when (step.op) {
            "begin" -> {
                log.close()
                log = Conversation()
            }
            "snapshot" -> log.restore(Schema.bytes("Snapshot", step.value("message")))
            "log" -> {
                step.expect("turns", log.turns.map(::turnJson))
                step.expect("skipped", log.skipped)
            }
            else -> {
                val before = log.turns
                val changed = change(log, step)
                if (step.has("unchanged")) step.expect("unchanged", !changed)
                if (!changed && log.turns != before) step.fail("changed, and does not say so")
            }
        }
    }
    log.close()
}

private fun change(log: Conversation, step: Step): Boolean =
    when (step.op) {
        "message" -> log.apply(Schema.bytes("Envelope", step.value("message")))
        "word" -> log.wordHeard(step.text("utterance_id"), step.uint("index"))
        "own_call" -> log.ownCall(step.text("call_id"))
        "own_progress" -> log.ownProgress(step.text("call_id"), step.text("message"))
        "over" -> log.over()
        else -> step.unknown()
    }

private fun turnJson(turn: LoggedTurn): Map<String, Any> =
    when (turn) {
        is LoggedTurn.User ->
            mapOf(
                "id" to turn.id,
                "role" to "user",
                "text" to turn.text,
                "final" to turn.isFinal,
                "typed" to turn.typed,
            )
        is LoggedTurn.Bot ->
            present(
                "id" to turn.id,
                "role" to "bot",
                "utterances" to turn.utterances.map(::utteranceJson),
                "tool_calls" to turn.toolCalls.map(::callJson),
                "interrupted" to turn.interrupted,
                "heard_text" to turn.heardText,
                "unheard_text" to turn.unheardText,
            )
    }

private fun utteranceJson(utterance: LoggedUtterance): Map<String, Any> =
    mapOf(
        "id" to utterance.id,
        "text" to utterance.text,
        "end" to utterance.end,
        "words" to
            utterance.words.map { word ->
                mapOf(
                    "index" to word.index,
                    "text" to word.text,
                    "start_ms" to word.startMs,
                    "end_ms" to word.endMs,
                    "state" to word.state,
                )
            },
    )

private fun callJson(call: LoggedCall): Map<String, Any> =
    present(
        "id" to call.id,
        "name" to call.name,
        "status" to call.status,
        "own" to call.own,
        "args" to call.argumentsJson?.let(JsonParser::parseString),
        "result" to call.resultJson?.let(JsonParser::parseString),
        "duration_ms" to call.durationMs,
        "progress" to call.progress,
    )

/** What is there. */
private fun present(vararg members: Pair<String, Any?>): Map<String, Any> =
    members.mapNotNull { (name, value) -> value?.let { name to it } }.toMap()
