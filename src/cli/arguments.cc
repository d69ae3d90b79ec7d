#include "cli/arguments.h"

#include <fmt/format.h>

#include <cstdio>

namespace berth::cli {
namespace {

const Option* find(const std::vector<Option>& options, std::string_view name) {
  for (const Option& option : options)
    if (name == option.name) return &option;
  return nullptr;
}

const Option* find_letter(const std::vector<Option>& options, char letter) {
  for (const Option& option : options)
    if (letter != 0 && letter == option.letter) return &option;
  return nullptr;
}

}  // namespace

Result<Arguments> Arguments::parse(const std::vector<std::string>& argv, const std::vector<Option>& options) {
  static constexpr Option kHelp{"help", false, 'h'};
  Arguments out;
  bool only_operands = false;
  for (size_t i = 1; i < argv.size(); ++i) {
    const std::string& word = argv[i];
    if (only_operands || word == "-" || !word.starts_with("-")) {
      out.operands_.push_back(word);
      continue;
    }
    if (word == "--") {
      only_operands = true;
      continue;
    }
    const size_t equals = word.find('=');
    const Option* option = nullptr;
    if (word.starts_with("--")) {
      const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
      option = name == "help" ? &kHelp : find(options, name);
    } else if (word.size() == 2) {
      option = word[1] == 'h' ? &kHelp : find_letter(options, word[1]);
    }
    if (!option) return fail(fmt::format("unknown option {}", word));
    if (!option->takes_value) {
      if (equals != std::string::npos) return fail(fmt::format("--{} takes no value", option->name));
      out.values_[option->name] = "";
    } else if (equals != std::string::npos) {
      out.values_[option->name] = word.substr(equals + 1);
    } else if (i + 1 < argv.size()) {
      out.values_[option->name] = argv[++i];
    }
    if (option->takes_value && out.values_[option->name].empty())
      return fail(fmt::format("--{} needs a value", option->name));
  }
  return out;
}

std::string Arguments::value(std::string_view option, std::string_view otherwise) const {
  const auto it = values_.find(option);
  return it == values_.end() ? std::string(otherwise) : it->second;
}

int complain(const std::string& message) {
  fmt::print(stderr, "berth: {}\n", message);
  return 1;
}

int misused(const std::string& command, const std::string& message) {
  fmt::print(stderr, "berth {}: {}\nTry 'berth {} --help'.\n", command, message, command);
  return 2;
}

}  // namespace berth::cli
