// Asks the host's name servers, those of resolv.conf(5), in their order. Every question has an id and a socket, so a random
// port, of its own: an answer that was made up elsewhere has 2^32 chances to take.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "resolver/reactor.h"

namespace berth::resolver {

class Forwarder {
 public:
  // Empty: nobody answered in time, or too many questions wait.
  using Done = std::function<void(std::string_view answer)>;

  Forwarder(Reactor& reactor, Random& random, std::vector<std::string> resolv_confs);
  ~Forwarder();

  // `question`: a whole message, whose id is replaced; `asked`: its question section. Over TCP where the client came so.
  void ask(std::string question, std::string asked, bool tcp, Done done);

 private:
  class Exchange;
  union Address {
    sockaddr any;
    sockaddr_in four;
    sockaddr_in6 six;
  };
  void next_try(const std::shared_ptr<Exchange>& exchange);
  void finish(const std::shared_ptr<Exchange>& exchange, std::string_view answer);
  void read_servers();

  Reactor& reactor_;
  Random& random_;
  const std::vector<std::string> resolv_confs_;
  std::vector<Address> servers_;
  std::vector<std::pair<int64_t, int64_t>>
      seen_;  // of each file when it was read: seconds and nanoseconds of its change
  int64_t looked_ms_ = INT64_MIN / 2;
  std::map<const Exchange*, std::shared_ptr<Exchange>> running_;
};

}  // namespace berth::resolver
