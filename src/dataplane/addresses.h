// Hands out the addresses of one subnet. Pure: what is in use is told by the caller (records keep it), who rebuilds an
// allocator from the live tasks at start.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ipv4.h"

namespace berth::dataplane {

// Goes round the subnet, so that an address comes back as late as can be: connections that peers still hold to a dead
// task, and entries of their connection tracking, do not meet its successor.
class AddressAllocator {
 public:
  explicit AddressAllocator(Ipv4Network subnet);

  // The next free one after the latest given; nothing where the subnet is full.
  std::optional<Ipv4> allocate();
  // False where it is not assignable in this subnet or already taken.
  bool take(Ipv4 address);
  void release(Ipv4 address);
  bool used(Ipv4 address) const;
  // Where the next search begins: after `address`. At start, the address of the youngest task.
  void continue_after(Ipv4 address);

  const Ipv4Network& subnet() const { return subnet_; }
  uint32_t used_count() const { return used_count_; }
  uint32_t capacity() const { return capacity_; }  // AWS's availableIpAddressCount of an empty subnet

 private:
  Ipv4Network subnet_;
  uint32_t first_;  // first assignable
  uint32_t capacity_;
  uint32_t next_ = 0;  // offset from first_
  uint32_t used_count_ = 0;
  std::vector<bool> used_;
};

}  // namespace berth::dataplane
