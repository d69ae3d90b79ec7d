#include "agent/companions/resolver.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace berth::agent {

using ::berth::resolver::Change;
using ::berth::resolver::Frame;
using ::berth::resolver::FrameKind;
using ::berth::resolver::Kind;
using ::berth::resolver::Listener;

namespace {

constexpr const char* kName = "resolver";
// Versions of frames that this class makes itself: no revision of the store comes near.
constexpr uint64_t kOwnVersions = uint64_t{1} << 62;

}  // namespace

Resolver::Resolver(Needs needs) : needs_(std::move(needs)), last_own_(kOwnVersions) {
  needs_.companions.add({kName, needs_.program, {"fd:3"}, [this](const std::string& socket) { connect(socket); }});
}

Resolver::~Resolver() {
  *alive_ = false;
  disconnect();
}

void Resolver::serve(const std::string& vpc_id, Listener listener) {
  Listener& known = listeners_[vpc_id];
  known = std::move(listener);
  needs_.companions.use(kName, vpc_id);
  Frame frame;
  frame.version = awaited_[vpc_id] = ++last_own_;
  frame.changes.push_back({.kind = Kind::listener, .vpc = vpc_id, .body = ::berth::resolver::encode_body(known)});
  if (told_) send(frame);
}

void Resolver::leave(const std::string& vpc_id) {
  if (listeners_.erase(vpc_id) == 0) return;
  awaited_.erase(vpc_id);
  Frame frame;
  frame.version = ++last_own_;
  frame.changes.push_back({.kind = Kind::listener, .vpc = vpc_id, .erased = true});
  if (told_) send(frame);
  needs_.companions.release(kName, vpc_id);
}

void Resolver::settle() {
  settled_ = true;
  if (told_) tell_listeners();
}

void Resolver::tell(Frame frame) {
  needs_.loop.post([this, alive = alive_, frame = std::move(frame)] {
    if (!*alive || !socket_) return;
    if (frame.kind == FrameKind::snapshot_begin) told_ = true;
    if (!told_) return;  // what is older than the snapshot is in it
    send(frame);
    if (frame.kind == FrameKind::snapshot_end) tell_listeners();
  });
}

void Resolver::connect(const std::string& path) {
  disconnect();
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  std::memcpy(at.sun_path, path.data(), std::min(path.size(), sizeof at.sun_path - 1));
  socket_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_ || ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) {
    log_warning("cannot tell the resolver of names: {}: {}", path, std::strerror(errno));
    socket_.reset();
    return;
  }
  needs_.loop.add(socket_.get(), [this] { readable(); });
}

void Resolver::disconnect() {
  if (!socket_) return;
  needs_.loop.remove(socket_.get());
  socket_.reset();
  reader_ = {};
  out_.clear();
  sent_ = 0;
  told_ = false;
}

void Resolver::readable() {
  std::array<char, 4096> buffer;
  const ssize_t size = recv(socket_.get(), buffer.data(), buffer.size(), 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return disconnect();  // its end is told by its pidfd
  reader_.append({buffer.data(), static_cast<size_t>(size)});
  while (socket_)
    if (auto frame = reader_.next())
      take(std::move(*frame));
    else
      break;
  if (socket_) flush();
}

void Resolver::take(Frame frame) {
  switch (frame.kind) {
    case FrameKind::hello: return needs_.ask_snapshot();
    case FrameKind::trouble:
      for (const std::string& vpc : frame.names) awaited_.erase(vpc);
      return log_warning("{}", frame.text);
    case FrameKind::done:
      for (auto it = awaited_.begin(); it != awaited_.end();)
        if (frame.version >= it->second) {
          if (needs_.answering) needs_.answering(it->first);
          it = awaited_.erase(it);
        } else {
          ++it;
        }
      return;
    default: return;
  }
}

void Resolver::tell_listeners() {
  Frame frame;
  frame.version = ++last_own_;
  for (const auto& [vpc, listener] : listeners_) {
    frame.changes.push_back({.kind = Kind::listener, .vpc = vpc, .body = ::berth::resolver::encode_body(listener)});
    awaited_[vpc] = frame.version;
  }
  if (!frame.changes.empty()) send(frame);
  if (!settled_) return;
  Frame keep;
  keep.kind = FrameKind::keep_listeners;
  keep.version = ++last_own_;
  for (const auto& [vpc, listener] : listeners_) keep.names.push_back(vpc);
  send(keep);
}

void Resolver::send(const Frame& frame) {
  if (!socket_) return;
  out_ += encode_frame(frame);
  flush();
}

// What the socket does not take goes after the next answer: every frame has one.
void Resolver::flush() {
  while (sent_ < out_.size()) {
    const ssize_t sent = ::send(socket_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (sent < 0) return disconnect();
    sent_ += static_cast<size_t>(sent);
  }
  out_.clear();
  sent_ = 0;
}

}  // namespace berth::agent
