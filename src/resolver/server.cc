#include "resolver/server.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/limits.h"
#include "resolver/doors.h"

namespace berth::resolver {

class DaemonListener final : public Source {
 public:
  DaemonListener(Fd fd, std::function<void(Fd)> accepted) : fd_(std::move(fd)), accepted_(std::move(accepted)) {}
  void ready(uint32_t) override {
    Fd fd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd) accepted_(std::move(fd));
  }
  int fd() const { return fd_.get(); }

 private:
  const Fd fd_;
  const std::function<void(Fd)> accepted_;
};

class Control final : public Source, public std::enable_shared_from_this<Control> {
 public:
  Control(Server& server, Fd fd) : server_(server), fd_(std::move(fd)) {}

  void ready(uint32_t) override {
    const auto self = shared_from_this();
    std::array<char, 65'536> buffer;
    const ssize_t size = recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) return close();
    reader_.append({buffer.data(), static_cast<size_t>(size)});
    while (fd_)
      if (const auto frame = reader_.next())
        server_.frame(*frame);
      else
        break;
    if (reader_.broken()) close();
  }

  // Answers are few and short: one that a socket does not take at once means a daemon that reads nothing.
  void send_frame(const Frame& frame) {
    const std::string bytes = encode_frame(frame);
    if (fd_ && send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) close();
  }

  // What it has told stays; half a snapshot does not count.
  void close() {
    if (!fd_) return;
    server_.reactor_.remove(fd_.get(), shared_from_this());
    fd_.reset();
    server_.coming_.reset();
    if (server_.control_.get() == this) server_.control_.reset();
  }
  int fd() const { return fd_.get(); }

 private:
  Server& server_;
  Fd fd_;
  FrameReader reader_;
};

Server::Server(Options options)
    : options_(std::move(options)),
      random_(SystemRandom().next()),
      host_namespace_(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)),
      forwarder_(std::make_unique<Forwarder>(reactor_, random_, options_.resolv_confs)) {}

Server::~Server() = default;

std::unique_ptr<Server> Server::open(Options options, std::string* problem) {
  std::unique_ptr<Server> server(new Server(std::move(options)));
  return server->listen_for_daemon(problem) ? std::move(server) : nullptr;
}

bool Server::listen_for_daemon(std::string* problem) {
  if (options_.socket_path == "fd:3") return accept_daemons(Fd(3)), true;
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  if (options_.socket_path.size() >= sizeof at.sun_path) {
    *problem = options_.socket_path + " is too long for a socket";
    return false;
  }
  std::memcpy(at.sun_path, options_.socket_path.data(), options_.socket_path.size());
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  unlink(options_.socket_path.c_str());
  const mode_t before = umask(0177);
  const bool bound = fd && bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
  umask(before);
  if (!bound || ::listen(fd.get(), 4) != 0) {
    *problem = options_.socket_path + ": " + std::strerror(errno);
    return false;
  }
  accept_daemons(std::move(fd));
  return true;
}

void Server::accept_daemons(Fd fd) {
  auto listener = std::make_shared<DaemonListener>(std::move(fd), [this](Fd accepted) {
    if (control_) control_->close();  // a daemon that was killed; this is the next one
    control_ = std::make_shared<Control>(*this, std::move(accepted));
    reactor_.add(control_->fd(), EPOLLIN, control_.get());
    Frame hello;
    hello.kind = FrameKind::hello;
    hello.version = kProtocolVersion;
    tell(hello);
  });
  reactor_.add(listener->fd(), EPOLLIN, listener.get());
  daemon_listener_ = std::move(listener);
}

void Server::run() {
  while (true) reactor_.run_once();
}

void Server::tell(const Frame& frame) {
  if (control_) control_->send_frame(frame);
}

void Server::frame(const Frame& frame) {
  switch (frame.kind) {
    case FrameKind::snapshot_begin: coming_ = std::make_unique<Directory>(); return;
    case FrameKind::changes:
      for (const Change& change : frame.changes) apply(change);
      break;
    case FrameKind::snapshot_end:
      if (coming_) directory_ = std::move(coming_);
      break;
    case FrameKind::keep_listeners: {
      std::vector<std::string> gone;
      for (const auto& [vpc, listening] : listening_)
        if (std::find(frame.names.begin(), frame.names.end(), vpc) == frame.names.end()) gone.push_back(vpc);
      for (const std::string& vpc : gone) {
        close_doors(vpc);
        listening_.erase(vpc);
      }
      break;
    }
    default: return;
  }
  if (!coming_) refresh_doors();
  Frame done;
  done.kind = FrameKind::done;
  done.version = frame.version;
  tell(done);
}

void Server::apply(const Change& change) {
  if (change.kind != Kind::listener) {
    (void)(coming_ ? *coming_ : *directory_).apply(change);
    return;
  }
  if (change.erased) {
    close_doors(change.vpc);
    listening_.erase(change.vpc);
  } else if (const auto listener = decode_body<Listener>(change.body)) {
    listen(change.vpc, *listener);
  }
}

void Server::listen(const std::string& vpc, const Listener& listener) {
  struct stat status {};
  const uint64_t inode = stat(listener.namespace_path.c_str(), &status) == 0 ? status.st_ino : 0;
  Listening& listening = listening_[vpc];
  // A namespace that was made anew under the same path is another one.
  if (listening.listener == listener && listening.namespace_inode == inode) return;
  close_doors(vpc);
  listening.listener = listener;
  listening.namespace_inode = inode;
}

// Where a VPC's attribute says so, nobody listens: its questions are refused by the kernel, at once.
void Server::refresh_doors() {
  for (auto& [vpc, listening] : listening_) {
    const VpcEntry* entry = directory_->find(vpc);
    const bool wanted = !entry || !entry->settings || entry->settings->dns_support;
    if (!wanted) {
      close_doors(vpc);
    } else if (listening.udp.empty()) {
      Frame trouble;
      trouble.kind = FrameKind::trouble;
      trouble.names = {vpc};
      trouble.text = open_doors(vpc);
      if (!trouble.text.empty()) tell(trouble);
    }
  }
}

std::string Server::open_doors(const std::string& vpc) {
  Listening& listening = listening_[vpc];
  const auto problem = [&](const std::string& what, int error) {
    return "names in " + vpc + " are not answered: " + what + ": " + std::strerror(error);
  };
  const Fd inside(::open(listening.listener.namespace_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!inside || setns(inside.get(), CLONE_NEWNET) != 0) return problem(listening.listener.namespace_path, errno);
  std::string outcome;
  for (const uint32_t address : listening.listener.addresses) {
    if (const int error = add_loopback_address(address); error != 0) outcome = problem("add its address", error);
    Fd udp = make_socket(SOCK_DGRAM, address);
    Fd tcp = udp ? make_socket(SOCK_STREAM, address) : Fd();
    if (!tcp) {
      outcome = problem("listen on port 53", errno);
      continue;
    }
    listening.udp.push_back(std::make_shared<UdpDoor>(*this, vpc, std::move(udp)));
    listening.tcp.push_back(std::make_shared<TcpDoor>(*this, vpc, std::move(tcp)));
    reactor_.add(listening.udp.back()->fd(), EPOLLIN, listening.udp.back().get());
    reactor_.add(listening.tcp.back()->fd(), EPOLLIN, listening.tcp.back().get());
  }
  if (setns(host_namespace_.get(), CLONE_NEWNET) != 0)
    abort();  // what is made from here on would be in the wrong place
  return outcome;
}

void Server::close_doors(const std::string& vpc) {
  const auto found = listening_.find(vpc);
  if (found == listening_.end()) return;
  for (auto& door : found->second.udp) reactor_.remove(door->fd(), door);
  for (auto& door : found->second.tcp) reactor_.remove(door->fd(), door);
  found->second.udp.clear();
  found->second.tcp.clear();
  std::vector<std::shared_ptr<TcpClient>> clients;
  for (const auto& [raw, client] : tcp_clients_)
    if (client->vpc() == vpc) clients.push_back(client);
  for (const auto& client : clients) client->close();
}

size_t Server::handle(const std::string& vpc, std::string_view message, bool tcp, char* out, size_t size,
                      const std::function<Reply()>& later) {
  Query query;
  switch (parse_query(message, query)) {
    case Parsed::ok: break;
    case Parsed::drop: return 0;
    case Parsed::format_error: return write_header_error(message, kFormatError, out, size);
    case Parsed::not_implemented: return write_header_error(message, kNotImplemented, out, size);
  }
  Outcome outcome = answer(directory_->find(vpc), query, random_, tcp, out, size);
  if (outcome.verdict == Verdict::answered) return outcome.size;
  if (outcome.verdict == Verdict::forward)
    forward(query, tcp, later());
  else
    chase(query, std::move(outcome), tcp, tcp, later());
  return 0;
}

namespace {

// A query that outlives the packet it came in.
struct KeptQuery {
  explicit KeptQuery(const Query& from) : bytes(from.bytes), query(from) {
    query.bytes = bytes;
    query.question = std::string_view(bytes).substr(kHeaderBytes, from.question.size());
  }
  KeptQuery(const KeptQuery&) = delete;
  const std::string bytes;
  Query query;
};

std::string failure(const Query& query) {
  std::array<char, kUdpBytesPlain> out;
  return {out.data(), write_error(query, kServerFailure, out.data(), out.size())};
}

}  // namespace

void Server::forward(const Query& query, bool tcp, const Reply& reply) {
  auto kept = std::make_shared<const KeptQuery>(query);
  forwarder_->ask(kept->bytes, std::string(kept->query.question), tcp, [kept, reply](std::string_view outside) {
    if (outside.empty()) return reply(failure(kept->query));
    std::string own(outside);
    own[0] = static_cast<char>(kept->query.id >> 8);
    own[1] = static_cast<char>(kept->query.id);
    reply(own);
  });
}

void Server::chase(const Query& query, Outcome outcome, bool tcp, bool ask_tcp, const Reply& reply) {
  auto kept = std::make_shared<const KeptQuery>(query);
  const std::string message = make_query(0, outcome.next, query.type);
  forwarder_->ask(
      message, message.substr(kHeaderBytes), ask_tcp,
      [this, kept, outcome, tcp, ask_tcp, reply, asked = message.substr(kHeaderBytes)](std::string_view outside) {
        Answer answer;
        if (outside.empty() || !parse_answer(outside, asked, answer)) return reply(failure(kept->query));
        if (answer.truncated && !ask_tcp) return chase(kept->query, outcome, tcp, true, reply);
        static std::array<char, kTcpBytesMax> out;
        reply({out.data(), complete(kept->query, outcome, answer, tcp, out.data(), out.size())});
      });
}

}  // namespace berth::resolver
