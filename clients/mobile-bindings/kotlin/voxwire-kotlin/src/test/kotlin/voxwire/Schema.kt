package voxwire

import com.google.gson.JsonElement
import com.google.gson.JsonObject
import com.google.gson.JsonParser
import com.google.protobuf.DescriptorProtos.FileDescriptorSet
import com.google.protobuf.Descriptors.Descriptor
import com.google.protobuf.Descriptors.FileDescriptor
import com.google.protobuf.DynamicMessage
import com.google.protobuf.util.JsonFormat
import java.io.File

/** Protobuf's JSON and bytes, by descriptors alone. */
internal object Schema {
    private val messages: Map<String, Descriptor> = read(File(System.getProperty("voxwire.schema")))

    private fun read(file: File): Map<String, Descriptor> {
        val files = mutableMapOf<String, FileDescriptor>()
        // A file stands behind those that it imports.
        FileDescriptorSet.parseFrom(file.readBytes()).fileList.forEach { one ->
            val imports = one.dependencyList.map(files::getValue).toTypedArray()
            files[one.name] = FileDescriptor.buildFrom(one, imports)
        }
        return files.values.flatMap { it.messageTypes }.associateBy { it.fullName }
    }

    private fun descriptor(message: String) = messages.getValue("voxwire.v1.$message")

    /** The bytes of a message in proto3 JSON. */
    fun bytes(message: String, json: JsonElement): ByteArray {
        val builder = DynamicMessage.newBuilder(descriptor(message))
        JsonFormat.parser().merge(json.toString(), builder)
        return builder.build().toByteArray()
    }

    /** A message in proto3 JSON. */
    fun json(message: String, data: ByteArray): JsonObject {
        val read = DynamicMessage.parseFrom(descriptor(message), data)
        return JsonParser.parseString(JsonFormat.printer().print(read)).asJsonObject
    }

    /** Names of an envelope's payloads. */
    val payloads: List<String>
        get() = descriptor("Envelope").oneofs.single { it.name == "payload" }.fields.map { it.name }
}
