/** protobuf-es' schemas of the same messages: what the codec is held against. */
export * from "../src/gen/voxwire/v1/envelope_pb.js";
export * from "../src/gen/voxwire/v1/error_pb.js";
export * from "../src/gen/voxwire/v1/files_pb.js";
export * from "../src/gen/voxwire/v1/input_pb.js";
export * from "../src/gen/voxwire/v1/media_pb.js";
export * from "../src/gen/voxwire/v1/metrics_pb.js";
export * from "../src/gen/voxwire/v1/session_pb.js";
export * from "../src/gen/voxwire/v1/signaling_pb.js";
export * from "../src/gen/voxwire/v1/speech_pb.js";
export * from "../src/gen/voxwire/v1/tools_pb.js";
export * from "../src/gen/voxwire/v1/words_pb.js";
