// Replays HTTP requests that were built and signed ahead over keep-alive connections, and tells how fast they were
// answered. The same bytes go to every server that is compared; every answer is checked.
//
//   berth-load --port P --requests FILE --connections N [--host A] [--seconds S]
//
// FILE is a row of records: u32 length of the request, u32 length of a text that the answer must hold (may be 0), the
// request, the text; both lengths little-endian. Request i goes to connection i mod N, so that a caller decides which
// requests share one. The end is the end of the file, or of the time. One line of JSON goes to standard output:
//
//   requests, seconds, per_second, p50_us, p99_us, max_us, errors, first_error, reconnects, cpu_seconds
//
// cpu_seconds near seconds means that the client was the bottleneck and the figure says nothing of the server.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr size_t kAnswerBytesMax = 64 << 20;

int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1); }

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "berth-load: %s\n", what.c_str());
  std::exit(2);
}

[[noreturn]] void die_errno(const std::string& what) { die(what + ": " + std::strerror(errno)); }

struct Options {
  std::string host = "127.0.0.1";
  uint16_t port = 0;
  std::string requests;
  size_t connections = 8;
  double seconds = 0;  // 0: until the file ends
};

Options parse_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 == argc) die("value missing after " + std::string(name));
    const char* value = argv[i + 1];
    if (name == "--host")
      options.host = value;
    else if (name == "--port")
      options.port = static_cast<uint16_t>(std::atoi(value));
    else if (name == "--requests")
      options.requests = value;
    else if (name == "--connections")
      options.connections = std::strtoul(value, nullptr, 10);
    else if (name == "--seconds")
      options.seconds = std::atof(value);
    else
      die("unknown option " + std::string(name));
  }
  if (options.port == 0 || options.requests.empty() || options.connections == 0)
    die("usage: berth-load --port P --requests FILE --connections N [--host A] [--seconds S]");
  return options;
}

struct Request {
  std::string_view bytes;
  std::string_view expected;
};

// The views point into the mapping, which stays for the life of the process.
std::vector<Request> map_requests(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) die_errno("open " + path);
  struct stat status {};
  if (::fstat(fd, &status) != 0) die_errno("fstat " + path);
  const auto size = static_cast<size_t>(status.st_size);
  void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
  if (mapped == MAP_FAILED) die_errno("mmap " + path);
  ::close(fd);

  std::vector<Request> requests;
  std::string_view rest(static_cast<const char*>(mapped), size);
  while (!rest.empty()) {
    uint32_t lengths[2];
    if (rest.size() < sizeof lengths) die(path + " is cut short");
    std::memcpy(lengths, rest.data(), sizeof lengths);
    rest.remove_prefix(sizeof lengths);
    if (rest.size() < size_t{lengths[0]} + lengths[1]) die(path + " is cut short");
    requests.push_back({rest.substr(0, lengths[0]), rest.substr(lengths[0], lengths[1])});
    rest.remove_prefix(size_t{lengths[0]} + lengths[1]);
  }
  if (requests.empty()) die(path + " holds no request");
  return requests;
}

// What a complete answer says. `end` is where the next one would begin.
struct Answer {
  int status = 0;
  std::string_view body;  // chunked bodies: with their chunk lines, which no expected text spans in practice
  size_t end = 0;
  bool closes = false;
};

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::optional<std::string_view> header(std::string_view head, std::string_view name) {
  for (size_t line = head.find("\r\n"); line != std::string_view::npos; line = head.find("\r\n", line)) {
    line += 2;
    const size_t colon = head.find(':', line);
    if (colon == std::string_view::npos) break;
    if (!equal_ignoring_case(head.substr(line, colon - line), name)) continue;
    size_t begin = colon + 1;
    while (begin < head.size() && head[begin] == ' ') ++begin;
    const size_t end = std::min(head.find("\r\n", begin), head.size());
    return head.substr(begin, end - begin);
  }
  return std::nullopt;
}

// Where the chunked body that begins at `at` ends; npos while it is incomplete.
size_t end_of_chunks(std::string_view in, size_t at) {
  for (;;) {
    const size_t line_end = in.find("\r\n", at);
    if (line_end == std::string_view::npos) return line_end;
    size_t length = 0;
    std::from_chars(in.data() + at, in.data() + line_end, length, 16);
    at = line_end + 2 + length + 2;
    if (at > in.size()) return std::string_view::npos;
    if (length == 0) return at;  // trailers are not expected
  }
}

// `at_eof`: the server has closed, which ends a body without a length.
std::optional<Answer> parse_answer(std::string_view in, bool at_eof) {
  const size_t head_end = in.find("\r\n\r\n");
  if (head_end == std::string_view::npos) return std::nullopt;
  const std::string_view head = in.substr(0, head_end);
  Answer answer;
  if (head.size() > 12) std::from_chars(head.data() + 9, head.data() + 12, answer.status);
  answer.closes = head.starts_with("HTTP/1.0");
  if (const auto connection = header(head, "connection")) answer.closes = equal_ignoring_case(*connection, "close");

  const size_t body = head_end + 4;
  if (const auto encoding = header(head, "transfer-encoding"); encoding && equal_ignoring_case(*encoding, "chunked")) {
    answer.end = end_of_chunks(in, body);
    if (answer.end == std::string_view::npos) return std::nullopt;
  } else if (const auto length_text = header(head, "content-length")) {
    size_t length = 0;
    std::from_chars(length_text->data(), length_text->data() + length_text->size(), length);
    answer.end = body + length;
    if (answer.end > in.size()) return std::nullopt;
  } else {
    if (!at_eof) return std::nullopt;
    answer.end = in.size();
    answer.closes = true;
  }
  answer.body = in.substr(body, answer.end - body);
  return answer;
}

struct Connection {
  int fd = -1;
  size_t next = 0;  // index of its next request; those of this connection are N apart
  const Request* waiting = nullptr;
  size_t sent = 0;
  int64_t started_ns = 0;
  std::string in;
};

class Load {
 public:
  Load(const Options& options, std::vector<Request> requests)
      : options_(options),
        requests_(std::move(requests)),
        connections_(std::min(options.connections, requests_.size())) {
    latencies_us_.reserve(requests_.size());
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) die_errno("epoll_create1");
  }

  void run() {
    for (size_t i = 0; i < connections_.size(); ++i) {
      connections_[i].next = i;
      connect(connections_[i]);
    }
    started_ns_ = now_ns();
    if (options_.seconds > 0) end_ns_ = started_ns_ + static_cast<int64_t>(options_.seconds * 1e9);
    for (Connection& connection : connections_) start_next(connection);
    std::vector<epoll_event> events(connections_.size());
    while (open_ > 0) {
      const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 30'000);
      if (count < 0 && errno != EINTR) die_errno("epoll_wait");
      if (count == 0) die("no answer for 30 s; " + std::to_string(latencies_us_.size()) + " had come");
      for (int i = 0; i < count; ++i) {
        auto& connection = *static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr);
        if (events[static_cast<size_t>(i)].events & EPOLLOUT) send_rest(connection);
        if (events[static_cast<size_t>(i)].events & ~EPOLLOUT) receive(connection);
      }
    }
    finished_ns_ = now_ns();
  }

  void print() {
    std::sort(latencies_us_.begin(), latencies_us_.end());
    const auto quantile = [&](double q) {
      if (latencies_us_.empty()) return uint32_t{0};
      return latencies_us_[std::min(latencies_us_.size() - 1,
                                    static_cast<size_t>(q * static_cast<double>(latencies_us_.size())))];
    };
    const double seconds = static_cast<double>(finished_ns_ - started_ns_) / 1e9;
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const double cpu = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                       static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    std::printf(
        "{\"requests\":%zu,\"seconds\":%.6f,\"per_second\":%.1f,\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%u,"
        "\"errors\":%zu,\"first_error\":\"%s\",\"reconnects\":%zu,\"cpu_seconds\":%.3f}\n",
        latencies_us_.size(), seconds, static_cast<double>(latencies_us_.size() - errors_) / seconds, quantile(0.5),
        quantile(0.99), quantile(1.0), errors_, first_error_.c_str(), reconnects_, cpu);
  }

 private:
  void connect(Connection& connection) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options_.port);
    if (::inet_pton(AF_INET, options_.host.c_str(), &address.sin_addr) != 1) die("--host must be an IPv4 address");
    connection.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection.fd < 0) die_errno("socket");
    if (::connect(connection.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      die_errno("connect to port " + std::to_string(options_.port));
    const int one = 1;
    ::setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    ::fcntl(connection.fd, F_SETFL, O_NONBLOCK);
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &connection}};
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event) != 0) die_errno("epoll_ctl");
    ++open_;
  }

  void close(Connection& connection) {
    ::close(connection.fd);
    connection.fd = -1;
    connection.in.clear();
    --open_;
  }

  void start_next(Connection& connection) {
    const bool over = connection.next >= requests_.size() || (end_ns_ != 0 && now_ns() >= end_ns_);
    if (over) {
      connection.waiting = nullptr;
      close(connection);
      return;
    }
    connection.waiting = &requests_[connection.next];
    connection.next += connections_.size();
    connection.sent = 0;
    connection.started_ns = now_ns();
    send_rest(connection);
  }

  void send_rest(Connection& connection) {
    if (connection.fd < 0 || connection.waiting == nullptr) return;
    const std::string_view bytes = connection.waiting->bytes;
    while (connection.sent < bytes.size()) {
      const ssize_t count =
          ::send(connection.fd, bytes.data() + connection.sent, bytes.size() - connection.sent, MSG_NOSIGNAL);
      if (count < 0 && errno == EAGAIN) return wait_for(connection, EPOLLIN | EPOLLOUT);
      if (count < 0) return;  // the server closed: receive() tells it
      connection.sent += static_cast<size_t>(count);
      if (connection.sent == bytes.size() && count != static_cast<ssize_t>(bytes.size())) wait_for(connection, EPOLLIN);
    }
  }

  void wait_for(Connection& connection, uint32_t what) {
    epoll_event event{.events = what, .data = {.ptr = &connection}};
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event);
  }

  void receive(Connection& connection) {
    if (connection.fd < 0) return;
    bool at_eof = false;
    for (;;) {
      constexpr size_t kStep = 64 << 10;
      const size_t before = connection.in.size();
      if (before > kAnswerBytesMax) die("an answer is longer than 64 MiB");
      connection.in.resize(before + kStep);
      const ssize_t count = ::recv(connection.fd, connection.in.data() + before, kStep, 0);
      connection.in.resize(before + static_cast<size_t>(std::max<ssize_t>(count, 0)));
      if (count < 0 && errno == EAGAIN) break;
      if (count <= 0) {
        at_eof = true;
        break;
      }
      if (static_cast<size_t>(count) < kStep) break;
    }
    const auto answer = parse_answer(connection.in, at_eof);
    if (answer) return finish(connection, *answer, at_eof);
    if (at_eof) {
      fail("the server closed before it had answered");
      latencies_us_.push_back(static_cast<uint32_t>((now_ns() - connection.started_ns) / 1000));
      again(connection);
    }
  }

  void finish(Connection& connection, const Answer& answer, bool at_eof) {
    latencies_us_.push_back(static_cast<uint32_t>((now_ns() - connection.started_ns) / 1000));
    const std::string_view expected = connection.waiting->expected;
    if (answer.status != 200)
      fail("status " + std::to_string(answer.status) + ": " + std::string(answer.body.substr(0, 200)));
    else if (!expected.empty() && answer.body.find(expected) == std::string_view::npos)
      fail("not in the answer: " + std::string(expected));
    else if (answer.end != connection.in.size())
      fail("bytes after the answer");
    connection.in.clear();
    if (answer.closes || at_eof) return again(connection);
    start_next(connection);
  }

  void again(Connection& connection) {
    close(connection);
    ++reconnects_;
    connect(connection);
    start_next(connection);
  }

  void fail(std::string_view what) {
    if (errors_++ > 0) return;
    for (const char c : what)
      if (c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20) first_error_ += c;
  }

  const Options& options_;
  const std::vector<Request> requests_;
  std::vector<Connection> connections_;
  int epoll_ = -1;
  size_t open_ = 0;
  int64_t started_ns_ = 0;
  int64_t end_ns_ = 0;
  int64_t finished_ns_ = 0;
  std::vector<uint32_t> latencies_us_;
  size_t errors_ = 0;
  size_t reconnects_ = 0;
  std::string first_error_;
};

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse_options(argc, argv);
  Load load(options, map_requests(options.requests));
  load.run();
  load.print();
}
