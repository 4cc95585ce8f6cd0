package voxwire

/** playout/: bot audio by position and what a speaker is handed. */
internal fun runPlayout(case: Step) {
    val options = case.options(4)
    val made =
        PlayoutOptions(
            sampleRate = options.uint("sample_rate"),
            targetMs = options.uint("target_ms"),
            maxTargetMs = options.uint("max_target_ms"),
            continuous = options.flag("continuous"),
        )
    Playout(made).use { playout -> case.steps { step(playout, it) } }
}

private fun step(playout: Playout, step: Step) {
    when (step.op) {
        "push" -> {
            val index = step.number("index")
            val samples =
                ShortArray(step.number("samples").toInt()) {
                    if (step.flag("quiet")) 0 else loud(index + it.toULong())
                }
            playout.push(index, samples)
        }
        "pull" -> check(playout.pull(step.number("samples")), step)
        "flush" -> step.expect("position", playout.flush(step.number("until")))
        "restart" -> playout.restart(step.uint("target_ms"), continuous = false)
        "rewind" -> playout.rewind(step.number("index"), step.number("misplaced"))
        "state" -> step.expectAll(stateOf(playout.state))
        else -> step.unknown()
    }
}

private fun stateOf(state: PlayoutState): Map<String, Any> =
    mapOf(
        "position" to state.position,
        "playing" to state.playing,
        "target_ms" to state.targetMs,
        "buffered_ms" to state.bufferedMs,
        "concealed_ms" to state.concealedMs,
        "underruns" to state.underruns,
        "late" to state.lateSamples,
        "refused" to state.refusedSamples,
        "trimmed" to state.trimmedSamples,
    )

/** Loud audio of which every sample tells its position. */
private fun loud(position: ULong): Short = (1000uL + position % 1000uL).toShort()

/** What each sample of a block is: its kind, and its position. */
private fun sounds(block: Block, step: Step): List<Pair<SpanKind, ULong>> = buildList {
    for (span in block.spans) {
        if (span.offset != size.toULong()) step.fail("a span is not where the one before it ends")
        val moves = span.kind == SpanKind.PLAYED || span.kind == SpanKind.GAP
        for (at in 0uL until span.length) add(span.kind to span.position + if (moves) at else 0uL)
    }
}

private fun check(block: Block, step: Step) {
    val sounds = sounds(block, step)
    var at = 0
    for (span in step.wanted("spans").asJsonArray.map { it.asJsonArray }) {
        val (kind, position) = span[0].asString to span[1].asLong.toULong()
        val moves = kind != "concealed" && kind != "silent"
        for (offset in 0uL until span[2].asLong.toULong()) {
            val sound = sounds.getOrNull(at) ?: step.fail("the block is too short")
            val placed = sound.second == position + if (moves) offset else 0uL
            if (!placed || !isKind(kind, sound, block.samples[at], step)) {
                step.fail("sample $at is not $kind")
            }
            at++
        }
    }
    if (at != sounds.size || at != block.samples.size) step.fail("the block is too long")
}

private fun isKind(kind: String, sound: Pair<SpanKind, ULong>, sample: Short, step: Step): Boolean {
    val (known, position) = sound
    return when (kind) {
        "played" -> known == SpanKind.PLAYED && sample == loud(position)
        "quiet" -> known == SpanKind.PLAYED && sample == 0.toShort()
        "fading" -> known == SpanKind.PLAYED && sample in 1..loud(position)
        "gap" -> known == SpanKind.GAP && sample == 0.toShort()
        "concealed" -> known == SpanKind.CONCEALED && sample > 0
        "silent" -> known == SpanKind.SILENT && sample == 0.toShort()
        else -> step.fail("no such kind: $kind")
    }
}
