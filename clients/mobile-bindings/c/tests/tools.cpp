// tools/: what happens to calls, and what must come of it.
#include "script.hpp"

namespace {

const char *const kStates[] = {"requested", "accepted", "running",  "done",
                               "failed",    "cancelled", "timed_out"};
const char *const kOutcomes[] = {"unspecified", "done", "failed", "cancelled", "timed_out",
                                 "lost"};
const char *const kRuns[] = {"start", "running", "finished", "stop", "ignore"};

Json code_name(VoxwireErrorCode code, const Schema &schema) {
  return schema.enum_name("voxwire.v1.ErrorCode", unsigned(code)).substr(11);
}

VoxwireExecutor executor_of(const std::string &name) {
  if (name != "client" && name != "server") throw std::runtime_error("no such executor: " + name);
  return name == "client" ? VOXWIRE_EXECUTOR_CLIENT : VOXWIRE_EXECUTOR_SERVER;
}

VoxwireOnInterruption policy_of(const std::string &name) {
  if (name == "cancel") return VOXWIRE_ON_INTERRUPTION_CANCEL;
  if (name == "finish") return VOXWIRE_ON_INTERRUPTION_FINISH;
  if (name == "ask") return VOXWIRE_ON_INTERRUPTION_ASK;
  throw std::runtime_error("no such policy: " + name);
}

VoxwireCallResult output_of(const std::string &output) {
  VoxwireCallResult result{};
  result.output = voxwire::text(output);
  return result;
}

Json effect_json(const VoxwireToolEffect &effect, const Schema &schema) {
  const Json id = owned(effect.call_id);
  const std::string outcome = kOutcomes[effect.outcome];
  switch (effect.kind) {
    case VOXWIRE_EFFECT_KIND_MOVED:
      return Json::object({{"effect", "moved"}, {"call_id", id}, {"state", kStates[effect.state]}});
    case VOXWIRE_EFFECT_KIND_TERMINAL: {
      const int error = effect.result.error;
      return Json::object({
          {"effect", "terminal"},
          {"call_id", id},
          {"outcome", outcome},
          {"output", json_of(effect.result.output)},
          {"error", error ? code_name(VoxwireErrorCode(error), schema) : Json()},
          {"duration_ms", effect.duration_ms},
          {"withdraw", effect.withdraw},
      });
    }
    case VOXWIRE_EFFECT_KIND_REFUSED:
      return Json::object(
          {{"effect", "refused"}, {"call_id", id}, {"code", code_name(effect.code, schema)}});
    case VOXWIRE_EFFECT_KIND_DUPLICATE:
      return Json::object({{"effect", "duplicate"}, {"call_id", id}});
    case VOXWIRE_EFFECT_KIND_LATE:
      return Json::object({
          {"effect", "late"},
          {"call_id", id},
          {"outcome", outcome},
          {"late_ms", effect.duration_ms},
      });
    case VOXWIRE_EFFECT_KIND_ASK_POLICY:
      return Json::object({{"effect", "ask_policy"}, {"call_id", id}});
  }
  throw std::runtime_error("no such effect");
}

void request(voxwire::ToolCalls &calls, const Step &step) {
  const std::string id = step.text("call_id"), name = step.text("name");
  const std::string arguments = step.text("arguments");
  const Json &token = step.fields.at("call_token");
  const std::string token_bytes = token.kind == Json::Kind::Null ? "" : unhex(token.as_text());
  std::optional<voxwire::Error> error;
  // A negative time has no value in C.
  if (step.decimal("timeout_ms") < 0) return step.expect("error", "INVALID_ARGUMENT");
  VoxwireToolCall call{};
  call.call_id = voxwire::text(id);
  call.name = voxwire::text(name);
  call.executor = executor_of(step.text("executor"));
  call.arguments = voxwire::text(arguments);
  call.timeout_ms = step.number("timeout_ms");
  call.policy = policy_of(step.text("policy"));
  if (token.kind != Json::Kind::Null) call.call_token = voxwire::bytes(token_bytes);
  try {
    calls.request(call, step.now_ms());
  } catch (const voxwire::Error &refused) {
    error = refused;
  }
  if (error.has_value() != step.has("error")) step.fail(error ? error->what() : "no error");
  if (error) step.expect("error", code_name(error->code, step.schema));
}

VoxwireToolEffectList result(voxwire::ToolCalls &calls, const Step &step) {
  const std::string token = unhex(step.text("call_token"));
  const std::string output = step.has("error") ? "" : step.text("output");
  VoxwireCallResult given = output_of(output);
  if (step.has("error")) {
    given = {};
    const std::string name = "ERROR_CODE_" + step.text("error");
    given.error = std::int32_t(step.schema.enum_number("voxwire.v1.ErrorCode", name));
  }
  const auto by = executor_of(step.text("by"));
  return calls.result(step.text("call_id"), given, token, step.now_ms(), by);
}

VoxwireToolEffectList effects_of(voxwire::ToolCalls &calls, const Step &step,
                                 const std::string &op) {
  const std::string id = step.has("call_id") ? step.text("call_id") : "";
  const std::uint64_t now_ms = step.now_ms();
  if (op == "accept") return calls.accept(id, now_ms, executor_of(step.text("by")));
  if (op == "progress") return calls.progress(id, now_ms, executor_of(step.text("by")));
  if (op == "result") return result(calls, step);
  if (op == "cancel") {
    return calls.cancel(id, step.text("reason"), now_ms, executor_of(step.text("by")));
  }
  if (op == "interrupted") return calls.interrupted(now_ms);
  if (op == "tick") return calls.tick(now_ms);
  step.unknown();
}

void call_step(voxwire::ToolCalls &calls, const Step &step, const std::string &op) {
  if (op == "request") return request(calls, step);
  if (op == "on_lost") return calls.on_lost();
  Json out = Json::list();
  if (op == "state") {
    const auto state = calls.state(step.text("call_id"));
    return step.expect("state", state ? Json(kStates[*state]) : Json());
  }
  if (op == "redeliver") {
    const auto again = calls.redeliver(step.now_ms());
    for (const auto &call : voxwire::walk(again)) out.items.push_back(owned(call.call_id));
    step.expect("calls", out);
  } else {
    const auto effects = effects_of(calls, step, op);
    for (const auto &one : voxwire::walk(effects)) {
      out.items.push_back(effect_json(one, step.schema));
    }
    step.expect("effects", out);
  }
  if (!step.has("next_due_ms")) return;
  const std::uint64_t due_ms = calls.next_due_ms();
  step.expect("next_due_ms", or_null(due_ms != UINT64_MAX, due_ms));
}

void run_step(voxwire::ToolRuns &runs, const Step &step, const std::string &op) {
  const std::string id = step.text("call_id");
  if (op == "request") return step.expect("run", kRuns[runs.request(id)]);
  if (op == "withdraw") return step.expect("run", kRuns[runs.withdraw(id)]);
  if (op == "finish") {
    const std::string output = step.text("output");
    return step.expect("sent", runs.finish(id, output_of(output)));
  }
  if (op == "result_of") return step.expect("output", json_of(runs.result_of(id).output));
  step.unknown();
}

}  // namespace

void run_tools(const Step &whole) {
  if (whole.text("kind") == "runs") {
    voxwire::ToolRuns runs;
    return each_step(whole, [&](const Step &step, const std::string &op) {
      run_step(runs, step, op);
    });
  }
  if (whole.text("kind") != "calls") whole.fail("no such kind");
  const Json &options = whole.fields.at("options");
  if (options.members.size() != 4) whole.fail("an option is not read");
  VoxwireToolCallsOptions made{};
  made.default_timeout_ms = options.at("default_timeout_ms").as_number();
  made.accept_within_ms = options.at("accept_within_ms").as_number();
  made.max_open = options.at("max_open").as_number();
  made.max_result_bytes = options.at("max_result_bytes").as_number();
  voxwire::ToolCalls calls(made);
  each_step(whole, [&](const Step &step, const std::string &op) { call_step(calls, step, op); });
}
