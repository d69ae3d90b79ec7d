#include "cli/admin_client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"

namespace berth::cli {
namespace {

constexpr int kEndingPatienceMs = 10'000;  // of a daemon that closes its connections, until it has ended

Result<Fd> connect_to(const std::string& state_directory) {
  const std::string path = state_directory + "/admin.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(fmt::format("{}: the path is too long for a socket", path));
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail(errno, "socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  if (errno == EACCES)
    return fail(fmt::format("no right to talk to the daemon of {}; run this as the user that started it (sudo)",
                            state_directory));
  if (errno == ENOENT || errno == ECONNREFUSED)
    return fail(fmt::format("no daemon serves {}; start one with 'berth serve' or name its directory with --state",
                            state_directory));
  return fail(errno, "connect " + path);
}

Result<void> send_request(const Fd& fd, const std::string& method, const std::string& path, const json::Value& body) {
  const std::string text = body.is_null() ? "" : json::to_string(body);
  const std::string request = fmt::format(
      "{} {} HTTP/1.1\r\nHost: berth\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
      method, path, text.size(), text);
  for (size_t sent = 0; sent < request.size();) {
    const ssize_t n = ::send(fd.get(), request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno, "talking to the daemon");
    sent += static_cast<size_t>(n);
  }
  return {};
}

Result<json::Value> ask(const Fd& fd, const std::string& method, const std::string& path, const json::Value& body) {
  if (auto sent = send_request(fd, method, path, body); !sent) return tl::unexpected(sent.error());
  return read_answer(fd);
}

// Of the process at the other end. The number cannot be another's by then if an answer comes afterwards: the daemon was
// there when it was looked up. Nothing where that process is in a namespace that this one does not see.
Fd process_behind(const Fd& connection) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0) return {};
  return Fd(static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0)));
}

}  // namespace

Result<json::Value> read_answer(const Fd& connection) {
  std::string answer;
  char buffer[16384];
  while (true) {
    const ssize_t n = ::read(connection.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno, "hearing the daemon");
    if (n == 0) break;
    answer.append(buffer, static_cast<size_t>(n));
  }
  const size_t end = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.1 ") || end == std::string::npos)
    return tl::unexpected(Error{ECONNRESET, "the daemon went away before it answered"});
  auto value = json::parse(std::string_view(answer).substr(end + 4));
  if (!value) return fail("the daemon's answer is cut off: " + value.error().context);
  if (answer[9] != '2') return fail((*value)["message"].string_or("the daemon refused without a word"));
  return std::move(*value);
}

Result<Fd> begin_to_ask(const std::string& state_directory, const std::string& path) {
  auto connection = connect_to(state_directory);
  if (!connection) return connection;
  if (auto sent = send_request(*connection, "GET", path, {}); !sent) return tl::unexpected(sent.error());
  return connection;
}

Result<json::Value> ask_daemon(const std::string& state_directory, const std::string& method, const std::string& path,
                               const json::Value& body) {
  const auto connection = connect_to(state_directory);
  if (!connection) return tl::unexpected(connection.error());
  return ask(*connection, method, path, body);
}

Result<json::Value> end_daemon(const std::string& state_directory, const std::string& path, const json::Value& body) {
  auto connection = connect_to(state_directory);
  if (!connection) return tl::unexpected(connection.error());
  const Fd process = process_behind(*connection);
  auto answer = ask(*connection, "POST", path, body);
  connection->reset();  // a server that ends waits until its clients have read their answers
  // A daemon that somebody else ends at the same time closes its connections, whatever it has been asked.
  const bool lost = !answer && answer.error().errno_value != 0;
  if (!process || (!answer && !lost)) return answer;
  pollfd ended{process.get(), POLLIN, 0};
  int ready;
  while ((ready = ::poll(&ended, 1, lost ? kEndingPatienceMs : -1)) < 0 && errno == EINTR) {
  }
  if (lost && ready > 0) return json::Value();
  return answer;
}

}  // namespace berth::cli
