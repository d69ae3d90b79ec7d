#include "taskdir/plan.h"

#include "taskdir/codec.h"
#include "taskdir/crc32.h"

namespace berth::taskdir {
namespace {

constexpr std::string_view kMagic = "BERTHPLN";
constexpr size_t kNameBytesMax = 255;

void encode_container(Encoder& e, const ContainerPlan& c) {
  e.text(c.name);
  e.boolean(c.stops_task);
  e.texts(c.lower_directories);
  e.u32(c.stop_signal);
  e.u32(c.stop_timeout_ms);
  e.u32s(c.dependants);
  e.text(c.log.directory);
  e.u8(static_cast<uint8_t>(c.log.mode));
  e.u64(c.log.buffer_bytes_max);
  e.u64(c.log.bytes_max);
}

ContainerPlan decode_container(Decoder d) {
  ContainerPlan c;
  c.name = d.text();
  c.stops_task = d.boolean();
  c.lower_directories = d.texts();
  c.stop_signal = d.u32();
  c.stop_timeout_ms = d.u32();
  c.dependants = d.u32s();
  c.log.directory = d.text();
  c.log.mode = static_cast<LogMode>(d.u8());
  c.log.buffer_bytes_max = d.u64();
  c.log.bytes_max = d.u64();
  if (!d.ok()) c.name.clear();
  return c;
}

VolumePlan decode_volume(Decoder d) {
  VolumePlan v;
  v.name = d.text();
  v.container = d.u32();
  v.path = d.text();
  if (!d.ok()) v.name.clear();
  return v;
}

bool is_sound(const Plan& plan) {
  if (!is_safe_name(plan.task_id) || !is_safe_name(plan.instance)) return false;
  if (plan.cgroup_mode < CgroupMode::v1 || plan.cgroup_mode > CgroupMode::hybrid) return false;
  for (const ContainerPlan& c : plan.containers) {
    if (!is_safe_name(c.name) || c.stop_signal == 0 || c.stop_signal > 64) return false;
    if (c.log.mode != LogMode::blocking && c.log.mode != LogMode::non_blocking) return false;
    for (uint32_t dependant : c.dependants) {
      if (dependant >= plan.containers.size()) return false;
    }
  }
  for (const VolumePlan& v : plan.image_volumes) {
    if (!is_safe_name(v.name) || v.container >= plan.containers.size()) return false;
  }
  return true;
}

}  // namespace

bool is_safe_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax || name == "." || name == "..") return false;
  for (char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!plain && c != '-' && c != '_' && c != '.') return false;
  }
  return true;
}

std::string encode_plan(const Plan& plan) {
  std::string body;
  Encoder e(body);
  e.text(plan.task_id);
  e.text(plan.instance);
  e.text(plan.runtime_path);
  e.text(plan.runtime_root);
  e.text(plan.cgroup_root);
  e.u8(static_cast<uint8_t>(plan.cgroup_mode));
  e.u64(plan.memory_limit_bytes);
  e.u64(plan.cpu_shares);
  e.u64(plan.cpu_quota_us);
  e.u64(plan.processes_max);
  e.u32(static_cast<uint32_t>(plan.containers.size()));
  for (const ContainerPlan& container : plan.containers) {
    std::string text;  // a structure in a list carries its own length, so that it too can grow at its end
    Encoder inner(text);
    encode_container(inner, container);
    e.text(text);
  }
  e.text(plan.network_namespace);
  e.u32(static_cast<uint32_t>(plan.image_volumes.size()));
  for (const VolumePlan& volume : plan.image_volumes) {
    std::string text;
    Encoder inner(text);
    inner.text(volume.name);
    inner.u32(volume.container);
    inner.text(volume.path);
    e.text(text);
  }
  std::string out(kMagic);
  Encoder head(out);
  head.u32(kVersion);
  head.u32(crc32(body));
  out += body;
  return out;
}

std::optional<Plan> decode_plan(std::string_view bytes) {
  if (bytes.substr(0, kMagic.size()) != kMagic) return std::nullopt;
  bytes.remove_prefix(kMagic.size());
  if (bytes.size() < 8) return std::nullopt;
  Decoder head(bytes.substr(0, 8));
  if (head.u32() != kVersion) return std::nullopt;
  const uint32_t crc = head.u32();
  bytes.remove_prefix(8);
  if (crc32(bytes) != crc) return std::nullopt;

  Decoder d(bytes);
  Plan plan;
  plan.task_id = d.text();
  plan.instance = d.text();
  plan.runtime_path = d.text();
  plan.runtime_root = d.text();
  plan.cgroup_root = d.text();
  plan.cgroup_mode = static_cast<CgroupMode>(d.u8());
  plan.memory_limit_bytes = d.u64();
  plan.cpu_shares = d.u64();
  plan.cpu_quota_us = d.u64();
  plan.processes_max = d.u64();
  const uint32_t count = d.count();
  for (uint32_t i = 0; i < count && d.ok(); ++i) plan.containers.push_back(decode_container(Decoder(d.view())));
  plan.network_namespace = d.text();
  const uint32_t volumes = d.count();
  for (uint32_t i = 0; i < volumes && d.ok(); ++i) plan.image_volumes.push_back(decode_volume(Decoder(d.view())));
  if (!d.ok() || !is_sound(plan)) return std::nullopt;
  return plan;
}

}  // namespace berth::taskdir
