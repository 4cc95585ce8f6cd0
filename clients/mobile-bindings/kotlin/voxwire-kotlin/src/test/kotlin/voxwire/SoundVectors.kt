package voxwire

/** capture/: the user's audio as a client keeps it. */
internal fun runCapture(case: Step) {
    val options = case.options(2)
    Capture(options.uint("sample_rate"), options.number("kept_ms")).use { capture ->
        case.steps { step ->
            val state = capture.state
            when (step.op) {
                "capture" -> {
                    val samples = counted(state.nextIndex, step.number("samples"))
                    capture.capture(samples, step.nowMs)
                }
                "mute" -> capture.mute(step.number("samples"))
                "park" -> capture.park()
                "follow" -> capture.follow()
                "resume" -> step.expect("lost", capture.resume(step.number("index"), step.nowMs))
                "resume_after" ->
                    step.expect("lost", capture.resumeAfter(step.number("age_ms"), step.nowMs))
                "send" -> step.expect("pieces", sendAll(capture, step))
                "state" ->
                    step.expectAll(
                        mapOf(
                            "next_index" to state.nextIndex,
                            "waiting" to state.waitingSamples,
                            "lost" to state.lostSamples,
                        )
                    )
                else -> step.unknown()
            }
        }
    }
}

/** Audio of which every sample is its own number. */
private fun counted(first: ULong, count: ULong) =
    ShortArray(count.toInt()) { (first + it.toULong()).toShort() }

private fun sendAll(capture: Capture, step: Step): List<Any> =
    generateSequence { capture.take(step.nowMs) }
        .map { piece ->
            val count = piece.samples.size.toULong()
            if (!piece.samples.contentEquals(counted(piece.index, count))) step.fail("other samples")
            listOf(piece.index, count)
        }
        .toList()

/** clock/: pings, their answers, and what they measure. */
internal fun runClock(case: Step) =
    Clock().use { clock ->
        case.steps { step ->
            when (step.op) {
                "ping" -> {
                    val ping = clock.ping(step.number("now_us"))
                    step.expect("number", ping.number)
                    step.expect("t0_us", ping.t0Us)
                }
                "pong" -> {
                    val ping = Ping(step.uint("number"), step.number("t0_us"))
                    val pong = pong(ping, step.number("received_us"), step.number("now_us"))
                    if (Ping(pong.number, pong.t0Us) != ping) step.fail("it answers another ping")
                    step.expect("t1_us", pong.t1Us)
                    step.expect("t2_us", pong.t2Us)
                }
                "receive" -> {
                    val (number, t0Us) = step.uint("number") to step.number("t0_us")
                    val pong = Pong(number, t0Us, step.number("t1_us"), step.number("t2_us"))
                    val sample = clock.receive(pong, step.number("now_us"))
                    val shown = sample?.let { mapOf("offset_us" to it.offsetUs, "rtt_us" to it.rttUs) }
                    step.expect("sample", shown)
                }
                "next_ping_ms" -> step.expect("value", clock.nextPingMs(step.number("now_ms")))
                "state" -> {
                    step.expect("offset_us", clock.best?.offsetUs)
                    step.expect("rtt_us", clock.best?.rttUs)
                }
                else -> step.unknown()
            }
        }
    }

/** jitter/: RTP packets as they arrive, and what is handed over. */
internal fun runJitter(case: Step) {
    val options = case.options(4)
    val made =
        JitterOptions(
            clockRate = options.uint("clock_rate"),
            minTargetMs = options.decimal("min_target_ms"),
            maxTargetMs = options.decimal("max_target_ms"),
            capacity = options.number("capacity"),
        )
    Jitter(made).use { jitter ->
        case.steps { step ->
            when (step.op) {
                "push" -> {
                    val number = step.text("sequence_number").toUShort()
                    val packet = Packet(number, step.uint("timestamp"), "$number".toByteArray())
                    jitter.push(packet, step.decimal("now_ms"))
                }
                "pop" -> {
                    val items = jitter.pop(step.decimal("now_ms"))
                    step.expect("items", items.map { itemJson(it, step) })
                    step.expect("next_due_ms", jitter.nextDueMs)
                }
                "stats" -> step.expectAll(statsOf(jitter.stats))
                else -> step.unknown()
            }
        }
    }
}

private fun itemJson(item: JitterItem, step: Step): Map<String, Any> =
    when (item) {
        is JitterItem.Packet -> {
            val number = item.packet.sequenceNumber
            if (!item.packet.payload.contentEquals("$number".toByteArray())) step.fail("other payload")
            mapOf("packet" to number)
        }
        is JitterItem.Gap -> mapOf("gap" to item.gap.timestamp, "samples" to item.gap.samples)
    }

private fun statsOf(stats: JitterStats): Map<String, Any> =
    mapOf(
        "received" to stats.received,
        "lost" to stats.lost,
        "late" to stats.late,
        "duplicates" to stats.duplicates,
        "concealed_ms" to stats.concealedMs,
        "target_ms" to stats.targetMs,
    )
