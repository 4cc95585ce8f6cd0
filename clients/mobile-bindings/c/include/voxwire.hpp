// The C interface of Voxwire for C++17: objects that free themselves, errors that are thrown, lists
// to walk. It is inline over voxwire.h, whose rules on memory and threads hold.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "voxwire.h"

namespace voxwire {

// What a call refused, with one of the codes of protocol/spec/errors.md.
class Error : public std::runtime_error {
 public:
  explicit Error(const VoxwireError &error)
      : std::runtime_error(std::string(error.reason.data, error.reason.len)),
        code(error.code),
        seq(error.seq) {}

  VoxwireErrorCode code;
  std::uint64_t seq;  // of the message at fault; 0 = unknown or not numbered
};

inline void check(VoxwireErrorCode code) {
  if (code != VOXWIRE_OK) throw Error(voxwire_last_error());
}

inline VoxwireText text(std::string_view value) { return {value.data(), value.size()}; }

inline VoxwireBytes bytes(std::string_view value) {
  return {reinterpret_cast<const std::uint8_t *>(value.data()), value.size()};
}

inline std::string_view view(VoxwireText value) { return {value.data, value.len}; }

inline std::string_view view(VoxwireBytes value) {
  return {reinterpret_cast<const char *>(value.data), value.len};
}

// Walks a list: `for (const VoxwireHeard &heard : voxwire::walk(list))`.
template <typename T>
struct Walk {
  const T *items;
  std::size_t len;
  const T *begin() const { return items; }
  const T *end() const { return items + len; }
};

template <typename T>
Walk<T> walk(const T *items, std::size_t len) {
  return {items, len};
}

template <typename List>
auto walk(const List &list) {
  return walk(list.items, list.len);
}

// What a function of voxwire.h gives through its last argument.
template <typename Out, typename Function, typename... Arguments>
Out get(Function function, Arguments... arguments) {
  Out out{};
  check(function(arguments..., &out));
  return out;
}

// Frees an object of voxwire.h.
template <typename T, void (*Free)(T *)>
class Owned {
 public:
  // The object, for functions of voxwire.h.
  T *get() const { return object_.get(); }

 protected:
  explicit Owned(T *object) : object_(object) {}

  // Makes an object, and sees that the library is that of the header.
  template <typename Function, typename... Arguments>
  static T *make(Function function, Arguments... arguments) {
    check(voxwire_check_abi(VOXWIRE_ABI_VERSION));
    return voxwire::get<T *>(function, arguments...);
  }

 private:
  struct Deleter {
    void operator()(T *object) const { Free(object); }
  };
  std::unique_ptr<T, Deleter> object_;
};

// Numbered delivery.
class Channel : public Owned<VoxwireChannel, voxwire_channel_free> {
 public:
  // What came of some bytes: deliver the messages whether or not something was refused.
  struct Receipt {
    VoxwireReceivedList messages;
    std::optional<Error> refusal;
  };

  explicit Channel(const VoxwireChannelOptions &options)
      : Owned(make(voxwire_channel_new, &options)) {}

  void restart() { check(voxwire_channel_restart(get())); }
  void set_max_send_bytes(std::uint64_t max_send_bytes) {
    check(voxwire_channel_set_max_send_bytes(get(), max_send_bytes));
  }
  VoxwireChannelState state() const {
    return voxwire::get<VoxwireChannelState>(voxwire_channel_state, get());
  }
  bool has_room(std::string_view envelope) const {
    return voxwire::get<bool>(voxwire_channel_has_room, get(), bytes(envelope));
  }
  VoxwireBytesList send(std::string_view envelope, std::uint64_t now_ms) {
    return voxwire::get<VoxwireBytesList>(voxwire_channel_send, get(), bytes(envelope), now_ms);
  }
  Receipt receive(std::string_view data, std::uint64_t now_ms) {
    Receipt receipt{};
    if (voxwire_channel_receive(get(), bytes(data), now_ms, &receipt.messages) != VOXWIRE_OK) {
      receipt.refusal.emplace(voxwire_last_error());
    }
    return receipt;
  }
  // Without data nothing is due.
  VoxwireBytes outgoing(std::uint64_t now_ms) {
    return voxwire::get<VoxwireBytes>(voxwire_channel_outgoing, get(), now_ms);
  }
  void on_lost(std::uint64_t now_ms) { check(voxwire_channel_on_lost(get(), now_ms)); }
  // Nothing when some of it is no longer kept: both sides restart then.
  std::optional<VoxwireBytesList> resume(std::uint64_t last_seq, std::uint64_t now_ms) {
    bool kept = false;
    VoxwireBytesList out{};
    check(voxwire_channel_resume(get(), last_seq, now_ms, &kept, &out));
    return kept ? std::optional(out) : std::nullopt;
  }
};

// Words on the media clock.
class Timeline : public Owned<VoxwireTimeline, voxwire_timeline_free> {
 public:
  Timeline() : Owned(make(voxwire_timeline_new)) {}

  void begin(std::string_view id, std::uint64_t media_ms) {
    check(voxwire_timeline_begin(get(), text(id), media_ms));
  }
  void add(VoxwireTimedWordList words, std::uint32_t revision) {
    check(voxwire_timeline_add(get(), words, revision));
  }
  VoxwireTimedWordList advance(std::uint64_t media_ms) {
    return voxwire::get<VoxwireTimedWordList>(voxwire_timeline_advance, get(), media_ms);
  }
  // UINT64_MAX = no word is waiting.
  std::uint64_t next_due_ms() const {
    return voxwire::get<std::uint64_t>(voxwire_timeline_next_due_ms, get());
  }
  VoxwireHeard heard(std::string_view id, std::uint64_t media_ms) {
    return voxwire::get<VoxwireHeard>(voxwire_timeline_heard, get(), text(id), media_ms);
  }
  VoxwireHeardList cut(std::uint64_t media_ms, std::uint64_t until_ms) {
    return voxwire::get<VoxwireHeardList>(voxwire_timeline_cut, get(), media_ms, until_ms);
  }
  void end(std::string_view id) { check(voxwire_timeline_end(get(), text(id))); }
  std::uint64_t delivered(std::string_view id) const {
    return voxwire::get<std::uint64_t>(voxwire_timeline_delivered, get(), text(id));
  }
  void skip(std::string_view id, std::uint64_t words) {
    check(voxwire_timeline_skip(get(), text(id), words));
  }
  VoxwireTimedWordList words(std::string_view id) {
    return voxwire::get<VoxwireTimedWordList>(voxwire_timeline_words, get(), text(id));
  }
  std::string_view text_of(std::string_view id) {
    return view(voxwire::get<VoxwireText>(voxwire_timeline_text, get(), text(id)));
  }
  void set_text(std::string_view id, std::uint64_t offset, std::string_view piece) {
    check(voxwire_timeline_set_text(get(), text(id), offset, text(piece)));
  }
  VoxwireTimedWordList decode(std::string_view message, std::string_view text_so_far,
                              VoxwireTimingSource source = VOXWIRE_TIMING_SOURCE_UNSPECIFIED) {
    return voxwire::get<VoxwireTimedWordList>(voxwire_timeline_decode, get(), bytes(message),
                                              text(text_so_far), std::int32_t(source));
  }
  std::string_view encode(VoxwireTimedWordList words, std::string_view piece,
                          std::uint32_t text_offset, std::uint32_t revision) {
    return view(voxwire::get<VoxwireBytes>(voxwire_timeline_encode, get(), words, text(piece),
                                           text_offset, revision));
  }
  std::string_view join(std::string_view before, std::string_view after) {
    return view(voxwire::get<VoxwireText>(voxwire_timeline_join, get(), text(before), text(after)));
  }
};

// The calls that this side executes.
class ToolRuns : public Owned<VoxwireToolRuns, voxwire_tool_runs_free> {
 public:
  ToolRuns() : Owned(make(voxwire_tool_runs_new)) {}

  VoxwireTextList running() {
    return voxwire::get<VoxwireTextList>(voxwire_tool_runs_running, get());
  }
  VoxwireRun request(std::string_view id) {
    return voxwire::get<VoxwireRun>(voxwire_tool_runs_request, get(), text(id));
  }
  bool finish(std::string_view id, const VoxwireCallResult &result) {
    return voxwire::get<bool>(voxwire_tool_runs_finish, get(), text(id), result);
  }
  VoxwireRun withdraw(std::string_view id) {
    return voxwire::get<VoxwireRun>(voxwire_tool_runs_withdraw, get(), text(id));
  }
  VoxwireCallResult result_of(std::string_view id) {
    return voxwire::get<VoxwireCallResult>(voxwire_tool_runs_result_of, get(), text(id));
  }
};

// The calls of one session, on the side that asks.
class ToolCalls : public Owned<VoxwireToolCalls, voxwire_tool_calls_free> {
 public:
  using Effects = VoxwireToolEffectList;

  explicit ToolCalls(const VoxwireToolCallsOptions &options)
      : Owned(make(voxwire_tool_calls_new, &options)) {}

  VoxwireToolCallList open() {
    return voxwire::get<VoxwireToolCallList>(voxwire_tool_calls_open, get());
  }
  // UINT64_MAX = no call is open.
  std::uint64_t next_due_ms() const {
    return voxwire::get<std::uint64_t>(voxwire_tool_calls_next_due_ms, get());
  }
  std::optional<VoxwireCallState> state(std::string_view id) const {
    auto state = voxwire::get<std::int32_t>(voxwire_tool_calls_state, get(), text(id));
    return state < 0 ? std::nullopt : std::optional(static_cast<VoxwireCallState>(state));
  }
  VoxwireToolCall request(const VoxwireToolCall &call, std::uint64_t now_ms) {
    return voxwire::get<VoxwireToolCall>(voxwire_tool_calls_request, get(), &call, now_ms);
  }
  Effects accept(std::string_view id, std::uint64_t now_ms, VoxwireExecutor by) {
    return voxwire::get<Effects>(voxwire_tool_calls_accept, get(), text(id), now_ms,
                                 std::int32_t(by));
  }
  Effects progress(std::string_view id, std::uint64_t now_ms, VoxwireExecutor by) {
    return voxwire::get<Effects>(voxwire_tool_calls_progress, get(), text(id), now_ms,
                                 std::int32_t(by));
  }
  Effects result(std::string_view id, const VoxwireCallResult &result, std::string_view token,
                 std::uint64_t now_ms, VoxwireExecutor by) {
    return voxwire::get<Effects>(voxwire_tool_calls_result, get(), text(id), result, bytes(token),
                                 now_ms, std::int32_t(by));
  }
  Effects cancel(std::string_view id, std::string_view reason, std::uint64_t now_ms,
                 VoxwireExecutor by) {
    return voxwire::get<Effects>(voxwire_tool_calls_cancel, get(), text(id), text(reason), now_ms,
                                 std::int32_t(by));
  }
  Effects interrupted(std::uint64_t now_ms) {
    return voxwire::get<Effects>(voxwire_tool_calls_interrupted, get(), now_ms);
  }
  Effects tick(std::uint64_t now_ms) {
    return voxwire::get<Effects>(voxwire_tool_calls_tick, get(), now_ms);
  }
  void on_lost() { check(voxwire_tool_calls_on_lost(get())); }
  VoxwireToolCallList redeliver(std::uint64_t now_ms) {
    return voxwire::get<VoxwireToolCallList>(voxwire_tool_calls_redeliver, get(), now_ms);
  }
};

// The kept microphone.
class Capture : public Owned<VoxwireCapture, voxwire_capture_free> {
 public:
  explicit Capture(std::uint32_t sample_rate, std::uint64_t kept_ms = 3000)
      : Owned(make(voxwire_capture_new, sample_rate, kept_ms)) {}

  VoxwireCaptureState state() const {
    return voxwire::get<VoxwireCaptureState>(voxwire_capture_state, get());
  }
  void capture(VoxwireSamples samples, std::uint64_t now_ms) {
    check(voxwire_capture_capture(get(), samples, now_ms));
  }
  void mute(std::uint64_t num_samples) { check(voxwire_capture_mute(get(), num_samples)); }
  void park() { check(voxwire_capture_park(get())); }
  void follow() { check(voxwire_capture_follow(get())); }
  std::uint64_t resume(std::uint64_t index, std::uint64_t now_ms) {
    return voxwire::get<std::uint64_t>(voxwire_capture_resume, get(), index, now_ms);
  }
  std::uint64_t resume_after(std::uint64_t age_ms, std::uint64_t now_ms) {
    return voxwire::get<std::uint64_t>(voxwire_capture_resume_after, get(), age_ms, now_ms);
  }
  // No samples = nothing is to be sent.
  VoxwireSamples take(std::uint64_t now_ms, std::uint64_t *index) {
    return voxwire::get<VoxwireSamples>(voxwire_capture_take, get(), now_ms, index);
  }
};

// The peer's clock.
class Clock : public Owned<VoxwireClock, voxwire_clock_free> {
 public:
  Clock() : Owned(make(voxwire_clock_new)) {}

  VoxwirePing ping(std::uint64_t now_us) {
    return voxwire::get<VoxwirePing>(voxwire_clock_ping, get(), now_us);
  }
  static VoxwirePong pong(VoxwirePing ping, std::uint64_t received_us, std::uint64_t now_us) {
    return voxwire::get<VoxwirePong>(voxwire_clock_pong, ping, received_us, now_us);
  }
  std::optional<VoxwireClockSample> receive(VoxwirePong pong, std::uint64_t now_us) {
    bool measured = false;
    VoxwireClockSample sample{};
    check(voxwire_clock_receive(get(), pong, now_us, &measured, &sample));
    return measured ? std::optional(sample) : std::nullopt;
  }
  std::optional<VoxwireClockSample> best() const {
    bool measured = false;
    VoxwireClockSample sample{};
    check(voxwire_clock_best(get(), &measured, &sample));
    return measured ? std::optional(sample) : std::nullopt;
  }
  std::uint64_t next_ping_ms(std::uint64_t now_ms) const {
    return voxwire::get<std::uint64_t>(voxwire_clock_next_ping_ms, get(), now_ms);
  }
};

// RTP packets in order.
class Jitter : public Owned<VoxwireJitter, voxwire_jitter_free> {
 public:
  explicit Jitter(const VoxwireJitterOptions &options)
      : Owned(make(voxwire_jitter_new, &options)) {}

  void push(std::uint16_t sequence_number, std::uint32_t timestamp, std::string_view payload,
            double now_ms) {
    check(voxwire_jitter_push(get(), sequence_number, timestamp, bytes(payload), now_ms));
  }
  VoxwireJitterItemList pop(double now_ms) {
    return voxwire::get<VoxwireJitterItemList>(voxwire_jitter_pop, get(), now_ms);
  }
  // Negative while no hole is pending.
  double next_due_ms() const { return voxwire::get<double>(voxwire_jitter_next_due_ms, get()); }
  VoxwireJitterStats stats() const {
    return voxwire::get<VoxwireJitterStats>(voxwire_jitter_stats, get());
  }
};

// Bot audio by position, in blocks.
class Playout : public Owned<VoxwirePlayout, voxwire_playout_free> {
 public:
  explicit Playout(const VoxwirePlayoutOptions &options)
      : Owned(make(voxwire_playout_new, &options)) {}

  VoxwirePlayoutState state() const {
    return voxwire::get<VoxwirePlayoutState>(voxwire_playout_state, get());
  }
  void push(std::uint64_t sample_index, VoxwireSamples samples) {
    check(voxwire_playout_push(get(), sample_index, samples));
  }
  VoxwireBlock pull(std::uint64_t num_samples) {
    return voxwire::get<VoxwireBlock>(voxwire_playout_pull, get(), num_samples);
  }
  void rewind(std::uint64_t sample_index, std::uint64_t misplaced) {
    check(voxwire_playout_rewind(get(), sample_index, misplaced));
  }
  std::uint64_t flush(std::uint64_t until) {
    return voxwire::get<std::uint64_t>(voxwire_playout_flush, get(), until);
  }
  void restart(std::uint32_t target_ms, bool continuous) {
    check(voxwire_playout_restart(get(), target_ms, continuous));
  }
};

// The log of turns; verbs return whether they changed something.
class Conversation : public Owned<VoxwireConversation, voxwire_conversation_free> {
 public:
  Conversation() : Owned(make(voxwire_conversation_new)) {}

  VoxwireLoggedTurnList turns() {
    return voxwire::get<VoxwireLoggedTurnList>(voxwire_conversation_turns, get());
  }
  std::uint32_t skipped() const {
    return voxwire::get<std::uint32_t>(voxwire_conversation_skipped, get());
  }
  bool apply(std::string_view envelope) {
    return voxwire::get<bool>(voxwire_conversation_apply, get(), bytes(envelope));
  }
  void restore(std::string_view snapshot) {
    check(voxwire_conversation_restore(get(), bytes(snapshot)));
  }
  bool word_heard(std::string_view id, std::uint32_t index) {
    return voxwire::get<bool>(voxwire_conversation_word_heard, get(), text(id), index);
  }
  bool own_call(std::string_view id) {
    return voxwire::get<bool>(voxwire_conversation_own_call, get(), text(id));
  }
  bool own_progress(std::string_view id, std::string_view message) {
    return voxwire::get<bool>(voxwire_conversation_own_progress, get(), text(id), text(message));
  }
  bool over() { return voxwire::get<bool>(voxwire_conversation_over, get()); }
};

// A conversation with a bot. Several threads may call it at once.
class Session : public Owned<VoxwireSession, voxwire_session_free> {
 public:
  explicit Session(std::string_view url,
                   const VoxwireSessionOptions &options = voxwire_session_defaults())
      : Owned(make(voxwire_session_new, text(url), &options)) {}

  // Without a name there was nothing so long; the text lasts until the next call of this.
  VoxwireSessionEvent next(std::uint64_t timeout_ms) {
    return voxwire::get<VoxwireSessionEvent>(voxwire_session_next, get(), timeout_ms);
  }
  VoxwireSessionInfo info() const {
    return voxwire::get<VoxwireSessionInfo>(voxwire_session_info, get());
  }
  void pull(std::int16_t *samples, std::uint64_t num_samples, std::uint64_t delay_us = 0) {
    check(voxwire_session_pull(get(), samples, num_samples, delay_us));
  }
  void push(const std::int16_t *samples, std::size_t num_samples) {
    check(voxwire_session_push(get(), samples, num_samples));
  }
  void send_text(std::string_view said) { check(voxwire_session_send_text(get(), text(said))); }
  void interrupt() { check(voxwire_session_interrupt(get())); }
  void mute(bool muted) { check(voxwire_session_mute(get(), muted)); }
  void send_message(std::string_view kind, std::string_view data_json) {
    check(voxwire_session_send_message(get(), text(kind), text(data_json)));
  }
  void finish_tool(std::string_view call_id, std::string_view result_json) {
    check(voxwire_session_finish_tool(get(), text(call_id), text(result_json)));
  }
  void fail_tool(std::string_view call_id, std::string_view reason) {
    check(voxwire_session_fail_tool(get(), text(call_id), text(reason)));
  }
  void close() { check(voxwire_session_close(get())); }
  void drop_control() { check(voxwire_session_drop_control(get())); }
};

}  // namespace voxwire
