package voxwire

import com.google.gson.JsonParser
import java.io.File
import java.net.ServerSocket
import kotlin.concurrent.thread
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assumptions.assumeTrue

/** Conversations with a real bot, on a server that `voxwire.live` names. */
internal class LiveTest {
    private companion object {
        const val SESSIONS = 200
    }

    private val heard = mutableListOf<SessionEvent>()

    /** The utterance of the last word, as JSON. */
    private var spoken = ""

    @Test
    fun `a session waits for a place, asks, runs a tool, barges in and comes back`() = runBlocking {
        val url = System.getProperty("voxwire.live").orEmpty()
        assumeTrue(url.isNotEmpty(), "no server is named")
        val tool = ClientTool("show_on_map", "Shows a place.")
        val options = SessionOptions(tools = listOf(tool), connectTimeoutMs = 60_000u)
        val places = mutableListOf<UInt>()
        val session = Session.connect(url, options) { places.add(it.position) }
        assertEquals(1u, places.first())
        val speaker = Speaker(session)
        val reader = launch(Dispatchers.IO) { session.events.collect { synchronized(heard) { heard.add(it) } } }
        session.use {
            until("session_started", session.id)
            session.sendText("what is the weather in Paris")
            until("bot_word", "Paris")
            untilSpoken()
            assertTrue(speaker.sounded > 24_000 / 4)

            session.sendText("show London on the map")
            val call = JsonParser.parseString(until("tool_call", "show_on_map").json).asJsonObject
            val id = call["id"].asString
            val refused = assertFailsWith<VoxwireError> { session.finishTool(id, "{") }
            assertEquals(ErrorCode.INVALID_ARGUMENT, refused.code)
            session.finishTool(id, """{"shown": true}""")
            until("tool_call_ended", "\"outcome\":\"done\"")
            until("bot_word", "London")
            untilSpoken()

            session.sendText("tell me a long story")
            until("bot_word", "")
            session.interrupt()
            until("utterance_ended", "interrupted")

            session.sendText("what is the weather in Rome")
            until("bot_word", "")
            session.dropControl()
            // The words follow the sound, and the sound does not wait for the connection.
            untilAll("connection_changed" to "\"state\":\"connected\"", "bot_word" to "Rome")
            untilSpoken()
            session.end()
            reader.join() // the server's own word that it is over may come too late on a busy machine
            speaker.stop()
            assertTrue(synchronized(heard) { heard.none { it.name == "error" } })
        }
        nothingStays(url)
    }

    /** Many sessions, one after the other, leave no thread, no file and no memory behind. */
    private suspend fun nothingStays(url: String) {
        val options = SessionOptions(transport = Transport.WEB_SOCKET, connectTimeoutMs = 60_000u)
        suspend fun one() = Session.connect(url, options).use { it.end() }
        repeat(SESSIONS / 10) { one() }
        val before = held()
        val startedNs = System.nanoTime()
        repeat(SESSIONS) { one() }
        val tookMs = (System.nanoTime() - startedNs) / 1_000_000
        var after = held()
        for (wait in 0 until 1000) {
            if (after.threads <= before.threads + 2 && after.files <= before.files + 2) break
            delay(10)
            after = held()
        }
        println("$SESSIONS sessions in $tookMs ms: $before, then $after")
        assertTrue(after.threads <= before.threads + 2, "$before, then $after")
        assertTrue(after.files <= before.files + 2, "$before, then $after")
        assertTrue(after.memoryMb <= before.memoryMb + 40, "$before, then $after")
    }

    private data class Held(val threads: Int, val files: Int, val memoryMb: Int)

    /** What the process holds. */
    private fun held(): Held {
        System.gc()
        val status = File("/proc/self/status").readLines()
        val memoryKb = status.first { it.startsWith("VmRSS") }.filter(Char::isDigit).toInt()
        val count = { name: String -> File("/proc/self/$name").list().orEmpty().size }
        return Held(count("task"), count("fd"), memoryKb / 1024)
    }

    @Test
    fun `where nobody answers that is told`() = runBlocking {
        val port = ServerSocket(0).use { it.localPort }
        val error = assertFailsWith<VoxwireError> { Session.connect("ws://127.0.0.1:$port") }
        assertEquals(ErrorCode.UNREACHABLE, error.code)
    }

    @Test
    fun `connecting can be cancelled`() = runBlocking {
        ServerSocket(0).use { silent ->
            val dials = launch(Dispatchers.IO) { Session.connect("ws://127.0.0.1:${silent.localPort}") }
            silent.accept().use { socket ->
                assertTrue(socket.getInputStream().read() >= 0, "it asks")
                withTimeout(10_000) { dials.cancelAndJoin() }
                socket.soTimeout = 10_000
                while (socket.getInputStream().read() >= 0) Unit // it hangs up
            }
        }
    }

    @Test
    fun `what cannot be used is refused at once`() = runBlocking {
        val bad = SessionOptions(metadataJson = "{")
        val error = assertFailsWith<VoxwireError> { Session.connect("ws://127.0.0.1:1", bad) }
        assertEquals(ErrorCode.INVALID_ARGUMENT, error.code)
    }

    /** Waits for an event, of those that were not waited for yet. */
    private suspend fun until(name: String, part: String): SessionEvent = untilAll(name to part)

    /**
     * Waits for the end of the utterance of the last word. Another may end meanwhile: the words are told
     * by this program's own clock, the ends by the server.
     */
    private suspend fun untilSpoken() {
        val end = until("utterance_ended", "\"utterance_id\":$spoken")
        assertEquals("completed", JsonParser.parseString(end.json).asJsonObject["end"].asString)
    }

    /** Waits for these, in any order; returns the last. */
    private suspend fun untilAll(vararg wanted: Pair<String, String>): SessionEvent = withTimeout(60_000) {
        val missing = wanted.toMutableSet()
        while (true) {
            val next = synchronized(heard) { heard.removeFirstOrNull() }
            if (next?.name == "bot_word") {
                spoken = JsonParser.parseString(next.json).asJsonObject["utterance_id"].toString()
            }
            if (next == null) {
                delay(5)
            } else if (missing.removeAll { (name, part) -> next.name == name && part in next.json }) {
                if (missing.isEmpty()) return@withTimeout next
            }
        }
        error("unreachable")
    }

    /** Plays 20 ms every 20 ms, and is a silent microphone. */
    private class Speaker(private val session: Session) {
        @Volatile var sounded = 0

        @Volatile private var stopped = false

        private val player = thread {
            var dueNs = System.nanoTime()
            while (!stopped) {
                val block = session.pull(session.playoutRate.toInt() / 50)
                sounded += block.count { it != 0.toShort() }
                session.push(ShortArray(320))
                dueNs += 20_000_000
                Thread.sleep(((dueNs - System.nanoTime()) / 1_000_000).coerceAtLeast(0))
            }
        }

        fun stop() {
            stopped = true
            player.join()
        }
    }
}
