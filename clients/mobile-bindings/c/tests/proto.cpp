#include "proto.hpp"

#include <cctype>
#include <cstring>
#include <stdexcept>

namespace {

// FieldDescriptorProto.Type
enum Type {
  kDouble = 1,
  kInt64 = 3,
  kUint64 = 4,
  kInt32 = 5,
  kBool = 8,
  kString = 9,
  kMessage = 11,
  kBytes = 12,
  kUint32 = 13,
  kEnum = 14
};
constexpr unsigned kRepeated = 3;
constexpr unsigned kVarint = 0, kEight = 1, kLength = 2;
const std::string kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

[[noreturn]] void fail(const std::string &reason) { throw std::runtime_error(reason); }

std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += char(value | 0x80);
  return out + char(value);
}

std::string with_length(const std::string &data) { return varint(data.size()) + data; }

// Walks the fields of some bytes.
class Reader {
 public:
  explicit Reader(const std::string &data) : data_(data) {}

  bool next() {
    if (at_ == data_.size()) return false;
    std::uint64_t tag = varint();
    number = unsigned(tag >> 3);
    wire = unsigned(tag & 7);
    if (wire == kVarint) {
      value = varint();
    } else if (wire == kEight) {
      std::memcpy(&value, take(8).data(), 8);
    } else if (wire == kLength) {
      bytes = take(varint());
    } else {
      fail("no such wire type in the schema");
    }
    return true;
  }

  bool done() const { return at_ == data_.size(); }

  std::uint64_t varint() {
    std::uint64_t out = 0;
    for (int shift = 0;; shift += 7) {
      unsigned char byte = take(1)[0];
      out |= std::uint64_t(byte & 0x7f) << shift;
      if (byte < 0x80) return out;
    }
  }

  unsigned number = 0, wire = 0;
  std::uint64_t value = 0;
  std::string bytes;

 private:
  std::string take(std::uint64_t count) {
    if (count > data_.size() - at_) fail("a message ends early");
    at_ += count;
    return data_.substr(at_ - count, count);
  }

  const std::string data_;
  std::size_t at_ = 0;
};

std::string base64(const std::string &data) {
  std::string out;
  for (std::size_t at = 0; at < data.size(); at += 3) {
    unsigned bits = 0;
    for (std::size_t byte = 0; byte < 3; ++byte) {
      bits = bits << 8 | (at + byte < data.size() ? (unsigned char)data[at + byte] : 0);
    }
    for (std::size_t six = 0; six < 4; ++six) {
      out += at + six > data.size() ? '=' : kAlphabet[bits >> (18 - 6 * six) & 63];
    }
  }
  return out;
}

std::string unbase64(const std::string &text) {
  std::string out;
  unsigned bits = 0, count = 0;
  for (char one : text) {
    if (one == '=') break;
    bits = (bits << 6 | unsigned(kAlphabet.find(one))) & 0xffffff;
    if ((count += 6) >= 8) out += char(bits >> (count -= 8));
  }
  return out;
}

}  // namespace

std::string hex(const std::string &data) {
  static const char *digits = "0123456789abcdef";
  std::string out;
  for (unsigned char byte : data) (out += digits[byte >> 4]) += digits[byte & 15];
  return out;
}

std::string unhex(const std::string &text) {
  std::string out;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
    out += char(std::stoi(text.substr(at, 2), nullptr, 16));
  }
  return out;
}

Schema::Schema(const std::string &descriptors) {
  for (Reader set(descriptors); set.next();) {
    std::string package;
    for (Reader file(set.bytes); file.next();) {
      if (file.number == 2) package = file.bytes;
      if (file.number == 4) read_message("." + package, file.bytes);
      if (file.number == 5) read_enum("." + package, file.bytes);
    }
  }
}

void Schema::read_message(const std::string &scope, const std::string &data) {
  std::string name;
  for (Reader message(data); message.next();) {
    if (message.number == 1) name = scope + "." + message.bytes;
  }
  Message &fields = messages_[name];
  for (Reader message(data); message.next();) {
    if (message.number == 3) read_message(name, message.bytes);
    if (message.number == 4) read_enum(name, message.bytes);
    if (message.number != 2) continue;
    Field field = read_field(message.bytes);
    fields[field.number] = field;
  }
}

void Schema::read_enum(const std::string &scope, const std::string &data) {
  std::string name;
  Enum values;
  for (Reader kind(data); kind.next();) {
    if (kind.number == 1) name = scope + "." + kind.bytes;
    if (kind.number != 2) continue;
    std::string value;
    std::uint64_t number = 0;
    for (Reader one(kind.bytes); one.next();) {
      if (one.number == 1) value = one.bytes;
      if (one.number == 2) number = one.value;
    }
    values[value] = unsigned(number);
  }
  enums_[name] = values;
}

Schema::Field Schema::read_field(const std::string &data) const {
  Field field;
  for (Reader one(data); one.next();) {
    if (one.number == 1) field.name = one.bytes;
    if (one.number == 3) field.number = unsigned(one.value);
    if (one.number == 4) field.label = unsigned(one.value);
    if (one.number == 5) field.type = unsigned(one.value);
    if (one.number == 6) field.type_name = one.bytes;
  }
  bool upper = false;
  for (char letter : field.name) {
    if (letter != '_') field.json_name += upper ? char(std::toupper(letter)) : letter;
    upper = letter == '_';
  }
  return field;
}

std::map<unsigned, std::string> Schema::fields_of(const std::string &message) const {
  std::map<unsigned, std::string> names;
  for (const auto &[number, field] : messages_.at("." + message)) names[number] = field.name;
  return names;
}

unsigned Schema::enum_number(const std::string &name, const std::string &value) const {
  return enums_.at("." + name).at(value);
}

std::string Schema::enum_name(const std::string &name, unsigned number) const {
  for (const auto &[value, known] : enums_.at("." + name)) {
    if (known == number) return value;
  }
  fail(name + " has no value " + std::to_string(number));
}

std::string Schema::value_bytes(const Field &field, const Json &json) const {
  switch (field.type) {
    case kDouble: {
      double value = json.as_float();
      return std::string(reinterpret_cast<const char *>(&value), 8);
    }
    case kBool: return varint(json.as_bool());
    case kString: return with_length(json.as_text());
    case kBytes: return with_length(unbase64(json.as_text()));
    case kMessage: return with_length(encode(field.type_name.substr(1), json));
    case kEnum: return varint(enums_.at(field.type_name).at(json.as_text()));
    case kUint64: return varint(std::stoull(json.as_text()));
    case kInt64: return varint(std::uint64_t(std::stoll(json.as_text())));
    case kInt32: return varint(std::uint64_t(std::int64_t(json.as_float())));
    case kUint32: return varint(json.as_number());
    default: fail("the type of " + field.name + " is not known here");
  }
}

static unsigned wire_of(unsigned type) {
  if (type == kDouble) return kEight;
  return type == kString || type == kBytes || type == kMessage ? kLength : kVarint;
}

std::string Schema::encode(const std::string &message, const Json &json) const {
  std::string out;
  std::size_t known = 0;
  for (const auto &[number, field] : messages_.at("." + message)) {
    const Json *value = json.find(field.json_name);
    if (!value) continue;
    ++known;
    unsigned wire = wire_of(field.type);
    if (field.label != kRepeated) {
      out += varint(number << 3 | wire) + value_bytes(field, *value);
    } else if (wire == kLength) {
      for (const Json &item : value->items) {
        out += varint(number << 3 | wire) + value_bytes(field, item);
      }
    } else {
      std::string packed;
      for (const Json &item : value->items) packed += value_bytes(field, item);
      out += varint(number << 3 | kLength) + with_length(packed);
    }
  }
  if (known != json.members.size()) fail(message + " has no such field: " + json.dump());
  return out;
}

Json Schema::value_json(const Field &field, unsigned wire, std::uint64_t number,
                        const std::string &data) const {
  if (wire != wire_of(field.type)) fail(field.name + " is of another type on the wire");
  switch (field.type) {
    case kDouble: {
      double value;
      std::memcpy(&value, &number, 8);
      return Json(value);
    }
    case kBool: return Json(number != 0);
    case kString: return Json(data);
    case kBytes: return Json(base64(data));
    case kMessage: return decode(field.type_name.substr(1), data);
    case kUint64: return Json(std::to_string(number));
    case kInt64: return Json(std::to_string(std::int64_t(number)));
    case kInt32: return Json(std::int64_t(std::int32_t(number)));
    case kUint32: return Json(std::uint64_t(number));
    default: break;
  }
  return Json(enum_name(field.type_name.substr(1), unsigned(number)));
}

void Schema::add(Json &out, const Field &field, unsigned wire, std::uint64_t number,
                 const std::string &data) const {
  if (field.label != kRepeated) {
    Json value = value_json(field, wire, number, data);
    for (auto &[name, known] : out.members) {
      if (name == field.json_name) return void(known = value);
    }
    out.members.emplace_back(field.json_name, value);
    return;
  }
  if (!out.find(field.json_name)) out.members.emplace_back(field.json_name, Json::list());
  std::vector<Json> &items = out.members.back().second.items;
  if (wire_of(field.type) == kLength || wire != kLength) {
    items.push_back(value_json(field, wire, number, data));
    return;
  }
  for (Reader packed(data); !packed.done();) {
    items.push_back(value_json(field, kVarint, packed.varint(), ""));
  }
}

Json Schema::decode(const std::string &message, const std::string &data) const {
  const Message &fields = messages_.at("." + message);
  Json out = Json::object();
  for (Reader reader(data); reader.next();) {
    auto field = fields.find(reader.number);
    if (field == fields.end()) continue;
    add(out, field->second, reader.wire, reader.value, reader.bytes);
  }
  return out;
}
