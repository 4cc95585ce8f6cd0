// conversation/: messages of a server and the log of turns that comes of them.
#include "script.hpp"

namespace {

const char *const kWords[] = {"unheard", "heard", "cut"};
const char *const kEnds[] = {"speaking", "completed", "interrupted", "unheard"};
const char *const kCalls[] = {"running", "done", "failed", "cancelled", "timed_out", "lost"};

Json utterance_json(const VoxwireLoggedUtterance &utterance) {
  Json words = Json::list();
  for (const auto &word : voxwire::walk(utterance.words, utterance.num_words)) {
    words.items.push_back(Json::object({
        {"index", word.index},
        {"text", owned(word.text)},
        {"start_ms", word.start_ms},
        {"end_ms", word.end_ms},
        {"state", kWords[word.state]},
    }));
  }
  return Json::object({
      {"id", owned(utterance.id)},
      {"text", owned(utterance.text)},
      {"end", kEnds[utterance.end]},
      {"words", words},
  });
}

Json call_json(const VoxwireLoggedCall &call) {
  Json shown = Json::object({
      {"id", owned(call.id)},
      {"name", owned(call.name)},
      {"status", kCalls[call.status]},
      {"own", call.own},
  });
  auto &members = shown.members;
  if (call.arguments_json.data) members.emplace_back("args", Json::parse(owned(call.arguments_json)));
  if (call.result_json.data) members.emplace_back("result", Json::parse(owned(call.result_json)));
  if (call.duration_ms != UINT32_MAX) members.emplace_back("duration_ms", call.duration_ms);
  if (call.progress.data) members.emplace_back("progress", owned(call.progress));
  return shown;
}

Json turn_json(const VoxwireLoggedTurn &turn) {
  if (turn.user) {
    return Json::object({
        {"id", owned(turn.id)},
        {"role", "user"},
        {"text", owned(turn.text)},
        {"final", turn.is_final},
        {"typed", turn.typed},
    });
  }
  Json utterances = Json::list(), calls = Json::list();
  for (const auto &one : voxwire::walk(turn.utterances, turn.num_utterances)) {
    utterances.items.push_back(utterance_json(one));
  }
  for (const auto &one : voxwire::walk(turn.tool_calls, turn.num_tool_calls)) {
    calls.items.push_back(call_json(one));
  }
  Json shown = Json::object({
      {"id", owned(turn.id)},
      {"role", "bot"},
      {"utterances", utterances},
      {"tool_calls", calls},
      {"interrupted", turn.interrupted},
  });
  if (turn.heard_text.data) {
    shown.members.emplace_back("heard_text", owned(turn.heard_text));
    shown.members.emplace_back("unheard_text", owned(turn.unheard_text));
  }
  return shown;
}

Json turns_json(voxwire::Conversation &log) {
  Json turns = Json::list();
  const auto list = log.turns();
  for (const auto &turn : voxwire::walk(list)) turns.items.push_back(turn_json(turn));
  return turns;
}

bool changed_by(voxwire::Conversation &log, const Step &step, const std::string &op) {
  if (op == "message") {
    return log.apply(step.schema.encode("voxwire.v1.Envelope", step.fields.at("message")));
  }
  if (op == "word") {
    return log.word_heard(step.text("utterance_id"), std::uint32_t(step.number("index")));
  }
  if (op == "own_call") return log.own_call(step.text("call_id"));
  if (op == "own_progress") return log.own_progress(step.text("call_id"), step.text("message"));
  if (op == "over") return log.over();
  step.unknown();
}

}  // namespace

void run_conversation(const Step &whole) {
  voxwire::Conversation log;
  each_step(whole, [&](const Step &step, const std::string &op) {
    if (op == "begin") return void(log = voxwire::Conversation());
    if (op == "snapshot") {
      return log.restore(step.schema.encode("voxwire.v1.Snapshot", step.fields.at("message")));
    }
    if (op == "log") {
      step.expect("turns", turns_json(log));
      return step.expect("skipped", log.skipped());
    }
    const Json before = turns_json(log);
    const bool changed = changed_by(log, step, op);
    if (step.has("unchanged")) step.expect("unchanged", !changed);
    if (!changed && turns_json(log) != before) step.fail("changed, and does not say so");
  });
}
