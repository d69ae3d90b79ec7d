// Options and operands of one subcommand. Wrong ones end in one line on standard error and exit status 2.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace berth::cli {

struct Option {
  const char* name;  // long name; every option of ours is long, a few have a letter too
  bool takes_value;
  char letter = 0;
};

class Arguments {
 public:
  // `argv` begins with the subcommand's name. --help is always understood.
  static Result<Arguments> parse(const std::vector<std::string>& argv, const std::vector<Option>& options);

  bool has(std::string_view option) const { return values_.contains(option); }
  std::string value(std::string_view option, std::string_view otherwise) const;
  const std::vector<std::string>& operands() const { return operands_; }

 private:
  std::map<std::string, std::string, std::less<>> values_;
  std::vector<std::string> operands_;
};

inline constexpr const char* kDefaultStateDirectory = "/var/lib/berth";
inline constexpr const char* kDefaultListen = "127.0.0.1:4566";
inline constexpr uint16_t kDefaultPort = 4566;
inline constexpr const char* kDefaultAccount = "000000000000";
inline constexpr const char* kDefaultRegion = "us-east-1";

// "berth: <message>" on standard error; returns 1.
int complain(const std::string& message);
// The same with a pointer to the help, for wrong usage; returns 2.
int misused(const std::string& command, const std::string& message);

}  // namespace berth::cli
