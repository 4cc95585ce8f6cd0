// words/: words on the wire, texts joined, and words on the media clock.
#include "script.hpp"

namespace {

const std::string kMessage = "voxwire.v1.UtteranceWords";
const std::string kSource = "voxwire.v1.TimingSource";

// Words of a case; the texts that they point to are the case's.
std::vector<VoxwireTimedWord> words_of(const Json &list, const Schema &schema) {
  std::vector<VoxwireTimedWord> words;
  for (const Json &one : list.items) {
    if (one.members.size() != 9) throw std::runtime_error("a field of a word is not read");
    VoxwireTimedWord word{};
    word.utterance_id = voxwire::text(one.at("utterance_id").as_text());
    word.index = std::uint32_t(one.at("index").as_number());
    word.text = voxwire::text(one.at("text").as_text());
    word.char_start = std::uint32_t(one.at("char_start").as_number());
    word.char_end = std::uint32_t(one.at("char_end").as_number());
    word.start_ms = one.at("start_ms").as_number();
    word.end_ms = one.at("end_ms").as_number();
    word.end_estimated = one.at("end_estimated").as_bool();
    word.source = std::int32_t(schema.enum_number(kSource, one.at("source").as_text()));
    words.push_back(word);
  }
  return words;
}

Json words_json(VoxwireTimedWordList words, const Schema &schema) {
  Json out = Json::list();
  for (const VoxwireTimedWord &word : voxwire::walk(words)) {
    out.items.push_back(Json::object({
        {"utterance_id", owned(word.utterance_id)},
        {"index", word.index},
        {"text", owned(word.text)},
        {"char_start", word.char_start},
        {"char_end", word.char_end},
        {"start_ms", word.start_ms},
        {"end_ms", word.end_ms},
        {"end_estimated", word.end_estimated},
        {"source", schema.enum_name(kSource, unsigned(word.source))},
    }));
  }
  return out;
}

Json heard_json(const VoxwireHeard &heard) {
  return Json::object({
      {"utterance_id", owned(heard.utterance_id)},
      {"words", heard.words},
      {"char_end", heard.char_end},
      {"media_ms", heard.media_ms},
  });
}

void decode(const Step &whole) {
  const Json &message = whole.fields.at("message");
  const std::string data = whole.schema.encode(kMessage, message);
  whole.expect("bytes", hex(data));
  voxwire::Timeline timeline;
  const std::string so_far = whole.text("text_so_far");
  const auto words = timeline.decode(data, so_far);
  const Json decoded = words_json(words, whole.schema);
  whole.expect("words", decoded);
  const Json *offset = message.find("textOffset"), *revision = message.find("revision");
  const Json *text = message.find("text");
  // An argument may be what the object has handed out.
  const std::string again{timeline.encode(words, text ? text->as_text() : "",
                                          offset ? std::uint32_t(offset->as_number()) : 0,
                                          revision ? std::uint32_t(revision->as_number()) : 0)};
  if (words_json(timeline.decode(again, so_far), whole.schema) != decoded) {
    whole.fail("words that were encoded again are others");
  }
}

void join(const Step &whole) {
  voxwire::Timeline timeline;
  for (const Json &one : whole.fields.at("joins").items) {
    const auto joined = timeline.join(one.at("before").as_text(), one.at("after").as_text());
    if (Json(std::string(joined)) != whole.expectations.told(one.at("text"))) {
      whole.fail("joined: " + std::string(joined));
    }
  }
}

void step_of(voxwire::Timeline &timeline, const Step &step, const std::string &op) {
  const std::string id = step.has("utterance_id") ? step.text("utterance_id") : "";
  Json out = Json::list();
  if (op == "begin") return timeline.begin(id, step.number("media_ms"));
  if (op == "add") {
    const auto words = words_of(step.fields.at("words"), step.schema);
    return timeline.add({words.data(), words.size()}, std::uint32_t(step.number("revision")));
  }
  if (op == "advance") {
    const auto due = timeline.advance(step.number("media_ms"));
    for (const auto &word : voxwire::walk(due)) {
      out.items.push_back(Json::list({Json(owned(word.utterance_id)), Json(word.index)}));
    }
    return step.expect("due", out);
  }
  if (op == "next_due_ms") {
    const std::uint64_t due_ms = timeline.next_due_ms();
    return step.expect("value", or_null(due_ms != UINT64_MAX, due_ms));
  }
  if (op == "heard") {
    return step.expect("heard", heard_json(timeline.heard(id, step.number("media_ms"))));
  }
  if (op == "cut") {
    const auto prefixes = timeline.cut(step.number("media_ms"), step.number("until_ms"));
    for (const auto &heard : voxwire::walk(prefixes)) out.items.push_back(heard_json(heard));
    return step.expect("heard", out);
  }
  if (op == "end") return timeline.end(id);
  if (op == "words") {
    const auto words = timeline.words(id);
    for (const auto &word : voxwire::walk(words)) out.items.push_back(Json(word.index));
    return step.expect("indices", out);
  }
  if (op == "set_text") return timeline.set_text(id, step.number("offset"), step.text("text"));
  if (op == "text") return step.expect("value", std::string(timeline.text_of(id)));
  step.unknown();
}

}  // namespace

void run_words(const Step &whole) {
  const std::string kind = whole.text("kind");
  if (kind == "decode") return decode(whole);
  if (kind == "join") return join(whole);
  if (kind != "timeline") whole.fail("no such kind: " + kind);
  voxwire::Timeline timeline;
  each_step(whole, [&](const Step &step, const std::string &op) { step_of(timeline, step, op); });
}
