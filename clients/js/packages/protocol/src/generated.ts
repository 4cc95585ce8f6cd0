/** The generated declarations under their own names, so that inferred types can be written down. */
export type * from "./gen/voxwire/v1/envelope_pb.js";
export type * from "./gen/voxwire/v1/error_pb.js";
export type * from "./gen/voxwire/v1/files_pb.js";
export type * from "./gen/voxwire/v1/input_pb.js";
export type * from "./gen/voxwire/v1/media_pb.js";
export type * from "./gen/voxwire/v1/metrics_pb.js";
export type * from "./gen/voxwire/v1/session_pb.js";
export type * from "./gen/voxwire/v1/signaling_pb.js";
export type * from "./gen/voxwire/v1/speech_pb.js";
export type * from "./gen/voxwire/v1/tools_pb.js";
export type * from "./gen/voxwire/v1/words_pb.js";
