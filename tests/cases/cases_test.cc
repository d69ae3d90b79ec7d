// Runs the data cases beside this file; README.md tells their form.
#include <gtest/gtest.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "base/json.h"
#include "control/loop/discovery_controller.h"
#include "control/loop/loop.h"
#include "model/json_codec.h"
#include "model/validate.h"
#include "records/network.h"
#include "records/read.h"
#include "services/discovery/discovery.h"
#include "services/ec2/default_vpc.h"
#include "services/ec2/ec2.h"
#include "services/ecs/ecs.h"
#include "services/sts/sts.h"
#include "state/memory_store.h"

namespace berth {
namespace {

using json::Value;
using Names = std::map<std::string, std::string>;

struct Case {
  std::string name;
  std::shared_ptr<const Value> file;
  Value body;
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

std::string test_name(const std::string& file, const std::string& name) {
  std::string out = file + "_";
  for (const char c : name) out += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return out;
}

std::vector<Case> load_cases() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(BERTH_CASES))
    if (entry.path().extension() == ".json") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<Case> cases;
  for (const auto& path : paths) {
    std::ifstream stream(path);
    std::stringstream text;
    text << stream.rdbuf();
    auto parsed = json::parse(text.str());
    if (!parsed) {
      std::fprintf(stderr, "%s: %s\n", path.c_str(), parsed.error().context.c_str());
      std::exit(1);
    }
    const auto file = std::make_shared<const Value>(*std::move(parsed));
    std::map<std::string, int> used;
    for (const Value& body : (*file)["cases"].array_or_empty()) {
      std::string name = test_name(path.stem(), body["name"].string_or(""));
      if (const int again = used[name]++) name += "_" + std::to_string(again + 1);
      cases.push_back({name, file, body});
    }
  }
  return cases;
}

std::string put_names(std::string text, const Names& names) {
  for (size_t at = text.find("${"); at != std::string::npos; at = text.find("${", at)) {
    const size_t end = text.find('}', at);
    const auto found = names.find(text.substr(at + 2, end - at - 2));
    if (end == std::string::npos || found == names.end()) {
      ADD_FAILURE() << "nothing is called " << text.substr(at);
      return text;
    }
    text.replace(at, end - at + 1, found->second);
    at += found->second.size();
  }
  return text;
}

Value put_names(const Value& value, const Names& names) {
  if (const auto* text = value.if_string()) return put_names(*text, names);
  if (const auto* array = value.if_array()) {
    json::Array out;
    for (const Value& item : *array) out.push_back(put_names(item, names));
    return out;
  }
  if (const auto* object = value.if_object()) {
    json::Object out;
    for (const auto& [key, item] : *object) out.emplace_back(put_names(key, names), put_names(item, names));
    return out;
  }
  return value;
}

size_t index_of(const std::string& part) {
  size_t index = 0;
  std::from_chars(part.data(), part.data() + part.size(), index);
  return index;
}

const Value* at_path(const Value& value, const std::string& path) {
  const size_t dot = path.find('.');
  const std::string part = path.substr(0, dot);
  const Value* found = nullptr;
  if (const auto* array = value.if_array())
    found = index_of(part) < array->size() ? &(*array)[index_of(part)] : nullptr;
  else
    found = value.find(part);
  return found == nullptr || dot == std::string::npos ? found : at_path(*found, path.substr(dot + 1));
}

void set_path(Value& value, const std::string& path, const Value& content) {
  const size_t dot = path.find('.');
  const std::string part = path.substr(0, dot);
  Value child;
  const Value* present = at_path(value, part);
  if (present != nullptr) child = *present;
  if (dot == std::string::npos)
    child = content;
  else
    set_path(child, path.substr(dot + 1), content);
  if (auto* array = value.if_array()) {
    if (index_of(part) >= array->size()) array->resize(index_of(part) + 1);
    (*array)[index_of(part)] = std::move(child);
    return;
  }
  if (child.is_null()) {
    if (auto* object = value.if_object())
      std::erase_if(*object, [&](const auto& member) { return member.first == part; });
    return;
  }
  value.set(part, std::move(child));
}

// Where `expected` asks for what `actual` is not; empty: nowhere.
std::string difference(const Value* actual, const Value& expected, const std::string& path) {
  if (expected["$absent"].bool_or(false))
    return actual == nullptr ? "" : path + " is there: " + json::to_string(*actual);
  if (actual == nullptr) return path + " is absent";
  if (expected["$any"].bool_or(false)) return "";
  if (const Value* size = expected.find("$size"))
    return static_cast<int64_t>(actual->array_or_empty().size()) == size->int_or(-1)
               ? ""
               : path + " has " + std::to_string(actual->array_or_empty().size()) + " items";
  if (const Value* pattern = expected.find("$matches")) {
    const std::string text = actual->string_or(json::to_string(*actual));
    return std::regex_match(text, std::regex(pattern->string_or(""))) ? "" : path + " is " + text;
  }
  if (const auto* members = expected.if_object()) {
    for (const auto& [name, content] : *members)
      if (std::string found = difference(actual->find(name), content, path + "." + name); !found.empty()) return found;
    return "";
  }
  if (const auto* items = expected.if_array()) {
    const auto* present = actual->if_array();
    if (present == nullptr || present->size() != items->size())
      return path + " is " + json::to_string(*actual) + ", not of " + std::to_string(items->size()) + " items";
    for (size_t i = 0; i < items->size(); ++i)
      if (std::string found = difference(&(*present)[i], (*items)[i], path + "." + std::to_string(i)); !found.empty())
        return found;
    return "";
  }
  const bool same = *actual == expected || (actual->if_double() && actual->double_or(0) == expected.double_or(-1));
  return same ? "" : path + " is " + json::to_string(*actual) + ", not " + json::to_string(expected);
}

class Cases : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    services::ecs::add_handlers(registry_);
    services::ec2::add_handlers(registry_);
    services::sts::add_handlers(registry_);
    services::discovery::add_handlers(registry_, store_.head());
    std::vector<std::unique_ptr<control::Controller>> controllers;
    controllers.push_back(std::make_unique<control::DiscoveryController>(store_));
    loop_ = std::make_unique<control::Loop>(store_, control::Settings{}, std::move(controllers));
    const Value& body = GetParam().body;
    capacity_.memory_mib = body["capacity_mib"].int_or(1 << 20);
    simulated_ = body["simulated"].bool_or(false);
    names_ = {{"account", "123456789012"}, {"region", "eu-central-1"}};
    names_["ecs"] = "arn:aws:ecs:eu-central-1:123456789012:";
    state::Transaction transaction;
    const records::Scope scope{names_["account"], names_["region"]};
    services::ec2::ensure_default_vpc(store_, scope, services::kDefaultNetwork, random_, transaction);
    ASSERT_TRUE(store_.apply(std::move(transaction)));
    const auto vpc = records::get<records::Vpc>(
        store_, records::keys::ec2("vpc", scope, services::ec2::default_vpc_id(store_, scope)));
    names_["vpc"] = vpc->id;
    names_["group"] = vpc->default_security_group_id;
    names_["route_table"] = vpc->main_route_table_id;
    names_["acl"] = vpc->default_network_acl_id;
    names_["dhcp_options"] = vpc->dhcp_options_id;
    names_["gateway"] = vpc->internet_gateway_id;
    for (const auto& [key, subnet] : records::range<records::Subnet>(store_, records::keys::ec2("subnet", scope, "")))
      names_[std::string("subnet_") + subnet->availability_zone.back()] = subnet->id;
  }

  void run(const Value& step) {
    clock_.advance_ms(step["advance_ms"].int_or(0));
    if (step.find("advance_ms")) end_operations();
    if (const Value* key = step.find("record")) return write(put_names(key->string_or(""), names_), step["value"]);
    if (step.find("call")) call(step);
  }

  void write(const std::string& key, const Value& value) {
    state::Transaction transaction;
    if (value.is_null())
      transaction.erase(key);
    else
      transaction.put(key, json::to_string(put_names(value, names_)));
    ASSERT_TRUE(store_.apply(std::move(transaction)));
  }

  Value input_of(const Value& step) {
    Value input = json::Object{};
    const Value& given = step["input"];
    if (const Value* base = given.find("$base")) {
      const Value* found = (*GetParam().file)["bases"].find(base->string_or(""));
      EXPECT_NE(found, nullptr) << "no base " << base->string_or("");
      if (found) input = *found;
    }
    for (const auto& [path, content] : given.object_or_empty())
      if (path != "$base") set_path(input, path, content);
    return put_names(input, names_);
  }

  const model::Operation* operation_of(std::string name) {
    std::string service = "ecs";
    if (const size_t colon = name.find(':'); colon != std::string::npos) {
      service = name.substr(0, colon);
      name = name.substr(colon + 1);
    }
    const auto* found = model::find_service(service);
    return found ? model::find_operation(*found, name) : nullptr;
  }

  void call(const Value& step) {
    const auto* operation = operation_of(step["call"].string_or(""));
    ASSERT_NE(operation, nullptr) << step["call"].string_or("");
    const auto answer = answer_of(*operation, json::to_string(input_of(step)), step["as"]);
    if (!step["busy"].bool_or(false)) end_operations();
    if (const Value* error = step.find("error")) return expect_error(answer, put_names(*error, names_));
    ASSERT_TRUE(answer) << answer.error().type << ": " << answer.error().message;
    Value shown;
    if (operation->output) {
      std::string text;
      model::append_json(text, *operation->output, answer->get());
      auto parsed = json::parse(text);
      ASSERT_TRUE(parsed) << text;
      shown = *std::move(parsed);
    }
    const Value* expected = step.find("expect");
    const std::string wrong = expected ? difference(&shown, put_names(*expected, names_), "answer") : "";
    EXPECT_EQ(wrong, "") << json::to_pretty_string(shown);
    for (const auto& [name, path] : step["save"].object_or_empty()) {
      const Value* found = at_path(shown, path.string_or(""));
      ASSERT_NE(found, nullptr) << path.string_or("") << " in " << json::to_pretty_string(shown);
      names_[name] = found->string_or("");
      names_[name + ".id"] = names_[name].substr(names_[name].rfind('/') + 1);
    }
  }

  ApiResult<std::shared_ptr<const void>> answer_of(const model::Operation& operation, const std::string& text,
                                                   const Value& as) {
    const auto input = operation.make_input();
    std::vector<model::Path> missing;
    if (auto read = model::read_json(text, *operation.input, input.get(), &missing); !read)
      return refuse("SerializationException", read.error().message);
    if (auto refused = model::validate(operation, input.get(), missing)) return tl::unexpected(*refused);
    Caller caller;
    caller.account = as["account"].string_or(names_["account"]);
    caller.region = as["region"].string_or(names_["region"]);
    caller.arn = "arn:aws:iam::" + caller.account + ":root";
    caller.access_key_id = "AKIDEXAMPLE";
    for (const auto& [known, handler, access] : registry_.handlers()) {
      if (known != &operation) continue;
      const services::Context context{store_,          tasks_,  networks_, caller,
                                      clock_.now_ms(), random_, capacity_, services::kDefaultNetwork,
                                      simulated_};
      auto handled = handler(context, input.get());
      if (handled.answer) {
        EXPECT_TRUE(store_.apply(std::move(handled.transaction)));
      }
      store_.settle();
      return handled.answer;
    }
    return refuse("NoHandler", std::string(operation.name));
  }

  // What is asynchronous in Cloud Map.
  void end_operations() {
    for (int round = 0; round < 3; ++round) {
      (void)loop_->run(clock_.now_ms());
      store_.settle();
    }
  }

  static void expect_error(const ApiResult<std::shared_ptr<const void>>& answer, const Value& expected) {
    ASSERT_FALSE(answer) << "was not refused";
    EXPECT_EQ(answer.error().type, expected["type"].string_or(""));
    const Value message(answer.error().message);
    EXPECT_EQ(difference(&message, expected["message"], "message"), "");
  }

  state::MemoryStore store_;
  records::TaskIndex tasks_{store_};
  records::NetworkIndex networks_{store_};
  FakeClock clock_;
  Prng random_{7};
  services::Capacity capacity_;
  bool simulated_ = false;
  services::Registry<model::Operation> registry_;
  std::unique_ptr<control::Loop> loop_;
  Names names_;
};

TEST_P(Cases, Holds) {
  for (const Value& step : (*GetParam().file)["before"].array_or_empty()) {
    run(step);
    ASSERT_FALSE(HasFailure()) << "before: " << json::to_string(step);
  }
  if (const Value* steps = GetParam().body.find("steps")) {
    for (const Value& step : steps->array_or_empty()) {
      run(step);
      ASSERT_FALSE(HasFailure()) << json::to_string(step);
    }
  } else {
    run(GetParam().body);
  }
}

INSTANTIATE_TEST_SUITE_P(Data, Cases, testing::ValuesIn(load_cases()),
                         [](const auto& info) { return info.param.name; });

// A handler for each operation of the manifest, and no other.
TEST(Registry, ServesTheManifest) {
  services::Registry<model::Operation> registry;
  services::ecs::add_handlers(registry);
  services::ec2::add_handlers(registry);
  services::sts::add_handlers(registry);
  services::discovery::add_handlers(registry, 0);
  for (const char* name : {"ecs", "ec2", "sts", "servicediscovery"})
    for (const auto* operation : model::find_service(name)->operations) {
      const auto count = std::count_if(registry.handlers().begin(), registry.handlers().end(),
                                       [&](const auto& served) { return served.operation == operation; });
      EXPECT_EQ(count, 1) << operation->name;
    }
}

}  // namespace
}  // namespace berth
