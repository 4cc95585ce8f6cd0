package voxwire

import com.google.gson.JsonElement
import com.google.gson.JsonNull

/** tools/: what happens to calls, and what must come of it. */
internal fun runTools(case: Step) =
    when (val kind = case.text("kind")) {
        "calls" -> callsOf(case).use { calls -> case.steps { callStep(calls, it) } }
        "runs" -> ToolRuns().use { runs -> case.steps { runStep(runs, it) } }
        else -> case.fail("no such kind: $kind")
    }

private fun callsOf(case: Step): ToolCalls {
    val options = case.options(4)
    return ToolCalls(
        ToolCallsOptions(
            defaultTimeoutMs = options.number("default_timeout_ms"),
            acceptWithinMs = options.number("accept_within_ms"),
            maxOpen = options.number("max_open"),
            maxResultBytes = options.number("max_result_bytes"),
        )
    )
}

private fun Step.by() = Executor.valueOf(text("by").uppercase())

private fun callStep(calls: ToolCalls, step: Step) {
    val id = if (step.has("call_id")) step.text("call_id") else ""
    val effects =
        when (step.op) {
            "request" -> return request(calls, step)
            "accept" -> calls.accept(id, step.nowMs, step.by())
            "progress" -> calls.progress(id, step.nowMs, step.by())
            "result" -> {
                val token = unhex(step.text("call_token"))
                calls.result(id, resultOf(step), token, step.nowMs, step.by())
            }
            "cancel" -> calls.cancel(id, step.text("reason"), step.nowMs, step.by())
            "interrupted" -> calls.interrupted(step.nowMs)
            "tick" -> calls.tick(step.nowMs)
            "on_lost" -> return calls.onLost()
            "redeliver" -> {
                step.expect("calls", calls.redeliver(step.nowMs).map { it.callId })
                return step.expect("next_due_ms", calls.nextDueMs)
            }
            "state" -> return step.expect("state", calls.state(id))
            else -> step.unknown()
        }
    step.expect("effects", effects.map(::effectJson))
    if (step.has("next_due_ms")) step.expect("next_due_ms", calls.nextDueMs)
}

private fun request(calls: ToolCalls, step: Step) {
    // A negative time has no value here.
    if (step.decimal("timeout_ms") < 0) return step.expect("error", "INVALID_ARGUMENT")
    val request =
        ToolRequest(
            callId = step.text("call_id"),
            name = step.text("name"),
            executor = Executor.valueOf(step.text("executor").uppercase()),
            arguments = step.text("arguments"),
            timeoutMs = step.number("timeout_ms"),
            policy = OnInterruption.valueOf(step.text("policy").uppercase()),
            callToken = step.value("call_token").takeIf { it !is JsonNull }?.let { unhex(it.asString) },
        )
    try {
        calls.request(request, step.nowMs)
    } catch (error: VoxwireError) {
        return step.expect("error", error.code.name)
    }
    if (step.has("error")) step.fail("there is no error")
}

private fun resultOf(step: Step): CallResult {
    if (!step.has("error")) return CallResult.Output(step.text("output"))
    val code = ErrorCode.valueOf(step.text("error"))
    return CallResult.Error(CallError(code, reason = "", retryable = false))
}

private fun effectJson(effect: Effect): JsonElement =
    json(
        when (effect) {
            is Effect.Moved ->
                mapOf("effect" to "moved", "call_id" to effect.callId, "state" to effect.state)
            is Effect.Terminal ->
                mapOf(
                    "effect" to "terminal",
                    "call_id" to effect.callId,
                    "outcome" to effect.outcome,
                    "output" to effect.output,
                    "error" to effect.error?.code?.name,
                    "duration_ms" to effect.durationMs,
                    "withdraw" to effect.withdraw,
                )
            is Effect.Refused ->
                mapOf("effect" to "refused", "call_id" to effect.callId, "code" to effect.code.name)
            is Effect.Duplicate -> mapOf("effect" to "duplicate", "call_id" to effect.callId)
            is Effect.Late ->
                mapOf(
                    "effect" to "late",
                    "call_id" to effect.callId,
                    "outcome" to effect.outcome,
                    "late_ms" to effect.lateMs,
                )
            is Effect.AskPolicy -> mapOf("effect" to "ask_policy", "call_id" to effect.callId)
        }
    )

private fun runStep(runs: ToolRuns, step: Step) {
    val id = step.text("call_id")
    when (step.op) {
        "request" -> step.expect("run", runs.request(id))
        "withdraw" -> step.expect("run", runs.withdraw(id))
        "finish" -> step.expect("sent", runs.finish(id, CallResult.Output(step.text("output"))))
        "result_of" -> step.expect("output", (runs.resultOf(id) as CallResult.Output?)?.json)
        else -> step.unknown()
    }
}
