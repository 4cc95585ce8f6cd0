// Protobuf's JSON and bytes, by a descriptor set alone: nothing of the library takes part. As much of
// it as the schema has: no maps, no groups, no well-known types.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "json.hpp"

class Schema {
 public:
  // Reads a FileDescriptorSet.
  explicit Schema(const std::string &descriptors);

  // The bytes of a message in proto3 JSON, fields by number.
  std::string encode(const std::string &message, const Json &json) const;

  // A message in proto3 JSON.
  Json decode(const std::string &message, const std::string &data) const;

  // Names of the fields of a message in the schema, by number.
  std::map<unsigned, std::string> fields_of(const std::string &message) const;

  // A value of an enum by its name, and the other way round.
  unsigned enum_number(const std::string &name, const std::string &value) const;
  std::string enum_name(const std::string &name, unsigned number) const;

 private:
  struct Field {
    std::string name, json_name, type_name;
    unsigned number = 0, label = 0, type = 0;
  };
  using Message = std::map<unsigned, Field>;
  using Enum = std::map<std::string, unsigned>;

  void read_message(const std::string &scope, const std::string &data);
  void read_enum(const std::string &scope, const std::string &data);
  Field read_field(const std::string &data) const;
  std::string value_bytes(const Field &field, const Json &json) const;
  Json value_json(const Field &field, unsigned wire, std::uint64_t number,
                  const std::string &data) const;
  void add(Json &out, const Field &field, unsigned wire, std::uint64_t number,
           const std::string &data) const;

  std::map<std::string, Message> messages_;
  std::map<std::string, Enum> enums_;
};

std::string hex(const std::string &data);
std::string unhex(const std::string &text);
