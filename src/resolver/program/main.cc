// berth-resolver SOCKET|fd:3 [RESOLV_CONF…]: answers names in the VPCs of one host. Started by the daemon and outlives it.
#include <csignal>
#include <cstdio>
#include <string>

#include "resolver/server.h"

int main(int argc, char** argv) {
  if (argc < 2) return std::fputs("berth-resolver is started by berth\n", stderr), 2;
  std::signal(SIGPIPE, SIG_IGN);
  berth::resolver::Server::Options options;
  options.socket_path = argv[1];
  if (argc > 2) options.resolv_confs.assign(argv + 2, argv + argc);
  std::string problem;
  const auto server = berth::resolver::Server::open(options, &problem);
  if (!server) return std::fprintf(stderr, "berth-resolver: %s\n", problem.c_str()), 1;
  server->run();
}
