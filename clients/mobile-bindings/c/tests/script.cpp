#include "script.hpp"

#include <stdexcept>

namespace {

// Something else than a value, of the same kind where there is another.
Json otherwise(Json value) {
  switch (value.kind) {
    case Json::Kind::Null: return Json(std::uint64_t{0});
    case Json::Kind::Bool: return Json(!value.truth);
    case Json::Kind::Number: return Json(value.as_float() + 1);
    case Json::Kind::Text: return Json(value.text + "0");
    case Json::Kind::List:
      if (value.items.empty()) return Json::list({Json(std::uint64_t{0})});
      value.items.back() = otherwise(value.items.back());
      return value;
    case Json::Kind::Object: break;
  }
  if (value.members.empty()) return Json();
  value.members.back().second = otherwise(value.members.back().second);
  return value;
}

}  // namespace

Json Expectations::told(const Json &value) {
  return count++ == wrong_ ? otherwise(value) : value;
}

void Step::fail(const std::string &reason) const { throw std::runtime_error(place + ": " + reason); }

void Step::expect(const std::string &name, const Json &actual) const {
  const Json expected = wanted(name);
  if (actual != expected) {
    fail(name + " is " + actual.dump() + ", and not " + expected.dump());
  }
}

void Step::expect_all(const Json &actual) const {
  if (actual.members.size() + 1 != fields.members.size()) fail("an expectation is not compared");
  for (const auto &[name, value] : actual.members) expect(name, value);
}

std::string owned(VoxwireText text) { return std::string(voxwire::view(text)); }

std::string owned(VoxwireBytes bytes) { return std::string(voxwire::view(bytes)); }

Json json_of(VoxwireText text) { return text.data ? Json(owned(text)) : Json(); }

Json or_null(bool there, Json value) { return there ? value : Json(); }
