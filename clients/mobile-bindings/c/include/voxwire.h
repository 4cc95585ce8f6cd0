// Voxwire for C and C++: conversations with bots (`voxwire_session_*`), and the pure cores that they are
// made of. These have no socket, no thread and no clock: bytes and values go in and come out; time is
// an argument. Messages are the bytes of `voxwire.v1.Envelope` (protocol/proto).
//
// Version: call `voxwire_check_abi(VOXWIRE_ABI_VERSION)` before anything else.
//
// Errors: every function but `*_free` says how it went. `VOXWIRE_OK` is success; any other code is one
// of protocol/spec/errors.md, the same as in every language, and `voxwire_last_error()` has the reason.
// What is refused changes nothing. No panic crosses the boundary: it is `INTERNAL`, and the object at
// fault answers every later call with it (a session goes on).
//
// Memory: what `*_new` makes is yours until you hand it to the `*_free` of its type (null is allowed
// there). Everything that a call hands out through a pointer belongs to the object of the call: it
// lasts until the next call on that object, whichever, or its `*_free`. Copy what you keep. An
// argument is read during the call only; it may be what the same object has handed out. An `out`
// pointer may be null when you do not want the value.
//
// Texts are UTF-8, with a length and without a zero at the end.
//
// Threads: an object is used by one thread at a time; which one may change; a session alone by several
// at once. Different objects do not know of each other. Sessions run on two threads of the library. `voxwire_last_error` is that of the calling thread.
//
// Written by cbindgen from clients/mobile-bindings/ffi; do not edit.


#ifndef VOXWIRE_H
#define VOXWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VOXWIRE_OK VOXWIRE_ERROR_CODE_UNSPECIFIED


// What a header, or a Kotlin or Swift file, was made for. It changes whenever something that was
// there is not there any more, or is not what it was.
#define VOXWIRE_ABI_VERSION 1

// What went wrong (`protocol/spec/errors.md`), by its number in the schema.
typedef enum VoxwireErrorCode {
  // No error, or one that this version does not know.
  VOXWIRE_ERROR_CODE_UNSPECIFIED = 0,
  // An argument is out of its documented range.
  VOXWIRE_ERROR_CODE_INVALID_ARGUMENT = 1,
  // The verb does not fit the state (for instance sending on an ended session).
  VOXWIRE_ERROR_CODE_INVALID_STATE = 2,
  // An optional part is not installed; the reason names the install command.
  VOXWIRE_ERROR_CODE_MISSING_EXTRA = 3,
  // The peer did not offer the feature that the verb needs.
  VOXWIRE_ERROR_CODE_UNSUPPORTED = 4,
  // No token, or one that is not valid here.
  VOXWIRE_ERROR_CODE_UNAUTHORIZED = 20,
  // The token is valid but does not allow this.
  VOXWIRE_ERROR_CODE_FORBIDDEN = 21,
  // The server is full or the token's quota is used up; retry_after_ms says when.
  VOXWIRE_ERROR_CODE_CAPACITY = 22,
  // Too many attempts from this address or token; retry_after_ms says when.
  VOXWIRE_ERROR_CODE_RATE_LIMITED = 23,
  // The session is gone: its grace period is over or it never existed.
  VOXWIRE_ERROR_CODE_SESSION_EXPIRED = 24,
  // A newer attach took the session over.
  VOXWIRE_ERROR_CODE_SUPERSEDED = 25,
  // The session reached the longest duration that its token or the server allows.
  VOXWIRE_ERROR_CODE_DURATION_LIMIT = 26,
  // The server is shutting down or handing sessions over.
  VOXWIRE_ERROR_CODE_GOING_AWAY = 27,
  // The SDP cannot be used.
  VOXWIRE_ERROR_CODE_BAD_SDP = 40,
  // No candidate pair connected within the deadline.
  VOXWIRE_ERROR_CODE_ICE_FAILED = 41,
  // TURN refused the credentials or the allocation.
  VOXWIRE_ERROR_CODE_TURN_FAILED = 42,
  // The server cannot be reached.
  VOXWIRE_ERROR_CODE_UNREACHABLE = 50,
  // The wire broke and was not resumed in time.
  VOXWIRE_ERROR_CODE_CONNECTION_LOST = 51,
  // An operation passed its deadline.
  VOXWIRE_ERROR_CODE_TIMEOUT = 52,
  // A device cannot be opened or was taken away.
  VOXWIRE_ERROR_CODE_DEVICE = 60,
  // The user or the system refused the microphone.
  VOXWIRE_ERROR_CODE_PERMISSION_DENIED = 61,
  // An audio format that the path does not carry.
  VOXWIRE_ERROR_CODE_UNSUPPORTED_FORMAT = 62,
  // Audio came faster than real time; the excess was dropped.
  VOXWIRE_ERROR_CODE_AUDIO_OVERRUN = 63,
  // Bytes that are not a valid message.
  VOXWIRE_ERROR_CODE_MALFORMED = 70,
  // A message above the receiver's limit.
  VOXWIRE_ERROR_CODE_TOO_LARGE = 71,
  // A message that this side may not send, or not now.
  VOXWIRE_ERROR_CODE_UNEXPECTED_MESSAGE = 72,
  // No protocol version in common.
  VOXWIRE_ERROR_CODE_VERSION = 73,
  // The bot raised an exception; its session is over.
  VOXWIRE_ERROR_CODE_BOT_FAILED = 80,
  // A service behind the bot (STT, LLM, TTS) failed; the session goes on.
  VOXWIRE_ERROR_CODE_SERVICE_FAILED = 81,
  // A tool call failed.
  VOXWIRE_ERROR_CODE_TOOL_FAILED = 82,
  // A result for a call that is not open.
  VOXWIRE_ERROR_CODE_TOOL_CLOSED = 83,
  // A fault of the server itself.
  VOXWIRE_ERROR_CODE_INTERNAL = 99,
} VoxwireErrorCode;

// What to do with a request or a withdrawal of a tool call.
typedef enum VoxwireRun {
  // Run the tool; say `ToolAccepted` first.
  VOXWIRE_RUN_START,
  // It runs already: say `ToolAccepted` again.
  VOXWIRE_RUN_RUNNING,
  // It ran: send its result again, if it is still kept.
  VOXWIRE_RUN_FINISHED,
  // Stop the tool.
  VOXWIRE_RUN_STOP,
  // Nothing.
  VOXWIRE_RUN_IGNORE,
} VoxwireRun;

// What a verb tells of a call.
typedef enum VoxwireEffectKind {
  // It went on to a state that is not final: `state`.
  VOXWIRE_EFFECT_KIND_MOVED,
  // It ended; exactly once for each call. `name`, `executor`, `outcome`, `result` (`output` or an
  // error, if any), `reason` when cancelled, `duration_ms` since the request, `withdraw`.
  VOXWIRE_EFFECT_KIND_TERMINAL,
  // A message about it had no effect; its sender is told so: `code`.
  VOXWIRE_EFFECT_KIND_REFUSED,
  // The result that ended it, once more.
  VOXWIRE_EFFECT_KIND_DUPLICATE,
  // A genuine result after its end: `name`, `outcome`, `result`, `duration_ms` since the end.
  VOXWIRE_EFFECT_KIND_LATE,
  // The bot was interrupted and decides: `name`.
  VOXWIRE_EFFECT_KIND_ASK_POLICY,
} VoxwireEffectKind;

// What a piece of a block is.
typedef enum VoxwireSpanKind {
  // Bot audio at its position.
  VOXWIRE_SPAN_KIND_PLAYED,
  // Silence that the media clock holds between two pieces; the position moves on.
  VOXWIRE_SPAN_KIND_GAP,
  // Made up to hide that audio is late; the position stands still.
  VOXWIRE_SPAN_KIND_CONCEALED,
  // Nothing to play; the position stands still.
  VOXWIRE_SPAN_KIND_SILENT,
} VoxwireSpanKind;

// Whether a word was heard.
typedef enum VoxwireWordState {
  // Not reached yet.
  VOXWIRE_WORD_STATE_UNHEARD,
  // This speaker reached it, or the server says that it was heard.
  VOXWIRE_WORD_STATE_HEARD,
  // It was never heard.
  VOXWIRE_WORD_STATE_CUT,
} VoxwireWordState;

// How far an utterance in the log has come.
typedef enum VoxwireLoggedEnd {
  // It goes on.
  VOXWIRE_LOGGED_END_SPEAKING,
  // Heard to its end.
  VOXWIRE_LOGGED_END_COMPLETED,
  // Cut off.
  VOXWIRE_LOGGED_END_INTERRUPTED,
  // Cut before a word of it was heard.
  VOXWIRE_LOGGED_END_UNHEARD,
} VoxwireLoggedEnd;

// How far a call in the log has come.
typedef enum VoxwireCallStatus {
  // It runs.
  VOXWIRE_CALL_STATUS_RUNNING,
  // It ended with a result.
  VOXWIRE_CALL_STATUS_DONE,
  // It ended with an error.
  VOXWIRE_CALL_STATUS_FAILED,
  // It was withdrawn.
  VOXWIRE_CALL_STATUS_CANCELLED,
  // Its deadline passed.
  VOXWIRE_CALL_STATUS_TIMED_OUT,
  // The server that ran it is no more, and nobody knows.
  VOXWIRE_CALL_STATUS_LOST,
} VoxwireCallStatus;

// Where a call is; the last four are final.
typedef enum VoxwireCallState {
  // Asked for.
  VOXWIRE_CALL_STATE_REQUESTED,
  // Its executor has taken it.
  VOXWIRE_CALL_STATE_ACCEPTED,
  // Its executor says that it runs.
  VOXWIRE_CALL_STATE_RUNNING,
  // Ended with a result.
  VOXWIRE_CALL_STATE_DONE,
  // Ended with an error.
  VOXWIRE_CALL_STATE_FAILED,
  // Withdrawn before it finished.
  VOXWIRE_CALL_STATE_CANCELLED,
  // Its deadline passed.
  VOXWIRE_CALL_STATE_TIMED_OUT,
} VoxwireCallState;

// Which side runs a tool.
typedef enum VoxwireExecutor {
  // The bot.
  VOXWIRE_EXECUTOR_SERVER,
  // This program.
  VOXWIRE_EXECUTOR_CLIENT,
} VoxwireExecutor;

// What an interruption of the bot does to a call.
typedef enum VoxwireOnInterruption {
  // It is cancelled.
  VOXWIRE_ON_INTERRUPTION_CANCEL,
  // It finishes and its result is kept.
  VOXWIRE_ON_INTERRUPTION_FINISH,
  // The bot is asked.
  VOXWIRE_ON_INTERRUPTION_ASK,
} VoxwireOnInterruption;

// One of the two sides of a session.
typedef enum VoxwireSide {
  // The user's program.
  VOXWIRE_SIDE_CLIENT,
  // The bot's.
  VOXWIRE_SIDE_SERVER,
} VoxwireSide;

// Where the times of a word come from.
typedef enum VoxwireTimingSource {
  // Not said, or unknown to this version.
  VOXWIRE_TIMING_SOURCE_UNSPECIFIED,
  // The synthesiser gave a time for every word.
  VOXWIRE_TIMING_SOURCE_PROVIDER_WORD,
  // The synthesiser gave a time for every character.
  VOXWIRE_TIMING_SOURCE_PROVIDER_CHAR,
  // An aligner found the words in the audio.
  VOXWIRE_TIMING_SOURCE_FORCED_ALIGNMENT,
  // Fitted to the audio's speech and pauses.
  VOXWIRE_TIMING_SOURCE_ESTIMATED,
  // The moment of arrival (a stock peer without times).
  VOXWIRE_TIMING_SOURCE_ARRIVAL,
} VoxwireTimingSource;

// How a call ended.
typedef enum VoxwireToolOutcome {
  // It did not.
  VOXWIRE_TOOL_OUTCOME_UNSPECIFIED,
  // With a result.
  VOXWIRE_TOOL_OUTCOME_DONE,
  // With an error.
  VOXWIRE_TOOL_OUTCOME_FAILED,
  // Withdrawn.
  VOXWIRE_TOOL_OUTCOME_CANCELLED,
  // Its deadline passed.
  VOXWIRE_TOOL_OUTCOME_TIMED_OUT,
  // The server that ran it is no more, and nobody knows.
  VOXWIRE_TOOL_OUTCOME_LOST,
} VoxwireToolOutcome;

// What carries the audio of a session.
typedef enum VoxwireTransport {
  // WebRTC, or the WebSocket where that does not come about; WebRTC again when it does.
  VOXWIRE_TRANSPORT_AUTO,
  // WebRTC alone.
  VOXWIRE_TRANSPORT_WEB_RTC,
  // The WebSocket of the control channel.
  VOXWIRE_TRANSPORT_WEB_SOCKET,
} VoxwireTransport;

// Keeps one session's microphone and says what of it is to be sent next. Audio is int16 mono, of
// the machine's byte order; times are milliseconds of one monotonic clock, of any origin.
typedef struct VoxwireCapture VoxwireCapture;

// One side of a session's numbered message exchange. Times are milliseconds of one monotonic
// clock, of any origin.
typedef struct VoxwireChannel VoxwireChannel;

// Estimates the peer's clock from pings that this side sends. Times are microseconds of each
// side's own monotonic clock.
typedef struct VoxwireClock VoxwireClock;

// The turn log of one session.
typedef struct VoxwireConversation VoxwireConversation;

// Orders the packets of one RTP audio stream; waits for holes, never for packets in order. Times
// are milliseconds, with fractions, of one monotonic clock.
typedef struct VoxwireJitter VoxwireJitter;

// Adaptive playout buffer of one track; owned by one player. Audio is int16 mono, of the machine's
// byte order; positions are samples on the media clock.
typedef struct VoxwirePlayout VoxwirePlayout;

// One conversation with a bot. **Several threads may call it at once**: one that waits for events,
// one of sound, others. What `voxwire_session_next` hands out lasts until it is called again.
typedef struct VoxwireSession VoxwireSession;

// Words of the bot on the media clock; owned by one session. Times are milliseconds of the media
// clock, positions in a text Unicode code points.
typedef struct VoxwireTimeline VoxwireTimeline;

// The calls of one session, on the side that asks: a client's tests of its own tools stand on it.
// Times are milliseconds of one monotonic clock, of any origin.
typedef struct VoxwireToolCalls VoxwireToolCalls;

// The calls that this side executes; owned by the session. Each runs at most once.
typedef struct VoxwireToolRuns VoxwireToolRuns;

// UTF-8 that is not ended by a zero; `data` is null for a text that is not there.
typedef struct VoxwireText {
  // The first byte.
  const char *data;
  // How many bytes there are.
  size_t len;
} VoxwireText;

// Why a call failed.
typedef struct VoxwireError {
  // What is wrong.
  enum VoxwireErrorCode code;
  // Number of the message at fault; 0 = unknown or not numbered.
  uint64_t seq;
  // One sentence for a developer; never echoes what was given.
  struct VoxwireText reason;
} VoxwireError;

// Bounds of what a channel keeps for a replay and holds behind a gap.
typedef struct VoxwireReplayLimits {
  // Most messages kept; also how far ahead of a gap a number may be.
  uint64_t messages;
  // Most bytes kept, and most bytes held behind a gap.
  uint64_t total_bytes;
  // How long a message is kept, milliseconds.
  uint64_t age_ms;
} VoxwireReplayLimits;

// Sizes and limits of a channel.
typedef struct VoxwireChannelOptions {
  // Who the other side is (`VoxwireSide`): it decides which payloads may be received.
  int32_t peer;
  // Largest envelope that the peer accepts, bytes; at least 128.
  uint64_t max_send_bytes;
  // Largest envelope accepted from the peer, bytes.
  uint64_t max_receive_bytes;
  // Largest chunked message in either direction, bytes.
  uint64_t max_message_bytes;
  // Bounds of what is kept and held.
  struct VoxwireReplayLimits limits;
} VoxwireChannelOptions;

// Where a channel is; `UINT64_MAX` stands for a time that there is not.
typedef struct VoxwireChannelState {
  // Highest number received without a gap; 0 = none.
  uint64_t last_received;
  // Highest number sent; 0 = none.
  uint64_t last_sent;
  // How many sent messages the peer has not acknowledged.
  uint64_t unacknowledged;
  // When `voxwire_channel_outgoing` wants to be called next, milliseconds.
  uint64_t next_due_ms;
  // When the oldest message that is kept for a replay was sent, milliseconds.
  uint64_t waiting_since_ms;
  // Largest envelope that the peer accepts, bytes.
  uint64_t max_send_bytes;
  // Envelopes that came with a payload that this version does not know.
  uint64_t unknown_payloads;
  // Fields that came and that this version does not know, at any depth.
  uint64_t unknown_fields;
} VoxwireChannelState;

// Some bytes; `data` is null for bytes that are not there.
typedef struct VoxwireBytes {
  // The first one.
  const uint8_t *data;
  // How many there are.
  size_t len;
} VoxwireBytes;

// Several pieces of bytes, in order.
typedef struct VoxwireBytesList {
  // The first one.
  const struct VoxwireBytes *items;
  // How many there are.
  size_t len;
} VoxwireBytesList;

// A message that was delivered.
typedef struct VoxwireReceived {
  // Number of its payload in the schema; 0 = one that this version does not know.
  uint32_t payload;
  // Its number; of a chunked one that of its last chunk. 0 = not numbered.
  uint64_t seq;
  // The envelope, without what this version does not know.
  struct VoxwireBytes envelope;
  // The envelope as it came, when there is something in it that this version does not know.
  struct VoxwireBytes encoded;
} VoxwireReceived;

// Messages that were delivered, in order.
typedef struct VoxwireReceivedList {
  // The first one.
  const struct VoxwireReceived *items;
  // How many there are.
  size_t len;
} VoxwireReceivedList;

// What can be said of an envelope without its payload.
typedef struct VoxwireEnvelopeInfo {
  // Its number; 0 = not numbered.
  uint64_t seq;
  // Highest number that its sender has received; 0 = not said.
  uint64_t ack;
  // Number of its payload in the schema; 0 = none, or one that this version does not know.
  uint32_t payload;
  // True for a payload that is numbered, acknowledged and replayed.
  bool reliable;
  // Whether a client may send it.
  bool from_client;
  // Whether a server may send it.
  bool from_server;
  // True when its payload is one that this version does not know.
  bool unknown_payload;
  // Fields that this version does not know, at any depth.
  uint64_t unknown_fields;
} VoxwireEnvelopeInfo;

// A word of an utterance with its place on the media clock.
typedef struct VoxwireTimedWord {
  // The utterance.
  struct VoxwireText utterance_id;
  // Position in the utterance, from 0.
  uint32_t index;
  // The word, with the punctuation that belongs to it.
  struct VoxwireText text;
  // First character in the utterance's text.
  uint32_t char_start;
  // End, exclusive.
  uint32_t char_end;
  // Onset.
  uint64_t start_ms;
  // End.
  uint64_t end_ms;
  // True when the end was not measured.
  bool end_estimated;
  // Where the times come from (`VoxwireTimingSource`).
  int32_t source;
} VoxwireTimedWord;

// Several words, in order.
typedef struct VoxwireTimedWordList {
  // The first one.
  const struct VoxwireTimedWord *items;
  // How many there are.
  size_t len;
} VoxwireTimedWordList;

// The heard prefix of one utterance.
typedef struct VoxwireHeard {
  // The utterance.
  struct VoxwireText utterance_id;
  // How many of its words were heard, from the first.
  uint64_t words;
  // End of the heard text; 0 = nothing.
  uint32_t char_end;
  // Position that was heard up to.
  uint64_t media_ms;
} VoxwireHeard;

// Several heard prefixes, in order.
typedef struct VoxwireHeardList {
  // The first one.
  const struct VoxwireHeard *items;
  // How many there are.
  size_t len;
} VoxwireHeardList;

// Several texts, in order.
typedef struct VoxwireTextList {
  // The first one.
  const struct VoxwireText *items;
  // How many there are.
  size_t len;
} VoxwireTextList;

// What a tool gave: `output`, or an error when that is null; neither when nothing was given.
typedef struct VoxwireCallResult {
  // What it returned, JSON text.
  struct VoxwireText output;
  // What went wrong (`VoxwireErrorCode`); 0 with an output.
  int32_t error;
  // Why; may be the client's own words, so it is content.
  struct VoxwireText reason;
  // True when the same call may succeed later.
  bool retryable;
} VoxwireCallResult;

// Times and limits of the calls of one session.
typedef struct VoxwireToolCallsOptions {
  // Longest run of a call that does not say it, milliseconds.
  uint64_t default_timeout_ms;
  // Time in which a client must take a request, milliseconds.
  uint64_t accept_within_ms;
  // Most calls that may be open at once.
  uint64_t max_open;
  // Largest result, bytes of UTF-8; a larger one fails the call.
  uint64_t max_result_bytes;
} VoxwireToolCallsOptions;

// A call as it is opened, and as it was made.
typedef struct VoxwireToolCall {
  // Names the call, unique in the session.
  struct VoxwireText call_id;
  // The tool.
  struct VoxwireText name;
  // Who runs it (`VoxwireExecutor`).
  int32_t executor;
  // JSON object, as text.
  struct VoxwireText arguments;
  // Unguessable bytes for a client's call, at least 16; none for a call that the server runs.
  struct VoxwireBytes call_token;
  // What an interruption does to it (`VoxwireOnInterruption`).
  int32_t policy;
  // Of one that is opened: longest run, milliseconds; 0 = the default. Not looked at later.
  uint64_t timeout_ms;
  // Of one that was made: when it was opened, milliseconds.
  uint64_t requested_ms;
  // Of one that was made: when it times out, whatever happens, milliseconds.
  uint64_t deadline_ms;
} VoxwireToolCall;

// Several calls, oldest first.
typedef struct VoxwireToolCallList {
  // The first one.
  const struct VoxwireToolCall *items;
  // How many there are.
  size_t len;
} VoxwireToolCallList;

// What a verb tells; which fields count is said by its kind.
typedef struct VoxwireToolEffect {
  // What it is.
  enum VoxwireEffectKind kind;
  // The call.
  struct VoxwireText call_id;
  // The tool.
  struct VoxwireText name;
  // `VoxwireExecutor`.
  int32_t executor;
  // `VoxwireCallState`.
  int32_t state;
  // `VoxwireToolOutcome`.
  int32_t outcome;
  // What was refused.
  enum VoxwireErrorCode code;
  // What the tool gave.
  struct VoxwireCallResult result;
  // Why, when cancelled.
  struct VoxwireText reason;
  // Milliseconds.
  uint64_t duration_ms;
  // True when the client still holds the call and is to be sent `ToolCancel`.
  bool withdraw;
} VoxwireToolEffect;

// Several effects, in order.
typedef struct VoxwireToolEffectList {
  // The first one.
  const struct VoxwireToolEffect *items;
  // How many there are.
  size_t len;
} VoxwireToolEffectList;

// What the kept microphone has come to, samples.
typedef struct VoxwireCaptureState {
  // Number of the sample that is captured next.
  uint64_t next_index;
  // Samples that a path has yet to send; 0 without a path.
  uint64_t waiting_samples;
  // Samples that the server will never have because they became too old to be kept.
  uint64_t lost_samples;
} VoxwireCaptureState;

// Samples, int16 mono.
typedef struct VoxwireSamples {
  // The first one.
  const int16_t *data;
  // How many there are.
  size_t len;
} VoxwireSamples;

// Asks the peer for its clock (`Ping`).
typedef struct VoxwirePing {
  // Pairs it with its answer.
  uint32_t number;
  // When it was sent, microseconds of the sender's clock.
  uint64_t t0_us;
} VoxwirePing;

// Answers a ping (`Pong`).
typedef struct VoxwirePong {
  // Of the ping.
  uint32_t number;
  // Of the ping, microseconds.
  uint64_t t0_us;
  // When the ping came, microseconds of the answering clock.
  uint64_t t1_us;
  // When the answer was sent, microseconds of the answering clock.
  uint64_t t2_us;
} VoxwirePong;

// One exchange of clocks, or the best of them.
typedef struct VoxwireClockSample {
  // Peer's clock minus ours, microseconds, rounded down.
  int64_t offset_us;
  // Round trip without the peer's own delay, microseconds.
  uint64_t rtt_us;
} VoxwireClockSample;

// What a jitter buffer is made with.
typedef struct VoxwireJitterOptions {
  // Ticks of the RTP timestamp per second (Opus: 48000), at least 1000.
  uint32_t clock_rate;
  // How long a hole is waited for on a quiet network, milliseconds.
  double min_target_ms;
  // The longest that a hole is waited for, milliseconds.
  double max_target_ms;
  // Packets held behind a hole; when reached, the hole is given up. At least 1.
  uint64_t capacity;
} VoxwireJitterOptions;

// A packet in its place, or a hole that is not waited for any more.
typedef struct VoxwireJitterItem {
  // True for a hole: `timestamp` is that of its first sample, `samples` how much to conceal.
  bool gap;
  // Of a packet: as on the wire.
  uint16_t sequence_number;
  // RTP timestamp of the first sample, ticks of the clock rate.
  uint32_t timestamp;
  // Of a hole: ticks of the clock rate.
  uint32_t samples;
  // Of a packet: what was pushed, unchanged.
  struct VoxwireBytes payload;
} VoxwireJitterItem;

// Several items, in order.
typedef struct VoxwireJitterItemList {
  // The first one.
  const struct VoxwireJitterItem *items;
  // How many there are.
  size_t len;
} VoxwireJitterItemList;

// Counters of a jitter buffer since its start, packets unless the name says otherwise.
typedef struct VoxwireJitterStats {
  // Everything that was pushed.
  uint64_t received;
  // Declared missing, those that came too late included.
  uint64_t lost;
  // Dropped: too late, no part of the stream, or no room.
  uint64_t late;
  // Dropped because the same packet was here already.
  uint64_t duplicates;
  // Audio handed out as gaps, milliseconds.
  uint64_t concealed_ms;
  // How long a hole is waited for now, milliseconds.
  uint64_t target_ms;
} VoxwireJitterStats;

// What a playout buffer is made with.
typedef struct VoxwirePlayoutOptions {
  // Of everything pushed and pulled, Hz; at least 1000.
  uint32_t sample_rate;
  // Delay to start with, milliseconds; grows to `max_target_ms` on underruns, decays again.
  uint32_t target_ms;
  // Longest delay, milliseconds.
  uint32_t max_target_ms;
  // True for a stream that sends silence too (decoded RTP).
  bool continuous;
} VoxwirePlayoutOptions;

// Where a playout buffer is, and what has happened to the audio.
typedef struct VoxwirePlayoutState {
  // Position of the next sample to sound, samples on the media clock.
  uint64_t position;
  // Audio that is gathered before playing starts, milliseconds.
  uint32_t target_ms;
  // Audio received but not yet handed out, milliseconds.
  uint64_t buffered_ms;
  // Audio made up to hide gaps, milliseconds.
  uint64_t concealed_ms;
  // How often audio came too late.
  uint64_t underruns;
  // Samples dropped because their position had passed or was flushed.
  uint64_t late_samples;
  // Samples dropped because they lay too far ahead or were too many.
  uint64_t refused_samples;
  // Silence given up to catch up with a continuous stream, samples.
  uint64_t trimmed_samples;
  // True while audio is handed out.
  bool playing;
  // True when pulling gives silence and changes nothing, until something is pushed.
  bool idle;
} VoxwirePlayoutState;

// A piece of a block for a speaker.
typedef struct VoxwireSpan {
  // Where in the block it begins, samples.
  uint64_t offset;
  // How long it is, samples.
  uint64_t length;
  // Where on the media clock it is, samples; stands still in what is concealed or silent.
  uint64_t position;
  // What it is.
  enum VoxwireSpanKind kind;
} VoxwireSpan;

// What the speaker plays next.
typedef struct VoxwireBlock {
  // The samples.
  struct VoxwireSamples samples;
  // What they are; together they cover the block.
  const struct VoxwireSpan *spans;
  // How many spans there are.
  size_t num_spans;
  // Position after the block.
  uint64_t position;
} VoxwireBlock;

// A word of the bot.
typedef struct VoxwireLoggedWord {
  // Position in the utterance, from 0.
  uint32_t index;
  // The word, with the punctuation that belongs to it.
  struct VoxwireText text;
  // Onset, media clock, milliseconds.
  uint64_t start_ms;
  // End, media clock, milliseconds.
  uint64_t end_ms;
  // Whether it was heard.
  enum VoxwireWordState state;
} VoxwireLoggedWord;

// One stretch of the bot's speech.
typedef struct VoxwireLoggedUtterance {
  // The utterance.
  struct VoxwireText id;
  // Its words by index.
  const struct VoxwireLoggedWord *words;
  // How many there are.
  size_t num_words;
  // The text as the bot wrote it; words are pieces of it.
  struct VoxwireText text;
  // How far it has come.
  enum VoxwireLoggedEnd end;
} VoxwireLoggedUtterance;

// A tool call, whoever runs it.
typedef struct VoxwireLoggedCall {
  // The call.
  struct VoxwireText id;
  // The tool.
  struct VoxwireText name;
  // Arguments, JSON object; none unless the server shows them.
  struct VoxwireText arguments_json;
  // How far it has come.
  enum VoxwireCallStatus status;
  // Result, JSON; none unless the server shows it.
  struct VoxwireText result_json;
  // How long it ran, milliseconds; `UINT32_MAX` while it does.
  uint32_t duration_ms;
  // True when this client runs it.
  bool own;
  // What this client said last about it; none if it did not.
  struct VoxwireText progress;
} VoxwireLoggedCall;

// What one side said until the other had the floor.
typedef struct VoxwireLoggedTurn {
  // Names the turn in the log.
  struct VoxwireText id;
  // True for the user's: `text`, `is_final` and `typed` count; for the bot's the rest does.
  bool user;
  // What the user said.
  struct VoxwireText text;
  // True when it will not change any more.
  bool is_final;
  // True when it was typed.
  bool typed;
  // True when the bot was cut off.
  bool interrupted;
  // What the bot said.
  const struct VoxwireLoggedUtterance *utterances;
  // How many there are.
  size_t num_utterances;
  // The tools that it called.
  const struct VoxwireLoggedCall *tool_calls;
  // How many there are.
  size_t num_tool_calls;
  // What was heard, of a turn that was taken from a snapshot; none of another.
  struct VoxwireText heard_text;
  // What was never heard, of a turn that was taken from a snapshot; none of another.
  struct VoxwireText unheard_text;
} VoxwireLoggedTurn;

// Turns, oldest first.
typedef struct VoxwireLoggedTurnList {
  // The first one.
  const struct VoxwireLoggedTurn *items;
  // How many there are.
  size_t len;
} VoxwireLoggedTurnList;

// A function of this program that the bot may call: a call is an event.
typedef struct VoxwireClientTool {
  // At most 64 letters, digits, `_` and `-`.
  struct VoxwireText name;
  // What it does, for the language model; at most 2000 characters.
  struct VoxwireText description;
  // JSON Schema of its arguments, an object; without a text any object.
  struct VoxwireText parameters_json;
  // Longest run, milliseconds; 0 = the server's default (10 s).
  uint64_t timeout_ms;
  // What an interruption of the bot does to a call, a `VoxwireOnInterruption`.
  int32_t on_interruption;
} VoxwireClientTool;

// What the caller wants of a session; see `voxwire_session_defaults`.
typedef struct VoxwireSessionOptions {
  // Connect token; empty where the server asks for none.
  struct VoxwireText token;
  // Name of the bot; empty = the only one of the server.
  struct VoxwireText bot;
  // Application data for the bot, a JSON object; empty = none.
  struct VoxwireText metadata_json;
  // What carries the audio, a `VoxwireTransport`.
  int32_t transport;
  // What the bot may have called here.
  const struct VoxwireClientTool *tools;
  // How many tools there are.
  size_t num_tools;
  // Longest wait until the session is up, tries of a busy server included, milliseconds.
  uint64_t connect_timeout_ms;
  // How long it waits for a place where the server has none and lets clients wait, in all and
  // beyond `connect_timeout_ms`, milliseconds; 0 = it does not, and is refused at once.
  uint64_t waiting_timeout_ms;
  // True = a lost connection is dialled again and the session goes on.
  bool resume;
  // Longest time to try, milliseconds; `UINT64_MAX` = as long as the server keeps a session.
  uint64_t resume_timeout_ms;
  // Certificates in PEM that the server's is checked against; no bytes = the system's.
  struct VoxwireBytes roots_pem;
  // The HTTP proxy: a URL, empty = none; without a text the one that the environment names.
  struct VoxwireText proxy;
} VoxwireSessionOptions;

// What a session tells. Without a name there was nothing.
typedef struct VoxwireSessionEvent {
  // Its name, as in every client: `bot_word`. Beside those of a conversation there are `waiting`
  // (`position`, `estimated_ms`) while the server has no place, and `tool_call` (`id`, `name`,
  // `arguments`) and `tool_stopped` (`id`) for the tools of this program.
  struct VoxwireText name;
  // Its fields, a JSON object.
  struct VoxwireText json;
  // Of `waiting`: how many come before and with this session, from 1; else 0.
  uint32_t position;
  // Of `waiting`: about how long it takes, milliseconds; 0 = not known.
  uint32_t estimated_ms;
  // The session is over: there will be no more.
  bool ended;
} VoxwireSessionEvent;

// What can be read of a session without waiting.
typedef struct VoxwireSessionInfo {
  // It is, or was, up; else there is nothing else to be read.
  bool up;
  // Rate of what `voxwire_session_pull` hands out, Hz.
  uint32_t playout_rate;
  // Where the speaker is on the media clock, milliseconds.
  uint64_t position_ms;
} VoxwireSessionInfo;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Why the last call of this thread that failed did so. Its reason lasts until the next call of
// this thread that fails.
struct VoxwireError voxwire_last_error(void);

// Whether this library is what a header was written for: pass `VOXWIRE_ABI_VERSION` and call it
// before anything else. `VERSION` when it is not.
enum VoxwireErrorCode voxwire_check_abi(uint32_t header_version);

// What the specification says unless `Hello` or `Welcome` says otherwise; `peer` is a
// `VoxwireSide`.
struct VoxwireChannelOptions voxwire_channel_defaults(int32_t peer);

// A channel that has neither sent nor received anything. `INVALID_ARGUMENT` for a peer that there
// is not, and for a `max_send_bytes` below 128.
enum VoxwireErrorCode voxwire_channel_new(const struct VoxwireChannelOptions *options,
                                          struct VoxwireChannel **out);

// Frees a channel, and what it handed out.
void voxwire_channel_free(struct VoxwireChannel *channel);

// Forgets everything and numbers anew, after a resume that was answered with `resumed` = false.
enum VoxwireErrorCode voxwire_channel_restart(struct VoxwireChannel *channel);

// Takes what the peer has said about the largest envelope that it accepts, bytes.
// `INVALID_ARGUMENT` below 128.
enum VoxwireErrorCode voxwire_channel_set_max_send_bytes(struct VoxwireChannel *channel,
                                                         uint64_t max_send_bytes);

// Where it is.
enum VoxwireErrorCode voxwire_channel_state(struct VoxwireChannel *channel,
                                            struct VoxwireChannelState *out);

// Whether an envelope can be sent without pushing an unacknowledged one out of the replay.
// `INVALID_ARGUMENT` for bytes that are no envelope.
enum VoxwireErrorCode voxwire_channel_has_room(struct VoxwireChannel *channel,
                                               struct VoxwireBytes envelope,
                                               bool *out);

// Numbers, encodes and keeps an envelope; a `seq` or `ack` in it is ignored. Gives encoded
// envelopes, to be written in this order. `INVALID_ARGUMENT` for bytes that are no envelope,
// without a payload or with a chunk; `TOO_LARGE` above the limits. Nothing is numbered then.
enum VoxwireErrorCode voxwire_channel_send(struct VoxwireChannel *channel,
                                           struct VoxwireBytes envelope,
                                           uint64_t now_ms,
                                           struct VoxwireBytesList *out);

// Takes one encoded envelope from a carrier. Gives what is now deliverable, in order, **also when
// it fails**: `MALFORMED`, `TOO_LARGE` or `UNEXPECTED_MESSAGE` is about one message, and the
// channel goes on.
enum VoxwireErrorCode voxwire_channel_receive(struct VoxwireChannel *channel,
                                              struct VoxwireBytes data,
                                              uint64_t now_ms,
                                              struct VoxwireReceivedList *out);

// Gives the standalone acknowledgement if it is due, else no bytes.
enum VoxwireErrorCode voxwire_channel_outgoing(struct VoxwireChannel *channel,
                                               uint64_t now_ms,
                                               struct VoxwireBytes *out);

// Notes that the carrier is gone: an acknowledgement owed on it is not owed any more.
enum VoxwireErrorCode voxwire_channel_on_lost(struct VoxwireChannel *channel, uint64_t now_ms);

// Encodes again what the peer has not received; `last_seq` is what it has. `kept` is false when
// some of it is no longer kept: both sides restart then. `MALFORMED` when `last_seq` was never
// sent.
enum VoxwireErrorCode voxwire_channel_resume(struct VoxwireChannel *channel,
                                             uint64_t last_seq,
                                             uint64_t now_ms,
                                             bool *kept,
                                             struct VoxwireBytesList *out);

// Reads what can be said of an envelope; its name is that of its payload in the schema, with
// static storage. `MALFORMED` for bytes that are no envelope.
enum VoxwireErrorCode voxwire_inspect(struct VoxwireBytes envelope,
                                      struct VoxwireEnvelopeInfo *out,
                                      struct VoxwireText *name);

// A timeline without utterances.
enum VoxwireErrorCode voxwire_timeline_new(struct VoxwireTimeline **out);

// Frees a timeline, and what it handed out.
void voxwire_timeline_free(struct VoxwireTimeline *timeline);

// Notes the position of an utterance's first sample. The first call for it counts.
enum VoxwireErrorCode voxwire_timeline_begin(struct VoxwireTimeline *timeline,
                                             struct VoxwireText utterance_id,
                                             uint64_t media_ms);

// Places words of any utterances. A known word stays unless `revision` is higher and it was not
// delivered.
enum VoxwireErrorCode voxwire_timeline_add(struct VoxwireTimeline *timeline,
                                           struct VoxwireTimedWordList words,
                                           uint32_t revision);

// Gives the words that became due at a position of playout, each one once.
enum VoxwireErrorCode voxwire_timeline_advance(struct VoxwireTimeline *timeline,
                                               uint64_t media_ms,
                                               struct VoxwireTimedWordList *out);

// Gives the onset of the next word to deliver; `UINT64_MAX` = no word is waiting.
enum VoxwireErrorCode voxwire_timeline_next_due_ms(struct VoxwireTimeline *timeline, uint64_t *out);

// Gives the prefix whose words began before a position of playout.
enum VoxwireErrorCode voxwire_timeline_heard(struct VoxwireTimeline *timeline,
                                             struct VoxwireText utterance_id,
                                             uint64_t media_ms,
                                             struct VoxwireHeard *out);

// Closes what is speaking: words with an onset at or after `media_ms` never come. Audio before
// `until_ms` is void. Gives the heard prefixes, oldest utterance first.
enum VoxwireErrorCode voxwire_timeline_cut(struct VoxwireTimeline *timeline,
                                           uint64_t media_ms,
                                           uint64_t until_ms,
                                           struct VoxwireHeardList *out);

// Closes an utterance: later words are ignored, those placed are still delivered.
enum VoxwireErrorCode voxwire_timeline_end(struct VoxwireTimeline *timeline,
                                           struct VoxwireText utterance_id);

// Gives how many words of an utterance were delivered or passed over.
enum VoxwireErrorCode voxwire_timeline_delivered(struct VoxwireTimeline *timeline,
                                                 struct VoxwireText utterance_id,
                                                 uint64_t *out);

// Passes over the first words of an utterance, as far as they are known.
enum VoxwireErrorCode voxwire_timeline_skip(struct VoxwireTimeline *timeline,
                                            struct VoxwireText utterance_id,
                                            uint64_t words);

// Gives the words of an utterance as far as known, by index, without those cut.
enum VoxwireErrorCode voxwire_timeline_words(struct VoxwireTimeline *timeline,
                                             struct VoxwireText utterance_id,
                                             struct VoxwireTimedWordList *out);

// Gives the text of an utterance as far as `voxwire_timeline_set_text` gave it.
enum VoxwireErrorCode voxwire_timeline_text(struct VoxwireTimeline *timeline,
                                            struct VoxwireText utterance_id,
                                            struct VoxwireText *out);

// Puts a piece of an utterance's text at its position; a gap before it is filled with spaces.
enum VoxwireErrorCode voxwire_timeline_set_text(struct VoxwireTimeline *timeline,
                                                struct VoxwireText utterance_id,
                                                uint64_t offset,
                                                struct VoxwireText text);

// Reads the words of a message (the bytes of an `UtteranceWords`); they are the timeline's.
// `text_so_far` is the text of the utterance from earlier messages; `source`
// (`VoxwireTimingSource`) counts for a message that does not say it. `MALFORMED` for bytes that are
// no such message.
enum VoxwireErrorCode voxwire_timeline_decode(struct VoxwireTimeline *timeline,
                                              struct VoxwireBytes message,
                                              struct VoxwireText text_so_far,
                                              int32_t source,
                                              struct VoxwireTimedWordList *out);

// Writes words of one utterance as the bytes of an `UtteranceWords`, which are the timeline's;
// `text` is the piece of the utterance's text that holds them and begins at `text_offset`.
// `INVALID_ARGUMENT` when the words are none, or not of one utterance, source and index sequence.
enum VoxwireErrorCode voxwire_timeline_encode(struct VoxwireTimeline *timeline,
                                              struct VoxwireTimedWordList words,
                                              struct VoxwireText text,
                                              uint32_t text_offset,
                                              uint32_t revision,
                                              struct VoxwireBytes *out);

// Joins two texts with one space, or with none where the script has none; the text is the timeline's.
enum VoxwireErrorCode voxwire_timeline_join(struct VoxwireTimeline *timeline,
                                            struct VoxwireText before,
                                            struct VoxwireText after,
                                            struct VoxwireText *out);

// A machine that has run nothing.
enum VoxwireErrorCode voxwire_tool_runs_new(struct VoxwireToolRuns **out);

// Frees a machine, and what it handed out.
void voxwire_tool_runs_free(struct VoxwireToolRuns *runs);

// Gives the calls whose tool runs now, by their ids.
enum VoxwireErrorCode voxwire_tool_runs_running(struct VoxwireToolRuns *runs,
                                                struct VoxwireTextList *out);

// Takes a request: `START` the first time, `RUNNING`, `FINISHED` or `IGNORE` after that.
enum VoxwireErrorCode voxwire_tool_runs_request(struct VoxwireToolRuns *runs,
                                                struct VoxwireText call_id,
                                                enum VoxwireRun *out);

// Notes what a tool gave; gives whether it is to be sent as the `ToolResult`.
enum VoxwireErrorCode voxwire_tool_runs_finish(struct VoxwireToolRuns *runs,
                                               struct VoxwireText call_id,
                                               struct VoxwireCallResult result,
                                               bool *out);

// Takes a `ToolCancel`: `STOP` a running tool, `IGNORE` anything else.
enum VoxwireErrorCode voxwire_tool_runs_withdraw(struct VoxwireToolRuns *runs,
                                                 struct VoxwireText call_id,
                                                 enum VoxwireRun *out);

// Gives what a finished call gave; neither output nor error when it is not kept any more.
enum VoxwireErrorCode voxwire_tool_runs_result_of(struct VoxwireToolRuns *runs,
                                                  struct VoxwireText call_id,
                                                  struct VoxwireCallResult *out);

// A machine without calls, with the client attached.
enum VoxwireErrorCode voxwire_tool_calls_new(const struct VoxwireToolCallsOptions *options,
                                             struct VoxwireToolCalls **out);

// Frees a machine, and what it handed out.
void voxwire_tool_calls_free(struct VoxwireToolCalls *calls);

// Gives the calls that have not ended, oldest first.
enum VoxwireErrorCode voxwire_tool_calls_open(struct VoxwireToolCalls *calls,
                                              struct VoxwireToolCallList *out);

// Gives when `voxwire_tool_calls_tick` wants to be called next; `UINT64_MAX` = no call is open.
enum VoxwireErrorCode voxwire_tool_calls_next_due_ms(struct VoxwireToolCalls *calls, uint64_t *out);

// Gives where a call is (`VoxwireCallState`); -1 when it is unknown or forgotten.
enum VoxwireErrorCode voxwire_tool_calls_state(struct VoxwireToolCalls *calls,
                                               struct VoxwireText call_id,
                                               int32_t *out);

// Opens a call and gives it back as it was made. `INVALID_ARGUMENT` for an id that is known and for
// a token that is short or for a server's call; `CAPACITY` when too many are open.
enum VoxwireErrorCode voxwire_tool_calls_request(struct VoxwireToolCalls *calls,
                                                 const struct VoxwireToolCall *request,
                                                 uint64_t now_ms,
                                                 struct VoxwireToolCall *out);

// Notes that the executor has taken a request; `by` (`VoxwireExecutor`) is who says so.
enum VoxwireErrorCode voxwire_tool_calls_accept(struct VoxwireToolCalls *calls,
                                                struct VoxwireText call_id,
                                                uint64_t now_ms,
                                                int32_t by,
                                                struct VoxwireToolEffectList *out);

// Notes that a call runs; counts as acceptance, never moves the deadline.
enum VoxwireErrorCode voxwire_tool_calls_progress(struct VoxwireToolCalls *calls,
                                                  struct VoxwireText call_id,
                                                  uint64_t now_ms,
                                                  int32_t by,
                                                  struct VoxwireToolEffectList *out);

// Ends a call with what its executor says, if it may.
enum VoxwireErrorCode voxwire_tool_calls_result(struct VoxwireToolCalls *calls,
                                                struct VoxwireText call_id,
                                                struct VoxwireCallResult result,
                                                struct VoxwireBytes call_token,
                                                uint64_t now_ms,
                                                int32_t by,
                                                struct VoxwireToolEffectList *out);

// Withdraws a call; `by` (`VoxwireExecutor`) is who does.
enum VoxwireErrorCode voxwire_tool_calls_cancel(struct VoxwireToolCalls *calls,
                                                struct VoxwireText call_id,
                                                struct VoxwireText reason,
                                                uint64_t now_ms,
                                                int32_t by,
                                                struct VoxwireToolEffectList *out);

// Applies each open call's policy to an interruption of the bot, oldest call first.
enum VoxwireErrorCode voxwire_tool_calls_interrupted(struct VoxwireToolCalls *calls,
                                                     uint64_t now_ms,
                                                     struct VoxwireToolEffectList *out);

// Ends what fell due, earliest first.
enum VoxwireErrorCode voxwire_tool_calls_tick(struct VoxwireToolCalls *calls,
                                              uint64_t now_ms,
                                              struct VoxwireToolEffectList *out);

// Notes that the client is away: requests need not be accepted until it is back.
enum VoxwireErrorCode voxwire_tool_calls_on_lost(struct VoxwireToolCalls *calls);

// Notes that the client is back and gives the requests to send again.
enum VoxwireErrorCode voxwire_tool_calls_redeliver(struct VoxwireToolCalls *calls,
                                                   uint64_t now_ms,
                                                   struct VoxwireToolCallList *out);

// Nothing captured and no path. `sample_rate` is Hz; `kept_ms` how long audio is kept (3000).
// `INVALID_ARGUMENT` for more than a minute.
enum VoxwireErrorCode voxwire_capture_new(uint32_t sample_rate,
                                          uint64_t kept_ms,
                                          struct VoxwireCapture **out);

// Frees it, and what it handed out.
void voxwire_capture_free(struct VoxwireCapture *capture);

// What it has come to.
enum VoxwireErrorCode voxwire_capture_state(struct VoxwireCapture *capture,
                                            struct VoxwireCaptureState *out);

// Takes what the microphone gave at `now_ms`.
enum VoxwireErrorCode voxwire_capture_capture(struct VoxwireCapture *capture,
                                              struct VoxwireSamples samples,
                                              uint64_t now_ms);

// The user is not heard: the count goes on, nothing is kept, what waited is forgotten.
enum VoxwireErrorCode voxwire_capture_mute(struct VoxwireCapture *capture, uint64_t num_samples);

// No path takes audio any more.
enum VoxwireErrorCode voxwire_capture_park(struct VoxwireCapture *capture);

// A path takes audio, and the server wants it from sample `index` on. Gives how many samples from
// there on are not kept any more.
enum VoxwireErrorCode voxwire_capture_resume(struct VoxwireCapture *capture,
                                             uint64_t index,
                                             uint64_t now_ms,
                                             uint64_t *out);

// The same where the server knows only how long ago the newest of its audio came.
enum VoxwireErrorCode voxwire_capture_resume_after(struct VoxwireCapture *capture,
                                                   uint64_t age_ms,
                                                   uint64_t now_ms,
                                                   uint64_t *out);

// A path takes audio from now on; nothing is sent again.
enum VoxwireErrorCode voxwire_capture_follow(struct VoxwireCapture *capture);

// Gives what is to be sent next, at most one block as it was captured, with the number of its first
// sample; it counts as sent. No samples = nothing is to be sent.
enum VoxwireErrorCode voxwire_capture_take(struct VoxwireCapture *capture,
                                           uint64_t now_ms,
                                           uint64_t *index,
                                           struct VoxwireSamples *out);

// An estimate without samples.
enum VoxwireErrorCode voxwire_clock_new(struct VoxwireClock **out);

// Frees a clock.
void voxwire_clock_free(struct VoxwireClock *clock);

// Gives the next ping, to be sent at `now_us`, which is now.
enum VoxwireErrorCode voxwire_clock_ping(struct VoxwireClock *clock,
                                         uint64_t now_us,
                                         struct VoxwirePing *out);

// Answers a ping of the peer that came at `received_us`; `now_us` is when the answer is sent.
enum VoxwireErrorCode voxwire_clock_pong(struct VoxwirePing ping,
                                         uint64_t received_us,
                                         uint64_t now_us,
                                         struct VoxwirePong *out);

// Takes an answer, which arrived at `now_us`. `measured` is false when it answers no open ping or
// cannot be true.
enum VoxwireErrorCode voxwire_clock_receive(struct VoxwireClock *clock,
                                            struct VoxwirePong pong,
                                            uint64_t now_us,
                                            bool *measured,
                                            struct VoxwireClockSample *out);

// Gives the fastest of the last 8 exchanges; `measured` is false before there is one.
enum VoxwireErrorCode voxwire_clock_best(struct VoxwireClock *clock,
                                         bool *measured,
                                         struct VoxwireClockSample *out);

// Gives when the next ping is due, milliseconds.
enum VoxwireErrorCode voxwire_clock_next_ping_ms(struct VoxwireClock *clock,
                                                 uint64_t now_ms,
                                                 uint64_t *out);

// A buffer that has received nothing. `INVALID_ARGUMENT` for options outside their bounds.
enum VoxwireErrorCode voxwire_jitter_new(const struct VoxwireJitterOptions *options,
                                         struct VoxwireJitter **out);

// Frees a buffer, and what it handed out.
void voxwire_jitter_free(struct VoxwireJitter *jitter);

// Takes in one packet, which arrived at `now_ms`.
enum VoxwireErrorCode voxwire_jitter_push(struct VoxwireJitter *jitter,
                                          uint16_t sequence_number,
                                          uint32_t timestamp,
                                          struct VoxwireBytes payload,
                                          double now_ms);

// Gives what is ready: packets in order, and gaps that are not waited for any more.
enum VoxwireErrorCode voxwire_jitter_pop(struct VoxwireJitter *jitter,
                                         double now_ms,
                                         struct VoxwireJitterItemList *out);

// Gives when `voxwire_jitter_pop` has something to do without another packet; a negative number
// while no hole is pending.
enum VoxwireErrorCode voxwire_jitter_next_due_ms(struct VoxwireJitter *jitter, double *out);

// Gives the counters.
enum VoxwireErrorCode voxwire_jitter_stats(struct VoxwireJitter *jitter,
                                           struct VoxwireJitterStats *out);

// An empty buffer at position 0. `INVALID_ARGUMENT` for a sample rate below 1000 Hz.
enum VoxwireErrorCode voxwire_playout_new(const struct VoxwirePlayoutOptions *options,
                                          struct VoxwirePlayout **out);

// Frees a buffer, and what it handed out.
void voxwire_playout_free(struct VoxwirePlayout *playout);

// Gives where it is, and what has happened to the audio.
enum VoxwireErrorCode voxwire_playout_state(struct VoxwirePlayout *playout,
                                            struct VoxwirePlayoutState *out);

// Takes audio at the position of its first sample. What is late, void or already there is ignored.
enum VoxwireErrorCode voxwire_playout_push(struct VoxwirePlayout *playout,
                                           uint64_t sample_index,
                                           struct VoxwireSamples samples);

// Gives the next block; always `num_samples` long. `INVALID_ARGUMENT` for more than 1440000.
enum VoxwireErrorCode voxwire_playout_pull(struct VoxwirePlayout *playout,
                                           uint64_t num_samples,
                                           struct VoxwireBlock *out);

// Takes back audio of a continuous stream that was given a place it does not have.
enum VoxwireErrorCode voxwire_playout_rewind(struct VoxwirePlayout *playout,
                                             uint64_t sample_index,
                                             uint64_t misplaced);

// Falls silent within 10 ms and drops everything before `until`, also what comes later. Gives the
// position at which the sound stops.
enum VoxwireErrorCode voxwire_playout_flush(struct VoxwirePlayout *playout,
                                            uint64_t until,
                                            uint64_t *out);

// Drops what is buffered and waits for another stream; position and counters stay.
enum VoxwireErrorCode voxwire_playout_restart(struct VoxwirePlayout *playout,
                                              uint32_t target_ms,
                                              bool continuous);

// A log without turns, of a new session.
enum VoxwireErrorCode voxwire_conversation_new(struct VoxwireConversation **out);

// Frees a log, and what it handed out.
void voxwire_conversation_free(struct VoxwireConversation *conversation);

// Gives the turns, oldest first; at most 500.
enum VoxwireErrorCode voxwire_conversation_turns(struct VoxwireConversation *conversation,
                                                 struct VoxwireLoggedTurnList *out);

// Gives the number of times that messages were lost and a snapshot took their place.
enum VoxwireErrorCode voxwire_conversation_skipped(struct VoxwireConversation *conversation,
                                                   uint32_t *out);

// Takes an envelope of the server; gives whether it changed something. `INVALID_ARGUMENT` for bytes
// that are no envelope.
enum VoxwireErrorCode voxwire_conversation_apply(struct VoxwireConversation *conversation,
                                                 struct VoxwireBytes envelope,
                                                 bool *changed);

// What a snapshot (the bytes of a `Snapshot`) says takes the place of every turn.
// `INVALID_ARGUMENT` for bytes that are no such message.
enum VoxwireErrorCode voxwire_conversation_restore(struct VoxwireConversation *conversation,
                                                   struct VoxwireBytes snapshot);

// This client's speaker reached a word.
enum VoxwireErrorCode voxwire_conversation_word_heard(struct VoxwireConversation *conversation,
                                                      struct VoxwireText utterance_id,
                                                      uint32_t index,
                                                      bool *changed);

// This client was asked to run a call; the server may announce it before or after.
enum VoxwireErrorCode voxwire_conversation_own_call(struct VoxwireConversation *conversation,
                                                    struct VoxwireText call_id,
                                                    bool *changed);

// What this client says about a call that it runs.
enum VoxwireErrorCode voxwire_conversation_own_progress(struct VoxwireConversation *conversation,
                                                        struct VoxwireText call_id,
                                                        struct VoxwireText message,
                                                        bool *changed);

// The session is over: nothing is left open.
enum VoxwireErrorCode voxwire_conversation_over(struct VoxwireConversation *conversation,
                                                bool *changed);

// Options that ask for nothing special: waits 10 s to be up, and 120 s for a place.
struct VoxwireSessionOptions voxwire_session_defaults(void);

// Begins to connect to `url`, and returns at once. The first event beside `waiting` is
// `session_started`: it is up. A server that has no place is waited for as the options say, and
// one that is busy or leaves is asked again. Options that are null are the defaults.
// `INVALID_ARGUMENT`: the options cannot be used.
enum VoxwireErrorCode voxwire_session_new(struct VoxwireText url,
                                          const struct VoxwireSessionOptions *options,
                                          struct VoxwireSession **out);

// Frees a session, and what it handed out; no other thread may be in a call on it. One that was
// not closed ends without a word.
void voxwire_session_free(struct VoxwireSession *session);

// Waits for the next event for at most so long, milliseconds. One thread does it, all the time,
// also while nothing else is done. A session that is not to be had, or ended otherwise than in
// order, is that error, told once; then it has `ended`.
enum VoxwireErrorCode voxwire_session_next(const struct VoxwireSession *session,
                                           uint64_t timeout_ms,
                                           struct VoxwireSessionEvent *out);

// Gives what can be read of it.
enum VoxwireErrorCode voxwire_session_info(const struct VoxwireSession *session,
                                           struct VoxwireSessionInfo *out);

// Writes the next `num_samples` of the bot's audio to `samples`, int16 mono of the machine's byte
// order at the rate of `voxwire_session_info`; silence where there is none. Call it in real time,
// also while the bot is silent, mostly for 20 ms; it waits for nothing. `delay_us` is how long from
// now the first sample sounds, microseconds: words, states and reports go by it.
// `INVALID_ARGUMENT` for more than 1440000 samples.
enum VoxwireErrorCode voxwire_session_pull(const struct VoxwireSession *session,
                                           int16_t *samples,
                                           uint64_t num_samples,
                                           uint64_t delay_us);

// Takes what the microphone gave, int16 mono of the machine's byte order at 16 kHz, in real time;
// nothing before the session is up. It waits for nothing.
enum VoxwireErrorCode voxwire_session_push(const struct VoxwireSession *session,
                                           const int16_t *samples,
                                           size_t num_samples);

// Says something to the bot in writing. `INVALID_ARGUMENT` above 65 536 characters,
// `INVALID_STATE` when the session is not up.
enum VoxwireErrorCode voxwire_session_send_text(const struct VoxwireSession *session,
                                                struct VoxwireText text);

// Cuts the bot off, as if the user had spoken. `INVALID_STATE` when the session is not up.
enum VoxwireErrorCode voxwire_session_interrupt(const struct VoxwireSession *session);

// Closes or opens the microphone; what it hears while closed is not sent. `INVALID_STATE` when the
// session is not up.
enum VoxwireErrorCode voxwire_session_mute(const struct VoxwireSession *session, bool muted);

// Sends a message of the application to the bot; `data_json` is JSON of at most 60 KB.
// `INVALID_ARGUMENT`: it is no JSON, or too large. `INVALID_STATE` when the session is not up.
enum VoxwireErrorCode voxwire_session_send_message(const struct VoxwireSession *session,
                                                   struct VoxwireText kind,
                                                   struct VoxwireText data_json);

// Gives the result of a tool that was called here, JSON. A call that is over is passed over.
// `INVALID_ARGUMENT`: it is no JSON.
enum VoxwireErrorCode voxwire_session_finish_tool(const struct VoxwireSession *session,
                                                  struct VoxwireText call_id,
                                                  struct VoxwireText result_json);

// Says what went wrong with a tool that was called here, in words that the bot may speak.
enum VoxwireErrorCode voxwire_session_fail_tool(const struct VoxwireSession *session,
                                                struct VoxwireText call_id,
                                                struct VoxwireText reason);

// Ends the session, or stops connecting; takes at most 6 s. What was told can still be read.
enum VoxwireErrorCode voxwire_session_close(const struct VoxwireSession *session);

// Aborts the control channel's socket, as a broken network would; for tests.
enum VoxwireErrorCode voxwire_session_drop_control(const struct VoxwireSession *session);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* VOXWIRE_H */
