import kotlin.test.Test
import kotlin.test.assertTrue

internal class SetupTest {
    @Test
    fun `what the tests need is there`() {
        nothing()
        assertTrue(com.google.gson.JsonParser.parseString("{}").isJsonObject)
        com.google.protobuf.util.JsonFormat.parser()
    }
}
