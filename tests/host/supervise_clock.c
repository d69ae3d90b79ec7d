// Prints the monotonic clock at its first instruction that it has a say in; then waits for ever if told to.
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int count, char** arguments) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  printf("%lld\n", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
  fflush(stdout);
  (void)arguments;
  while (count > 1) pause();
  return 0;
}
