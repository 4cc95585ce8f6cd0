package voxwire

import java.io.File
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory

/** The golden cases hold; with an expectation told wrongly, a case is red. */
internal class VectorsTest {
    private val folders =
        mapOf(
            "capture" to ::runCapture,
            "channel" to ::runChannel,
            "clock" to ::runClock,
            "conversation" to ::runConversation,
            "jitter" to ::runJitter,
            "playout" to ::runPlayout,
            "tools" to ::runTools,
            "words" to ::runWords,
        )

    @Test
    fun `every folder of vectors has a reader`() {
        val found = vectors.listFiles(File::isDirectory)!!.map { it.name }.filter { it[0] != '_' }
        // rtvi/ belongs to the server's gateway, quality/ to a client that measures, addresses/ to
        // one that dials and diagnosis/ to one that looks for what is wrong, which come later; wire/ is read by itself.
        val unread = setOf("addresses", "diagnosis", "quality", "rtvi", "wire")
        assertEquals(folders.keys + unread, found.toSet())
    }

    @TestFactory
    fun scripts(): List<DynamicTest> =
        folders.flatMap { (folder, run) ->
            val files = File(vectors, folder).listFiles()!!.sortedBy { it.name }
            files.map { file ->
                val place = "$folder/${file.nameWithoutExtension}"
                dynamicTest(place) {
                    assertTrue(runCase(place, parse(file), run) > 0, "$place expects nothing")
                }
            }
        }

    @TestFactory
    fun wire(): List<DynamicTest> =
        Schema.payloads.map { name ->
            val folder = File(vectors, "wire")
            dynamicTest("wire/$name") {
                val data = File(folder, "$name.binpb").readBytes()
                runCase("wire/$name", parse(File(folder, "$name.json"))) { runWire(it, name, data) }
            }
        }

    @Test
    fun `there is one case for every payload`() {
        val wanted = Schema.payloads.flatMap { listOf("$it.json", "$it.binpb") }
        assertEquals(wanted.toSet(), File(vectors, "wire").list()!!.toSet())
    }
}
