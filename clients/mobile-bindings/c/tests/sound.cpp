// capture/, clock/, jitter/, playout/: what carries sound.
#include "script.hpp"

namespace {

using Samples = std::vector<std::int16_t>;

VoxwireSamples view(const Samples &samples) { return {samples.data(), samples.size()}; }

// Audio of which every sample is its own number.
Samples counted(std::uint64_t first, std::uint64_t count) {
  Samples samples;
  for (std::uint64_t at = first; at < first + count; ++at) samples.push_back(std::int16_t(at));
  return samples;
}

Json send_all(voxwire::Capture &capture, const Step &step) {
  Json pieces = Json::list();
  for (;;) {
    std::uint64_t index = 0;
    const VoxwireSamples piece = capture.take(step.now_ms(), &index);
    if (piece.len == 0) return pieces;
    if (Samples(piece.data, piece.data + piece.len) != counted(index, piece.len)) {
      step.fail("these are not the samples");
    }
    pieces.items.push_back(Json::list({Json(index), Json(std::uint64_t(piece.len))}));
  }
}

void capture_step(voxwire::Capture &capture, const Step &step, const std::string &op) {
  const VoxwireCaptureState state = capture.state();
  if (op == "capture") {
    const Samples samples = counted(state.next_index, step.number("samples"));
    return capture.capture(view(samples), step.now_ms());
  }
  if (op == "mute") return capture.mute(step.number("samples"));
  if (op == "park") return capture.park();
  if (op == "follow") return capture.follow();
  if (op == "resume") {
    return step.expect("lost", capture.resume(step.number("index"), step.now_ms()));
  }
  if (op == "resume_after") {
    return step.expect("lost", capture.resume_after(step.number("age_ms"), step.now_ms()));
  }
  if (op == "send") return step.expect("pieces", send_all(capture, step));
  if (op != "state") step.unknown();
  step.expect_all(Json::object({
      {"next_index", state.next_index},
      {"waiting", state.waiting_samples},
      {"lost", state.lost_samples},
  }));
}

void clock_step(voxwire::Clock &clock, const Step &step, const std::string &op) {
  if (op == "ping") {
    const VoxwirePing ping = clock.ping(step.number("now_us"));
    step.expect("number", ping.number);
    return step.expect("t0_us", ping.t0_us);
  }
  if (op == "next_ping_ms") return step.expect("value", clock.next_ping_ms(step.number("now_ms")));
  if (op == "state") {
    const auto best = clock.best();
    step.expect("offset_us", best ? Json(best->offset_us) : Json());
    return step.expect("rtt_us", best ? Json(best->rtt_us) : Json());
  }
  const auto number = std::uint32_t(step.number("number"));
  const std::uint64_t t0_us = step.number("t0_us"), now_us = step.number("now_us");
  if (op == "pong") {
    const auto pong = voxwire::Clock::pong({number, t0_us}, step.number("received_us"), now_us);
    if (pong.number != number || pong.t0_us != t0_us) step.fail("it answers another ping");
    step.expect("t1_us", pong.t1_us);
    return step.expect("t2_us", pong.t2_us);
  }
  if (op != "receive") step.unknown();
  const VoxwirePong pong{number, t0_us, step.number("t1_us"), step.number("t2_us")};
  const auto sample = clock.receive(pong, now_us);
  step.expect("sample", sample ? Json::object({{"offset_us", Json(sample->offset_us)},
                                               {"rtt_us", Json(sample->rtt_us)}})
                               : Json());
}

Json item_json(const VoxwireJitterItem &item, const Step &step) {
  if (item.gap) return Json::object({{"gap", item.timestamp}, {"samples", item.samples}});
  if (owned(item.payload) != std::to_string(item.sequence_number)) {
    step.fail("this is not the payload of the packet");
  }
  return Json::object({{"packet", std::uint32_t(item.sequence_number)}});
}

void jitter_step(voxwire::Jitter &jitter, const Step &step, const std::string &op) {
  if (op == "push") {
    const auto number = std::uint16_t(step.number("sequence_number"));
    const auto timestamp = std::uint32_t(step.number("timestamp"));
    return jitter.push(number, timestamp, std::to_string(number), step.decimal("now_ms"));
  }
  if (op == "pop") {
    Json out = Json::list();
    const auto items = jitter.pop(step.decimal("now_ms"));
    for (const auto &item : voxwire::walk(items)) out.items.push_back(item_json(item, step));
    step.expect("items", out);
    const double due_ms = jitter.next_due_ms();
    return step.expect("next_due_ms", or_null(due_ms >= 0, due_ms));
  }
  if (op != "stats") step.unknown();
  const VoxwireJitterStats stats = jitter.stats();
  step.expect_all(Json::object({
      {"received", stats.received},
      {"lost", stats.lost},
      {"late", stats.late},
      {"duplicates", stats.duplicates},
      {"concealed_ms", stats.concealed_ms},
      {"target_ms", stats.target_ms},
  }));
}

// Loud audio of which every sample tells its position.
std::int16_t loud(std::uint64_t position) { return std::int16_t(1000 + position % 1000); }

struct Sound {
  VoxwireSpanKind kind;
  std::uint64_t position;
};

std::vector<Sound> sounds_of(const VoxwireBlock &block, const Step &step) {
  std::vector<Sound> sounds;
  for (const VoxwireSpan &span : voxwire::walk(block.spans, block.num_spans)) {
    if (span.offset != sounds.size()) step.fail("a span is not where the one before it ends");
    const bool moves = span.kind == VOXWIRE_SPAN_KIND_PLAYED || span.kind == VOXWIRE_SPAN_KIND_GAP;
    for (std::uint64_t at = 0; at < span.length; ++at) {
      sounds.push_back({span.kind, span.position + (moves ? at : 0)});
    }
  }
  return sounds;
}

// Whether a sample is what a script calls it.
bool is(const std::string &kind, const Sound &sound, std::int16_t sample) {
  const std::int16_t original = loud(sound.position);
  const bool played = sound.kind == VOXWIRE_SPAN_KIND_PLAYED;
  if (kind == "played") return played && sample == original;
  if (kind == "quiet") return played && sample == 0;
  if (kind == "fading") return played && sample >= 1 && sample <= original;
  if (kind == "gap") return sound.kind == VOXWIRE_SPAN_KIND_GAP && sample == 0;
  if (kind == "concealed") return sound.kind == VOXWIRE_SPAN_KIND_CONCEALED && sample > 0;
  if (kind == "silent") return sound.kind == VOXWIRE_SPAN_KIND_SILENT && sample == 0;
  throw std::runtime_error("no such kind: " + kind);
}

void pull(voxwire::Playout &playout, const Step &step) {
  const VoxwireBlock block = playout.pull(step.number("samples"));
  const std::vector<Sound> sounds = sounds_of(block, step);
  std::size_t at = 0;
  const Json spans = step.wanted("spans");
  for (const Json &span : spans.items) {
    const std::string kind = span.items.at(0).as_text();
    const std::uint64_t position = span.items.at(1).as_number();
    const bool moves = kind != "concealed" && kind != "silent";
    const std::uint64_t length = std::uint64_t(span.items.at(2).as_float());
    for (std::uint64_t sample = 0; sample < length; ++sample, ++at) {
      if (at >= sounds.size()) step.fail("the block is too short");
      const bool placed = sounds[at].position == position + (moves ? sample : 0);
      if (!placed || !is(kind, sounds[at], block.samples.data[at])) {
        step.fail("sample " + std::to_string(at) + " is not " + kind);
      }
    }
  }
  if (at != sounds.size() || at != block.samples.len) step.fail("the block is too long");
}

void playout_step(voxwire::Playout &playout, const Step &step, const std::string &op) {
  if (op == "push") {
    const std::uint64_t index = step.number("index");
    Samples samples;
    for (std::uint64_t at = index; at < index + step.number("samples"); ++at) {
      samples.push_back(step.flag("quiet") ? std::int16_t(0) : loud(at));
    }
    return playout.push(index, view(samples));
  }
  if (op == "pull") return pull(playout, step);
  if (op == "flush") return step.expect("position", playout.flush(step.number("until")));
  if (op == "restart") return playout.restart(std::uint32_t(step.number("target_ms")), false);
  if (op == "rewind") return playout.rewind(step.number("index"), step.number("misplaced"));
  if (op != "state") step.unknown();
  const VoxwirePlayoutState state = playout.state();
  step.expect_all(Json::object({
      {"position", state.position},
      {"playing", state.playing},
      {"target_ms", state.target_ms},
      {"buffered_ms", state.buffered_ms},
      {"concealed_ms", state.concealed_ms},
      {"underruns", state.underruns},
      {"late", state.late_samples},
      {"refused", state.refused_samples},
      {"trimmed", state.trimmed_samples},
  }));
}

const Json &options_of(const Step &whole, std::size_t count) {
  const Json &options = whole.fields.at("options");
  if (options.members.size() != count) whole.fail("an option is not read");
  return options;
}

template <typename Object, typename Run>
void run(const Step &whole, Object object, Run step_of) {
  each_step(whole, [&](const Step &step, const std::string &op) { step_of(object, step, op); });
}

}  // namespace

void run_capture(const Step &whole) {
  const Json &options = options_of(whole, 2);
  const auto rate = std::uint32_t(options.at("sample_rate").as_number());
  run(whole, voxwire::Capture(rate, options.at("kept_ms").as_number()), capture_step);
}

void run_clock(const Step &whole) { run(whole, voxwire::Clock(), clock_step); }

void run_jitter(const Step &whole) {
  const Json &options = options_of(whole, 4);
  VoxwireJitterOptions made{};
  made.clock_rate = std::uint32_t(options.at("clock_rate").as_number());
  made.min_target_ms = options.at("min_target_ms").as_float();
  made.max_target_ms = options.at("max_target_ms").as_float();
  made.capacity = options.at("capacity").as_number();
  run(whole, voxwire::Jitter(made), jitter_step);
}

void run_playout(const Step &whole) {
  const Json &options = options_of(whole, 4);
  VoxwirePlayoutOptions made{};
  made.sample_rate = std::uint32_t(options.at("sample_rate").as_number());
  made.target_ms = std::uint32_t(options.at("target_ms").as_number());
  made.max_target_ms = std::uint32_t(options.at("max_target_ms").as_number());
  made.continuous = options.at("continuous").as_bool();
  run(whole, voxwire::Playout(made), playout_step);
}
