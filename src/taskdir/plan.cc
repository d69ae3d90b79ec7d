#include "taskdir/plan.h"

#include "taskdir/codec.h"
#include "taskdir/crc32.h"

namespace berth::taskdir {
namespace {

constexpr std::string_view kMagic = "BERTHPLN";
constexpr size_t kNameBytesMax = 255;

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
  Encoder(body).structure(plan);
  std::string out(kMagic);
  Encoder head(out);
  head(kVersion, crc32(body));
  out += body;
  return out;
}

std::optional<Plan> decode_plan(std::string_view bytes) {
  if (bytes.substr(0, kMagic.size()) != kMagic) return std::nullopt;
  bytes.remove_prefix(kMagic.size());
  if (bytes.size() < 8) return std::nullopt;
  uint32_t version = 0, crc = 0;
  Decoder head(bytes.substr(0, 8));
  head(version, crc);
  bytes.remove_prefix(8);
  if (version != kVersion || crc32(bytes) != crc) return std::nullopt;

  Decoder d(bytes);
  Plan plan;
  plan.fields(d);
  if (!d.ok() || !is_sound(plan)) return std::nullopt;
  return plan;
}

}  // namespace berth::taskdir
