// The prefix lists that AWS itself keeps in every region, for gateway endpoints and rules. Constants: nobody writes them. The blocks
// are of the services' documented ones; the ids are the same in every region here.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace berth::records {

struct AwsPrefixList {
  std::string_view id;
  std::string_view service;  // its name is com.amazonaws.<region>.<service>
  std::array<std::string_view, 2> cidrs;

  std::string name(std::string_view region) const {
    return "com.amazonaws." + std::string(region) + "." + std::string(service);
  }
};

inline constexpr std::array<AwsPrefixList, 2> kAwsPrefixLists{{
    {"pl-63a5400a", "s3", {"52.216.0.0/15", "54.231.0.0/16"}},
    {"pl-02cd2c6b", "dynamodb", {"52.94.0.0/22", "52.119.224.0/20"}},
}};

constexpr const AwsPrefixList* aws_prefix_list(std::string_view id) {
  for (const AwsPrefixList& list : kAwsPrefixLists)
    if (list.id == id) return &list;
  return nullptr;
}

}  // namespace berth::records
