package voxwire

/** channel/: what one side is told to do, and what must come of it. */
internal fun runChannel(case: Step) =
    channelOf(case).use { channel ->
        case.steps { step ->
            when (step.op) {
                "send" -> {
                    val message = Schema.bytes("Envelope", step.value("message"))
                    step.written { channel.send(message, step.nowMs) }
                }
                "receive" -> step.received(channel.receive(unhex(step.text("data")), step.nowMs))
                "outgoing" -> step.written { listOfNotNull(channel.outgoing(step.nowMs)) }
                "resume" -> step.written { channel.resume(step.number("last_seq"), step.nowMs) }
                "on_lost" -> channel.onLost(step.nowMs)
                "restart" -> channel.restart()
                "state" -> step.expectAll(stateOf(channel))
                else -> step.unknown()
            }
        }
    }

private fun channelOf(case: Step): Channel {
    val options = case.options(5)
    val limits = Step(options.value("limits").asJsonObject, "limits", case.expectations)
    return Channel(
        ChannelOptions(
            peer = Side.valueOf(options.text("peer").uppercase()),
            maxSendBytes = options.number("max_send_bytes"),
            maxReceiveBytes = options.number("max_receive_bytes"),
            maxMessageBytes = options.number("max_message_bytes"),
            limits =
                ReplayLimits(
                    messages = limits.number("messages"),
                    totalBytes = limits.number("total_bytes"),
                    ageMs = limits.number("age_ms"),
                ),
        )
    )
}

private fun stateOf(channel: Channel): Map<String, Any?> {
    val state = channel.state
    return mapOf(
        "last_received" to state.lastReceived,
        "last_sent" to state.lastSent,
        "unacknowledged" to state.unacknowledged,
        "next_due_ms" to state.nextDueMs,
    )
}

private fun Step.written(write: () -> List<ByteArray>?) {
    val outcome = runCatching(write)
    val error = outcome.exceptionOrNull()
    if (error != null && error !is VoxwireError) throw error
    expectError((error as VoxwireError?)?.code, error?.seq ?: 0u)
    if (has("bytes")) expect("bytes", outcome.getOrNull()?.map(::hex))
}

private fun Step.received(receipt: Receipt) {
    expectError(receipt.refusal?.code, receipt.refusal?.seq ?: 0u)
    val messages = receipt.messages.map { Schema.json("Envelope", it.envelope) }
    if (has("messages")) expect("messages", messages) else if (messages.isNotEmpty()) fail("messages")
}

private fun Step.expectError(code: ErrorCode?, seq: ULong) {
    if (has("error")) {
        expect("error", code?.let { "ERROR_CODE_${it.name}" })
    } else if (code != null) {
        fail("$code")
    }
    if (has("error_seq")) expect("error_seq", seq) else if (seq != 0uL) fail("the error has number $seq")
}

/** wire/: the same message as JSON and as bytes; a channel carries it to its peer unchanged. */
internal fun runWire(case: Step, name: String, data: ByteArray) {
    if (!Schema.bytes("Envelope", case.fields).contentEquals(data)) case.fail("JSON and bytes differ")
    val info = inspect(data)
    if (info.name != name) case.fail("the payload is ${info.name}")
    if (info.unknownFields != 0uL || info.unknownPayload) case.fail("something is not known")
    if (info.reliable != (info.seq != 0uL)) case.fail("it is numbered, or not, against the schema")
    // A chunk is the channel's own, and an acknowledgement is not delivered.
    if (name == "chunk" || name == "ack_only") return
    val (sender, reader) =
        if (info.fromClient) Side.CLIENT to Side.SERVER else Side.SERVER to Side.CLIENT
    Channel(peer = reader).use { from ->
        Channel(peer = sender).use { to ->
            val receipt = to.receive(from.send(data, 0u).single(), 0u)
            val arrived = Schema.json("Envelope", receipt.messages.single().envelope)
            val expected = case.fields.deepCopy()
            listOf(arrived, expected).forEach { message ->
                message.remove("seq")
                message.remove("ack")
            }
            if (!same(arrived, case.expectations.told(expected))) case.fail("another one arrives")
        }
    }
}
