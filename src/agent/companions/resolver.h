// The daemon's end of the resolver: which VPCs it serves, and what it is told. It is started with the first VPC and ended with the
// last.
//
//   connected ─hello▶ snapshot asked for ─▶ frames ─▶ changes, one by one
//
// Thread: the loop's, but for tell(), which anybody may call.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "agent/companions/companions.h"
#include "resolver/zones/zones.h"

namespace berth::agent {

class Resolver {
 public:
  struct Needs {
    EventLoop& loop;
    Companions& companions;
    std::string program;  // berth-resolver
    // Has the whole told anew, by tell(), from the thread that tells changes: so that none comes between.
    std::function<void()> ask_snapshot;
    // The VPC's names are answered from now on.
    std::function<void(const std::string& vpc_id)> answering;
  };
  explicit Resolver(Needs needs);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  void serve(const std::string& vpc_id, resolver::Listener listener);
  void leave(const std::string& vpc_id);
  // All VPCs are served that there are: it answers in no other.
  void settle();

  void tell(resolver::Frame frame);

 private:
  void connect(const std::string& socket);
  void readable();
  void disconnect();
  void take(resolver::Frame frame);
  void send(const resolver::Frame& frame);
  void flush();
  void tell_listeners();

  const Needs needs_;
  std::map<std::string, resolver::Listener> listeners_;
  std::map<std::string, uint64_t> awaited_;  // VPCs by the frame that is answered when they are served
  Fd socket_;
  resolver::FrameReader reader_;
  std::string out_;
  size_t sent_ = 0;
  bool told_ = false;  // a snapshot has begun to be told: changes go after it
  bool settled_ = false;
  uint64_t last_own_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace berth::agent
