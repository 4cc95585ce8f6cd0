#include "json.hpp"

#include <algorithm>
#include <cstdio>

namespace {

[[noreturn]] void fail(const std::string &reason) { throw std::runtime_error(reason); }

class Parser {
 public:
  explicit Parser(const std::string &source) : source_(source) {}

  Json document() {
    Json value = this->value();
    skip();
    if (at_ != source_.size()) fail("JSON goes on behind its end");
    return value;
  }

 private:
  void skip() {
    while (at_ < source_.size() && std::string(" \t\r\n").find(source_[at_]) != std::string::npos) {
      ++at_;
    }
  }

  char next() {
    if (at_ >= source_.size()) fail("JSON ends early");
    return source_[at_++];
  }

  bool take(char wanted) {
    skip();
    if (at_ < source_.size() && source_[at_] == wanted) return ++at_, true;
    return false;
  }

  void expect(const std::string &wanted) {
    if (source_.compare(at_, wanted.size(), wanted) != 0) fail("JSON wants " + wanted);
    at_ += wanted.size();
  }

  Json value() {
    skip();
    if (at_ >= source_.size()) fail("JSON ends early");
    switch (source_[at_]) {
      case '{': return object();
      case '[': return list();
      case '"': return Json(text());
      case 't': return expect("true"), Json(true);
      case 'f': return expect("false"), Json(false);
      case 'n': return expect("null"), Json();
      default: return number();
    }
  }

  Json object() {
    expect("{");
    Json value = Json::object();
    if (take('}')) return value;
    do {
      skip();
      std::string name = text();
      if (!take(':')) fail("JSON wants :");
      value.members.emplace_back(std::move(name), this->value());
    } while (take(','));
    if (!take('}')) fail("JSON wants }");
    return value;
  }

  Json list() {
    expect("[");
    Json value = Json::list();
    if (take(']')) return value;
    do value.items.push_back(this->value());
    while (take(','));
    if (!take(']')) fail("JSON wants ]");
    return value;
  }

  Json number() {
    auto end = source_.find_first_not_of("+-.eE0123456789", at_);
    end = std::min(end, source_.size());
    if (end == at_) fail("JSON wants a value");
    Json value(std::uint64_t{0});
    value.text = source_.substr(at_, end - at_);
    at_ = end;
    return value;
  }

  unsigned unit() {
    unsigned value = 0;
    for (int digit = 0; digit < 4; ++digit) {
      value = value * 16 + unsigned(std::stoul(std::string(1, next()), nullptr, 16));
    }
    return value;
  }

  void put(std::string &out, unsigned point) {
    if (point < 0x80) {
      out += char(point);
      return;
    }
    int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static const unsigned leads[] = {0, 0xc0, 0xe0, 0xf0};
    out += char(leads[more] | (point >> (6 * more)));
    while (more-- > 0) out += char(0x80 | ((point >> (6 * more)) & 0x3f));
  }

  std::string text() {
    expect("\"");
    std::string out;
    for (char one = next(); one != '"'; one = next()) {
      if (one != '\\') {
        out += one;
        continue;
      }
      char escaped = next();
      static const std::string from = "bfnrt", to = "\b\f\n\r\t";
      if (auto known = from.find(escaped); known != std::string::npos) {
        out += to[known];
      } else if (escaped == 'u') {
        unsigned point = unit();
        if (point >= 0xd800 && point < 0xdc00) {
          expect("\\u");
          point = 0x10000 + ((point - 0xd800) << 10) + (unit() - 0xdc00);
        }
        put(out, point);
      } else {
        out += escaped;
      }
    }
    return out;
  }

  const std::string &source_;
  std::size_t at_ = 0;
};

bool same_number(const std::string &one, const std::string &other) {
  if (one == other) return true;
  bool whole = (one + other).find_first_of(".eE") == std::string::npos;
  return !whole && std::stod(one) == std::stod(other);
}

}  // namespace

Json::Json(double value) : kind(Kind::Number) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.17g", value);
  text = digits;
}

Json Json::list(std::vector<Json> items) {
  Json value;
  value.kind = Kind::List;
  value.items = std::move(items);
  return value;
}

Json Json::object(std::vector<Member> members) {
  Json value;
  value.kind = Kind::Object;
  value.members = std::move(members);
  return value;
}

Json Json::parse(const std::string &source) { return Parser(source).document(); }

bool Json::operator==(const Json &other) const {
  if (kind != other.kind) return false;
  switch (kind) {
    case Kind::Null: return true;
    case Kind::Bool: return truth == other.truth;
    case Kind::Number: return same_number(text, other.text);
    case Kind::Text: return text == other.text;
    case Kind::List: return items == other.items;
    case Kind::Object: break;
  }
  if (members.size() != other.members.size()) return false;
  return std::all_of(members.begin(), members.end(), [&](const Member &member) {
    const Json *same = other.find(member.first);
    return same && *same == member.second;
  });
}

std::string Json::dump() const {
  std::string out;
  switch (kind) {
    case Kind::Null: return "null";
    case Kind::Bool: return truth ? "true" : "false";
    case Kind::Number: return text;
    case Kind::Text: return '"' + text + '"';
    case Kind::List:
      for (const Json &item : items) out += (out.empty() ? "" : ", ") + item.dump();
      return '[' + out + ']';
    case Kind::Object: break;
  }
  for (const auto &[name, value] : members) {
    out += (out.empty() ? "\"" : ", \"") + name + "\": " + value.dump();
  }
  return '{' + out + '}';
}

const Json *Json::find(const std::string &name) const {
  for (const auto &[known, value] : members) {
    if (known == name) return &value;
  }
  return nullptr;
}

const Json &Json::at(const std::string &name) const {
  const Json *found = find(name);
  if (!found) fail("there is no " + name);
  return *found;
}

const std::string &Json::as_text() const {
  if (kind != Kind::Text) fail(dump() + " is no text");
  return text;
}

std::uint64_t Json::as_number() const {
  if (kind != Kind::Number || text.find_first_not_of("0123456789") != std::string::npos) {
    fail(dump() + " is no number");
  }
  return std::stoull(text);
}

double Json::as_float() const {
  if (kind != Kind::Number) fail(dump() + " is no number");
  return std::stod(text);
}

bool Json::as_bool() const {
  if (kind != Kind::Bool) fail(dump() + " is neither true nor false");
  return truth;
}
