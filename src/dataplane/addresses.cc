#include "dataplane/addresses.h"

#include "base/assert.h"
#include "dataplane/vpc_layout.h"

namespace berth::dataplane {

AddressAllocator::AddressAllocator(Ipv4Network subnet)
    : subnet_(subnet), first_(subnet.base.value + kSubnetReservedFirst) {
  BERTH_ASSERT(subnet.prefix >= 16 && subnet.prefix <= 28);
  capacity_ = static_cast<uint32_t>(subnet.size()) - kSubnetReservedFirst - 1;
  used_.resize(capacity_);
}

std::optional<Ipv4> AddressAllocator::allocate() {
  if (used_count_ == capacity_) return std::nullopt;
  while (used_[next_]) next_ = (next_ + 1) % capacity_;
  const Ipv4 address{first_ + next_};
  used_[next_] = true;
  ++used_count_;
  next_ = (next_ + 1) % capacity_;
  return address;
}

bool AddressAllocator::take(Ipv4 address) {
  if (!assignable(subnet_, address) || used_[address.value - first_]) return false;
  used_[address.value - first_] = true;
  ++used_count_;
  return true;
}

void AddressAllocator::release(Ipv4 address) {
  if (!used(address)) return;
  used_[address.value - first_] = false;
  --used_count_;
}

bool AddressAllocator::used(Ipv4 address) const {
  return assignable(subnet_, address) && used_[address.value - first_];
}

void AddressAllocator::continue_after(Ipv4 address) {
  if (assignable(subnet_, address)) next_ = (address.value - first_ + 1) % capacity_;
}

}  // namespace berth::dataplane
