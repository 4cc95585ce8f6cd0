package voxwire

import com.google.gson.JsonArray
import com.google.gson.JsonElement
import com.google.gson.JsonNull
import com.google.gson.JsonObject
import com.google.gson.JsonParser
import com.google.gson.JsonPrimitive
import java.io.File

/** Reading and running the cases of `protocol/vectors`; no code under test takes part. */
internal val vectors = File(System.getProperty("voxwire.vectors"))

/** What a case expects, counted; one expectation may be told wrongly: then the case must be red. */
internal class Expectations(private val wrong: Int? = null) {
    var count = 0
        private set

    /** What a case says, or something else. */
    fun told(value: JsonElement): JsonElement =
        if (count++ == wrong) otherwise(value.deepCopy()) else value

    private fun otherwise(value: JsonElement): JsonElement =
        when {
            value is JsonNull -> JsonPrimitive(0)
            value is JsonArray && value.isEmpty -> JsonArray().apply { add(0) }
            value is JsonArray -> value.apply { set(size() - 1, otherwise(last())) }
            value is JsonObject && value.isEmpty -> JsonNull.INSTANCE
            value is JsonObject -> value.apply { keySet().last().let { add(it, otherwise(get(it))) } }
            value.asJsonPrimitive.isBoolean -> JsonPrimitive(!value.asBoolean)
            value.asJsonPrimitive.isNumber -> JsonPrimitive(value.asBigDecimal.inc())
            else -> JsonPrimitive(value.asString + "0")
        }
}

/** A case, or one of its steps. */
internal class Step(
    val fields: JsonObject,
    private val place: String,
    val expectations: Expectations,
) {
    val op: String by lazy { text("op") }
    val nowMs: ULong by lazy { if (has("now_ms")) number("now_ms") else 0u }

    fun has(name: String) = fields.has(name)

    fun value(name: String): JsonElement = fields.get(name) ?: fail("there is no $name")

    fun text(name: String): String = value(name).asString

    fun number(name: String): ULong = text(name).toULong()

    fun uint(name: String): UInt = text(name).toUInt()

    fun decimal(name: String): Double = value(name).asDouble

    fun flag(name: String): Boolean = value(name).asBoolean

    fun wanted(name: String): JsonElement = expectations.told(value(name))

    /** What came of the step is what is expected under that name. */
    fun expect(name: String, actual: Any?) {
        val expected = wanted(name)
        val shown = json(actual)
        if (!same(shown, expected)) fail("$name is $shown, and not $expected")
    }

    /** Every member but `op` is an expectation. */
    fun expectAll(actual: Map<String, Any?>) {
        if (actual.size + 1 != fields.size()) fail("an expectation is not compared")
        actual.forEach { (name, value) -> expect(name, value) }
    }

    fun steps(run: (Step) -> Unit) =
        value("steps").asJsonArray.forEachIndexed { at, step ->
            run(Step(step.asJsonObject, "$place, step $at", expectations))
        }

    /** The options of a case, all of which are read. */
    fun options(count: Int): Step {
        val options = value("options").asJsonObject
        if (options.size() != count) fail("an option is not read")
        return Step(options, place, expectations)
    }

    fun fail(reason: String): Nothing = throw AssertionError("$place: $reason")

    fun unknown(): Nothing = fail("no such op: $op")
}

/** A value as JSON. */
internal fun json(value: Any?): JsonElement =
    when (value) {
        null -> JsonNull.INSTANCE
        is JsonElement -> value
        is Boolean -> JsonPrimitive(value)
        is String -> JsonPrimitive(value)
        is ULong, is UInt, is UShort -> JsonPrimitive(value.toString().toBigInteger())
        is Number -> JsonPrimitive(value)
        is Enum<*> -> JsonPrimitive(value.name.lowercase())
        is List<*> -> JsonArray().apply { value.forEach { add(json(it)) } }
        is Map<*, *> -> JsonObject().apply { value.forEach { (name, one) -> add("$name", json(one)) } }
        else -> error("$value is nothing for JSON")
    }

/** Equality in which 1 and 1.0 are the same number. */
internal fun same(one: JsonElement, other: JsonElement): Boolean =
    when {
        one is JsonArray && other is JsonArray ->
            one.size() == other.size() && one.zip(other).all { (a, b) -> same(a, b) }
        one is JsonObject && other is JsonObject ->
            one.keySet() == other.keySet() && one.keySet().all { same(one[it], other[it]) }
        one is JsonPrimitive && other is JsonPrimitive && one.isNumber && other.isNumber ->
            one.asBigDecimal.compareTo(other.asBigDecimal) == 0
        else -> one == other
    }

internal fun parse(file: File): JsonObject = JsonParser.parseString(file.readText()).asJsonObject

/**
 * Runs a case as it is, and then with expectations told wrongly: the first, some between. Returns how
 * many were.
 */
internal fun runCase(place: String, fields: JsonObject, run: (Step) -> Unit): Int {
    val all = Expectations()
    run(Step(fields, place, all))
    val wrong = (0 until all.count).step(maxOf(1, all.count / 5)).toList()
    wrong.forEach { number ->
        val red = runCatching { run(Step(fields, place, Expectations(number))) }.isFailure
        if (!red) throw AssertionError("$place: green, with expectation $number told wrongly")
    }
    return wrong.size
}

internal fun hex(data: ByteArray): String = data.joinToString("") { "%02x".format(it) }

internal fun unhex(text: String): ByteArray =
    text.chunked(2).map { it.toInt(16).toByte() }.toByteArray()
