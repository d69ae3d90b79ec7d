// What the generator says of AWS's models: each operation, shape and member as a constant table. Protocols, validation and the
// compatibility page are interpreters of these tables; no code is generated per member.
//
// A generated struct looks like this, with its table in `kShape`:
//
//   struct StopTaskRequest {
//     static const Shape kShape;
//     std::optional<std::string> cluster;   // not required: optional
//     std::string task;                     // required: plain
//     std::optional<std::string> reason;
//   };
//
// All tables are immutable and may be read from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace berth::model {

// Comments name the C++ type that holds a value of the kind.
enum class Kind : uint8_t {
  string,        // std::string
  blob,          // std::string: the bytes; base64 on the wire
  integer,       // int32_t
  long_integer,  // int64_t
  real,          // double
  boolean,       // bool
  timestamp,     // TimeMs; seconds or ISO 8601 on the wire
  document,      // Document
  structure,     // the generated struct
  list,          // std::vector<element>
  map,           // Map<value>
};

template <class T>
using Map = std::map<std::string, T, std::less<>>;
using StringMap = Map<std::string>;

// JSON of any form, kept as its text.
struct Document {
  std::string json;
  bool operator==(const Document&) const = default;
};

// A structure that may come ready-made: the manifest names the output members of this type. Where `json` is set it is
// what JSON protocols send, as it stands; it must be the complete object that the value would render to.
template <class T>
struct Rendered {
  std::optional<T> value = {};
  std::shared_ptr<const std::string> json = {};
  bool operator==(const Rendered&) const = default;
};

// How an optional member is reached without knowing its type.
struct Presence {
  const void* (*get)(const void* member);  // null when absent
  void* (*emplace)(void* member);          // makes a default value, replacing one that is there
  // Only for Rendered: its ready-made JSON, or null.
  const std::string* (*json)(const void* member) = nullptr;
};

struct VectorOps {
  size_t (*size)(const void* vector);
  const void* (*data)(const void* vector);
  void* (*append)(void* vector);
  void (*clear)(void* vector);
  size_t stride;
};

struct MapOps {
  size_t (*size)(const void* map);
  void* (*emplace)(void* map, std::string_view key);  // a default value, replacing one that is there
  void (*clear)(void* map);
  void (*each)(const void* map, void* context, void (*visit)(void* context, const std::string& key, const void* value));
};

enum class MemberClass : uint8_t {
  unclassified,    // outputs: what we answer has no class
  acted_on,        // it changes what happens
  kept,            // stored and returned; changes no promise at run time
  refused_at_run,  // stored and returned; a task that has it stops with ResourceInitializationError
  refused,         // the request is answered with an error
};

// Where a member goes in a message. All but `body` are for REST protocols and the messages of event streams.
enum class Location : uint8_t {
  body,
  payload,  // the whole body
  header,   // named by xml_name
  headers,  // a map; xml_name is the prefix of its headers' names
  query,    // named by xml_name
  uri,      // "{xml_name}" in Operation::http_uri
  status,   // the HTTP status
  event_payload,
  event_header,
};

struct Shape;

struct Member {
  std::string_view name;       // as in the model
  std::string_view json_key;   // "\"name\":"; rest-json may have another name than the model
  std::string_view query_key;  // in a query body
  std::string_view xml_name;   // in an XML answer
  const Shape* shape;
  uint32_t offset;
  const Presence* presence;  // null: required, and stored plainly
  MemberClass member_class;
  Location location;
  bool required;
  std::string_view refusal;                   // refused and refused_at_run: what is not served, a whole sentence
  std::span<const std::string_view> allowed;  // values (as text) that are not refused all the same
};

inline std::string_view json_name(const Member& member) {
  return member.json_key.substr(1, member.json_key.size() - 3);
}

// A pattern compiled by the generator to a deterministic automaton over classes of bytes. Linear in the text, and no
// regular-expression library in the daemon. Bytes from 0x80 up are one class: a pattern cannot tell letters outside
// ASCII apart.
struct Pattern {
  std::string_view text;      // as the model writes it, for messages
  const uint8_t* byte_class;  // [256]
  uint32_t classes;
  const uint16_t* next;      // [state * classes + class]; state 0 is dead, 1 the start
  const uint8_t* accepting;  // [state]
};
bool matches(const Pattern& pattern, std::string_view text);

inline constexpr int64_t kNoMinimum = INT64_MIN;
inline constexpr int64_t kNoMaximum = INT64_MAX;

struct Shape {
  Kind kind;
  std::string_view name;
  // Strings (in characters), lists and maps (in entries): length. Numbers: range.
  int64_t min = kNoMinimum;
  int64_t max = kNoMaximum;
  const Pattern* pattern = nullptr;
  std::span<const std::string_view> enumeration = {};
  std::span<const Member> members = {};  // structure, in the model's order
  const Shape* element = nullptr;        // list, and the values of a map
  const Shape* key = nullptr;            // the keys of a map
  const VectorOps* vector = nullptr;     // list
  const MapOps* map = nullptr;           // map
  std::string_view element_name = {};    // in XML and query: a list's "member", "item", …; a map's "value"
  std::string_view key_name = {};        // in XML and query: a map's "key"
  bool flattened = false;                // in query: no "member" or "entry" between
  bool validated = false;                // something below has a constraint, a required member or a refusal
  bool is_union = false;                 // of the members one is set; an event stream is a union of its events
};

// What an error has beside its message. ApiError::list_members holds the values.
struct ErrorMember {
  std::string_view name;
  Kind kind;  // a list is one of strings
};

// An error that an operation may answer.
struct ErrorShape {
  std::string_view name;  // "ClusterNotFoundException"
  std::string_view code;  // on the wire of query protocols; the name where the model has no other
  int status;
  std::string_view message_key;  // "message" or "Message"
  std::span<const ErrorMember> members;
};

// Events that follow an operation's input or output, each a message of its own whose `:event-type` is the union's member.
// The member is no part of the input's or output's struct.
struct EventStream {
  std::string_view member;
  const Shape* events = nullptr;  // null: no events
};

struct Paginator {
  std::string_view input_token;  // member names; all empty where an operation has no pages
  std::string_view output_token;
  std::string_view limit_key;
  std::string_view result_key;
};

enum class Protocol : uint8_t { json, query, ec2, rest_json, rest_xml, cbor };

// Which words a service has for a request that breaks the model.
enum class ValidationStyle : uint8_t {
  ecs,     // "Cluster can not be blank.", "launch type should be one of [EC2,FARGATE,EXTERNAL]"
  smithy,  // "1 validation error detected: Value … at … failed to satisfy constraint: Member must …"
  ec2,     // "The request must contain the parameter VpcId", "Value (x) for parameter y is invalid. …"
};

struct Service;

struct Operation {
  const Service* service;
  std::string_view name;
  const Shape* input;
  std::shared_ptr<void> (*make_input)();
  const Shape* output;              // null: an empty answer
  std::string_view result_wrapper;  // query: <GetCallerIdentityResult>
  std::span<const ErrorShape> errors;
  Paginator paginator;
  std::string_view validation_error;  // the type of the answer to a request that breaks the model
  std::string_view refusal_error;     // the type of the answer to a request for what the manifest refuses
  bool idempotent_token;              // an input member is a client token
  std::string_view http_method;       // "POST"; the next two are for REST protocols
  std::string_view http_uri;          // "/", "/v1/items/{itemId}?list-type=2"
  std::string_view host_prefix;       // "data-": what clients may put before the endpoint's name
  EventStream input_events;
  EventStream output_events;
};

struct Service {
  std::string_view name;          // "ecs"
  std::string_view full_name;     // "Amazon EC2 Container Service"
  std::string_view signing_name;  // in the credential scope
  std::string_view api_version;
  Protocol protocol;                    // of requests that do not say which they speak
  std::span<const Protocol> protocols;  // in the model's order
  bool query_compatible;                // awsQueryCompatible: errors carry x-amzn-query-error, with ErrorShape::code
  std::string_view json_version;        // "1.1"
  std::string_view target_prefix;       // X-Amz-Target: prefix.Operation
  std::string_view xml_namespace;
  ValidationStyle validation_style;
  std::span<const Operation* const> operations;  // served, by name
  std::span<const std::string_view> not_served;  // the rest of the model, by name
};

// A service of AWS that Berth does not serve, so that its name and the form of its errors are known.
struct ForeignService {
  std::string_view signing_name;
  std::string_view full_name;
  Protocol protocol;
};

std::span<const Service* const> services();
const Service* find_service(std::string_view signing_name);
const ForeignService* find_foreign_service(std::string_view signing_name);
const Operation* find_operation(const Service& service, std::string_view name);
bool is_known_but_not_served(const Service& service, std::string_view operation);

// The error of that name, null where the operation has none such.
const ErrorShape* find_error(const Operation& operation, std::string_view name);

// A structure's member by its name in JSON and CBOR, null where there is none. Looked for first at `next`, which is then
// behind it: clients keep the model's order.
const Member* find_member(const Shape& structure, std::string_view name, size_t& next);

// Calls visit(const std::string& key, const void* value) for each entry, in the order of the keys.
template <class Visit>
void for_each_entry(const Shape& shape, const void* map, Visit visit) {
  shape.map->each(map, &visit, [](void* context, const std::string& key, const void* value) {
    (*static_cast<Visit*>(context))(key, value);
  });
}

// --- used by the generated tables ---

template <class T>
inline constexpr Presence kOptional = {
    [](const void* member) -> const void* {
      const auto& value = *static_cast<const std::optional<T>*>(member);
      return value ? &*value : nullptr;
    },
    [](void* member) -> void* { return &static_cast<std::optional<T>*>(member)->emplace(); },
};
template <class T>
inline constexpr Presence kShared = {
    [](const void* member) -> const void* { return static_cast<const std::shared_ptr<T>*>(member)->get(); },
    [](void* member) -> void* {
      auto& value = *static_cast<std::shared_ptr<T>*>(member);
      value = std::make_shared<T>();
      return value.get();
    },
};
template <class T>
inline constexpr Presence kRendered = {
    [](const void* member) -> const void* {
      const auto& value = static_cast<const Rendered<T>*>(member)->value;
      return value ? &*value : nullptr;
    },
    [](void* member) -> void* { return &static_cast<Rendered<T>*>(member)->value.emplace(); },
    [](const void* member) -> const std::string* { return static_cast<const Rendered<T>*>(member)->json.get(); },
};
template <class T>
inline constexpr VectorOps kVector = {
    [](const void* vector) { return static_cast<const std::vector<T>*>(vector)->size(); },
    [](const void* vector) -> const void* { return static_cast<const std::vector<T>*>(vector)->data(); },
    [](void* vector) -> void* { return &static_cast<std::vector<T>*>(vector)->emplace_back(); },
    [](void* vector) { static_cast<std::vector<T>*>(vector)->clear(); },
    sizeof(T),
};
template <class T>
inline constexpr MapOps kMap = {
    [](const void* map) { return static_cast<const Map<T>*>(map)->size(); },
    [](void* map, std::string_view key) -> void* {
      return &static_cast<Map<T>*>(map)->insert_or_assign(std::string(key), T()).first->second;
    },
    [](void* map) { static_cast<Map<T>*>(map)->clear(); },
    [](const void* map, void* context, void (*visit)(void*, const std::string&, const void*)) {
      for (const auto& [key, value] : *static_cast<const Map<T>*>(map)) visit(context, key, &value);
    },
};

}  // namespace berth::model
