// Running cases: what a case says is read and compared here, by this program alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "json.hpp"
#include "proto.hpp"
#include "voxwire.hpp"

// Expectations of a case, counted; one of them may be told wrongly, and then the case must be red.
class Expectations {
 public:
  explicit Expectations(std::optional<std::size_t> wrong = {}) : wrong_(wrong) {}

  // What a case says, or something else.
  Json told(const Json &value);

  std::size_t count = 0;

 private:
  std::optional<std::size_t> wrong_;
};

// One step of a case, or the case itself.
struct Step {
  const Json &fields;
  std::string place;
  const Schema &schema;
  Expectations &expectations;

  bool has(const std::string &name) const { return fields.find(name) != nullptr; }
  std::string text(const std::string &name) const { return fields.at(name).as_text(); }
  std::uint64_t number(const std::string &name) const { return fields.at(name).as_number(); }
  double decimal(const std::string &name) const { return fields.at(name).as_float(); }
  bool flag(const std::string &name) const { return fields.at(name).as_bool(); }
  std::uint64_t now_ms() const { return has("now_ms") ? number("now_ms") : 0; }

  // What is expected under a name.
  Json wanted(const std::string &name) const { return expectations.told(fields.at(name)); }
  // What came of the step is what is expected under that name.
  void expect(const std::string &name, const Json &actual) const;
  // Every member but `op` is an expectation.
  void expect_all(const Json &actual) const;
  [[noreturn]] void fail(const std::string &reason) const;
  [[noreturn]] void unknown() const { fail("no such op: " + text("op")); }
};

std::string owned(VoxwireText text);
std::string owned(VoxwireBytes bytes);
Json json_of(VoxwireText text);
Json or_null(bool there, Json value);

// The folders that have cases, each with what runs one of them.
void run_channel(const Step &whole);
void run_words(const Step &whole);
void run_tools(const Step &whole);
void run_capture(const Step &whole);
void run_clock(const Step &whole);
void run_jitter(const Step &whole);
void run_playout(const Step &whole);
void run_conversation(const Step &whole);

// Runs the steps of a case in their order.
template <typename Run>
void each_step(const Step &whole, Run run) {
  const auto &steps = whole.fields.at("steps").items;
  for (std::size_t at = 0; at < steps.size(); ++at) {
    const std::string place = whole.place + ", step " + std::to_string(at);
    run(Step{steps[at], place, whole.schema, whole.expectations}, steps[at].at("op").as_text());
  }
}
