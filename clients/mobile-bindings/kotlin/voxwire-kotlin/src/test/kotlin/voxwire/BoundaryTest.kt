package voxwire

import kotlin.concurrent.thread
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNotNull
import kotlin.test.assertTrue

/** What holds for every verb: typed errors, no crash, any thread. */
internal class BoundaryTest {
    private fun code(verb: () -> Unit) = assertFailsWith<VoxwireError> { verb() }.code

    @Test
    fun `an error has a code and a reason`() {
        val error = assertFailsWith<VoxwireError> { Channel(ChannelOptions(Side.SERVER, 1u)) }
        assertEquals(ErrorCode.INVALID_ARGUMENT, error.code)
        assertEquals("invalid_argument", error.code.wireName)
        assertTrue("128" in error.reason)
        assertEquals(ErrorCode.MALFORMED, code { inspect(byteArrayOf(-1, -1)) })
        assertEquals(ErrorCode.INVALID_ARGUMENT, code { encodeWords(emptyList(), "", 0u, 0u) })
    }

    @Test
    fun `what was refused is told with what is deliverable`() {
        Channel(peer = Side.CLIENT).use { channel ->
            val receipt = channel.receive(byteArrayOf(-1), 0u)
            assertEquals(ErrorCode.MALFORMED, assertNotNull(receipt.refusal).code)
            assertTrue(receipt.messages.isEmpty())
        }
    }

    @Test
    fun `a panic is an error and the object stays unusable`() {
        Capture(sampleRate = 16_000u).use { capture ->
            capture.mute(ULong.MAX_VALUE)
            assertEquals(ErrorCode.INTERNAL, code { capture.mute(1u) })
            assertEquals(ErrorCode.INTERNAL, code { capture.park() })
        }
        Capture(sampleRate = 16_000u).use { it.mute(1u) }
    }

    @Test
    fun `any thread may call an object`() {
        ToolRuns().use { runs ->
            val threads = (0 until 8).map { number -> thread { runs.request("call-$number") } }
            threads.forEach(Thread::join)
            assertEquals(8, runs.running.size)
        }
    }

    @Test
    fun `the library is that of the Kotlin`() {
        assertEquals(1u, nativeAbiVersion())
    }
}
