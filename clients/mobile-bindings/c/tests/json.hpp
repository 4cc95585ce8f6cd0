// JSON as the vectors need it: a value, a parser, equality. Numbers keep their digits, so that 64 bits
// are not rounded.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

struct Json {
  enum class Kind { Null, Bool, Number, Text, List, Object };
  using Member = std::pair<std::string, Json>;

  Kind kind = Kind::Null;
  bool truth = false;
  std::string text;  // of a text, and the digits of a number
  std::vector<Json> items;
  std::vector<Member> members;

  Json() = default;
  Json(bool value) : kind(Kind::Bool), truth(value) {}
  Json(const char *value) : kind(Kind::Text), text(value) {}
  Json(std::string value) : kind(Kind::Text), text(std::move(value)) {}
  Json(std::uint64_t value) : kind(Kind::Number), text(std::to_string(value)) {}
  Json(std::int64_t value) : kind(Kind::Number), text(std::to_string(value)) {}
  Json(std::uint32_t value) : Json(std::uint64_t(value)) {}
  Json(double value);
  static Json list(std::vector<Json> items = {});
  static Json object(std::vector<Member> members = {});
  static Json parse(const std::string &source);

  bool operator==(const Json &other) const;
  bool operator!=(const Json &other) const { return !(*this == other); }
  std::string dump() const;

  const Json *find(const std::string &name) const;
  const Json &at(const std::string &name) const;
  const std::string &as_text() const;
  std::uint64_t as_number() const;
  double as_float() const;
  bool as_bool() const;
};
