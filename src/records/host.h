// Machines that run tasks, and what each is told.
//
//   hosts/<host>                 Host      what it is; control gives it up when its lease is over
//   host-lease/<host>            HostLease its agent, while it lives
//   host/<host>/order/<task>     TaskOrder what is to run there: written once with the task's placement, erased at STOPPED
//   host/<host>/stop/<task>      TaskStop  written once: the task is to stop; erased with the task's other keys
//
// An agent reads nothing but what lies under host/<host>/. Orders only go forward: order, stop, order gone (nothing more is
// asked), stop gone (what was kept of the task may go too).
//
// Version and acknowledgement: the store's revision of an order's key. It grows with every change under the prefix, and an
// observation names the one that its task had taken (TaskObserved::order_revision), so acknowledging costs no write of its own.
//
// Fencing: a host has an epoch, which grows when it is given up. Orders and observations carry it, and control passes over an
// observation of an epoch older than the one that its task was placed with.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "records/task.h"
#include "records/task_definition.h"

namespace berth::records {

struct Host {
  std::string id;  // 16 hex digits, made with its state directory
  std::string name;
  int64_t memory_mib = 0;  // what tasks may reserve: its memory times the overcommit factor
  int64_t cpu_units = 0;
  std::vector<std::pair<std::string, std::string>> attributes;  // "ecs.cpu-architecture"
  int64_t epoch = 1;
  int64_t lease_ms = 0;  // 0: its agent is in the process that decides, and needs none
  bool lost = false;     // its lease is over: nothing is placed there until it registers again
  TimeMs registered_at_ms = 0;
  bool operator==(const Host&) const = default;
  template <class A>
  void fields(A& a) {
    a("id", id), a("name", name), a("memory", memory_mib), a("cpu", cpu_units), a("attributes", attributes);
    a("epoch", epoch), a("lease", lease_ms), a("lost", lost), a("registeredAt", registered_at_ms);
  }
};

struct HostLease {
  int64_t epoch = 0;
  TimeMs last_seen_ms = 0;
  template <class A>
  void fields(A& a) {
    a("epoch", epoch), a("lastSeen", last_seen_ms);
  }
};

struct OrderInterface {
  std::string eni_id;  // eni-<17 hex>
  std::string vpc_id;
  std::string subnet_id;
  std::string subnet_cidr;
  std::string address;              // empty: the agent chooses one of the subnet
  std::string mac;                  // empty: follows from the address
  std::vector<std::string> groups;  // the VPC's default one where the task names none
  bool assign_public_ip = false;
  std::string public_address;
  template <class A>
  void fields(A& a) {
    a("eni", eni_id), a("vpc", vpc_id), a("subnet", subnet_id), a("cidr", subnet_cidr), a("address", address);
    a("mac", mac), a("groups", groups), a("assignPublicIp", assign_public_ip), a("public", public_address);
  }
};

// Where a container's output goes; one without such a line has no awslogs.
struct OrderLog {
  std::string container;
  std::string group_uid;
  std::string stream_uid;
  template <class A>
  void fields(A& a) {
    a("container", container), a("group", group_uid), a("stream", stream_uid);
  }
};

// All that a machine needs to run a task. No paths: they are the machine's own.
struct TaskOrder {
  int64_t epoch = 0;
  int cpu_units = 0;
  int memory_mib = 0;
  std::vector<ContainerDefinition> containers;  // RunTask's overrides applied
  std::vector<std::string> volumes;
  OrderInterface interface;
  std::vector<OrderLog> logs;
  template <class A>
  void fields(A& a) {
    a("epoch", epoch), a("cpu", cpu_units), a("memory", memory_mib), a("containers", containers);
    a("volumes", volumes), a("interface", interface), a("logs", logs);
  }
};

struct TaskStop {
  int64_t epoch = 0;
  std::string reason;  // for the supervisor's journal
  template <class A>
  void fields(A& a) {
    a("epoch", epoch), a("reason", reason);
  }
};

}  // namespace berth::records
