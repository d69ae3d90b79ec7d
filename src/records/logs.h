// Log groups and streams. Events are not state: they are segments on disk (logstore/), found by the uids here.
#pragma once

#include <string>

#include "records/cluster.h"
#include "records/task_definition.h"

namespace berth::records {

struct LogGroup {
  std::string name;
  std::string uid;         // 16 hex; names the directory, so that a group of the same name made later starts empty
  int retention_days = 0;  // 0: never expires
  Tags tags;
  std::string log_group_class = "STANDARD";
  std::string kms_key_id;
  TimeMs created_at_ms = 0;
  template <class A>
  void fields(A& a) {
    a("name", name), a("uid", uid), a("retentionDays", retention_days), a("tags", tags), a("class", log_group_class);
    a("kmsKeyId", kms_key_id), a("createdAt", created_at_ms);
  }
};

struct LogStream {
  std::string name;
  std::string uid;  // 16 hex; the directory <logs>/<group uid>/<stream uid>/
  TimeMs created_at_ms = 0;
  std::string task = {};  // TaskPath::str() of the task that it was made for; empty: made by API, or by an earlier version
  template <class A>
  void fields(A& a) {
    a("name", name), a("uid", uid), a("createdAt", created_at_ms), a("task", task);
  }
};

// <prefix>/<container>/<task id>; without a prefix the container's runtime id, as the awslogs driver names it.
inline std::string stream_name(const AwsLogs& logs, const std::string& container, const std::string& task_id) {
  if (logs.stream_prefix.empty()) return task_id + "-" + container;
  return logs.stream_prefix + "/" + container + "/" + task_id;
}

}  // namespace berth::records
