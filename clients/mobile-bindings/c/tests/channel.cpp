// channel/: what one side is told to do, and what must come of it.
#include "script.hpp"

namespace {

const std::string kEnvelope = "voxwire.v1.Envelope";

voxwire::Channel channel_of(const Json &options) {
  const Json &limits = options.at("limits");
  if (options.members.size() != 5 || limits.members.size() != 3) {
    throw std::runtime_error("an option is not read");
  }
  VoxwireChannelOptions made{};
  made.peer = options.at("peer").as_text() == "client" ? VOXWIRE_SIDE_CLIENT : VOXWIRE_SIDE_SERVER;
  made.max_send_bytes = options.at("max_send_bytes").as_number();
  made.max_receive_bytes = options.at("max_receive_bytes").as_number();
  made.max_message_bytes = options.at("max_message_bytes").as_number();
  made.limits.messages = limits.at("messages").as_number();
  made.limits.total_bytes = limits.at("total_bytes").as_number();
  made.limits.age_ms = limits.at("age_ms").as_number();
  return voxwire::Channel(made);
}

Json written(VoxwireBytesList pieces) {
  Json out = Json::list();
  for (const VoxwireBytes &piece : voxwire::walk(pieces)) out.items.push_back(hex(owned(piece)));
  return out;
}

Json code_of(const voxwire::Error &error, const Schema &schema) {
  return schema.enum_name("voxwire.v1.ErrorCode", unsigned(error.code));
}

struct Outcome {
  Json bytes;
  Json messages = Json::list();
  std::optional<voxwire::Error> error;
};

void compare(const Step &step, const Outcome &outcome) {
  if (outcome.error.has_value() != step.has("error")) {
    step.fail(outcome.error ? outcome.error->what() : "there is no error");
  }
  if (outcome.error) step.expect("error", code_of(*outcome.error, step.schema));
  if (step.has("error_seq")) {
    step.expect("error_seq", outcome.error->seq);
  } else if (outcome.error && outcome.error->seq != 0) {
    step.fail("the error has a number");
  }
  if (step.has("bytes")) step.expect("bytes", outcome.bytes);
  if (step.has("messages")) {
    step.expect("messages", outcome.messages);
  } else if (!outcome.messages.items.empty()) {
    step.fail("there are messages");
  }
}

void receive(voxwire::Channel &channel, const Step &step) {
  auto receipt = channel.receive(unhex(step.text("data")), step.now_ms());
  Outcome outcome{Json(), Json::list(), receipt.refusal};
  for (const VoxwireReceived &one : voxwire::walk(receipt.messages)) {
    outcome.messages.items.push_back(step.schema.decode(kEnvelope, owned(one.envelope)));
  }
  compare(step, outcome);
}

void state(const voxwire::Channel &channel, const Step &step) {
  const VoxwireChannelState state = channel.state();
  step.expect_all(Json::object({
      {"last_received", state.last_received},
      {"last_sent", state.last_sent},
      {"unacknowledged", state.unacknowledged},
      {"next_due_ms", or_null(state.next_due_ms != UINT64_MAX, state.next_due_ms)},
  }));
}

void write(voxwire::Channel &channel, const Step &step, const std::string &op) {
  Outcome outcome;
  try {
    if (op == "send") {
      const std::string message = step.schema.encode(kEnvelope, step.fields.at("message"));
      outcome.bytes = written(channel.send(message, step.now_ms()));
    } else if (op == "resume") {
      auto pieces = channel.resume(step.number("last_seq"), step.now_ms());
      if (pieces) outcome.bytes = written(*pieces);
    } else {
      const VoxwireBytes ack = channel.outgoing(step.now_ms());
      outcome.bytes = Json::list();
      if (ack.data) outcome.bytes.items.push_back(hex(owned(ack)));
    }
  } catch (const voxwire::Error &error) {
    outcome.error = error;
  }
  compare(step, outcome);
}

}  // namespace

void run_channel(const Step &whole) {
  voxwire::Channel channel = channel_of(whole.fields.at("options"));
  each_step(whole, [&](const Step &step, const std::string &op) {
    if (op == "send" || op == "resume" || op == "outgoing") return write(channel, step, op);
    if (op == "receive") return receive(channel, step);
    if (op == "on_lost") return channel.on_lost(step.now_ms());
    if (op == "restart") return channel.restart();
    if (op == "state") return state(channel, step);
    step.unknown();
  });
}

// wire/: the same message as JSON and as bytes; a channel carries it to its peer unchanged.
void run_wire(const Step &whole, const std::string &name, const std::string &data) {
  const std::string canonical = whole.schema.encode(kEnvelope, whole.fields);
  if (canonical != data) whole.fail("JSON and bytes are not the same message");
  VoxwireText known{};
  VoxwireEnvelopeInfo info{};
  voxwire::check(voxwire_inspect(voxwire::bytes(data), &info, &known));
  if (owned(known) != name) whole.fail("the payload is " + owned(known));
  if (info.unknown_fields || info.unknown_payload) whole.fail("something is not known");
  if (info.reliable != (info.seq != 0)) whole.fail("it is numbered, or not, against the schema");
  // A chunk is the channel's own, and an acknowledgement is not delivered.
  if (name == "chunk" || name == "ack_only") return;
  auto side = info.from_client ? VOXWIRE_SIDE_CLIENT : VOXWIRE_SIDE_SERVER;
  auto peer = info.from_client ? VOXWIRE_SIDE_SERVER : VOXWIRE_SIDE_CLIENT;
  voxwire::Channel from(voxwire_channel_defaults(peer)), to(voxwire_channel_defaults(side));
  const std::string sent = owned(from.send(data, 0).items[0]);
  auto receipt = to.receive(sent, 0);
  if (receipt.refusal || receipt.messages.len != 1) whole.fail("it does not arrive");
  Json message = Json::object(), expected = whole.fields;
  message = whole.schema.decode(kEnvelope, owned(receipt.messages.items[0].envelope));
  for (Json *one : {&message, &expected}) {
    auto &members = one->members;
    for (auto at = members.begin(); at != members.end();) {
      at = at->first == "seq" || at->first == "ack" ? members.erase(at) : at + 1;
    }
  }
  if (whole.expectations.told(expected) != message) whole.fail("it arrives as another one");
}
