/* What the bench's containers run: static, so that nothing but the kernel stands between exec and the first line.
 *
 *   berth-now                      prints "start <CLOCK_REALTIME ns> <CLOCK_MONOTONIC ns>", waits for SIGTERM
 *   berth-now lines NAME RATE N    prints N lines "NAME <number> <CLOCK_REALTIME ns> <padding>", RATE a second, then waits
 *   berth-now exit                 prints the first line and ends
 *
 * Both clocks are read before anything else is done. A container shares its host's CLOCK_REALTIME, and unless it has a
 * time namespace (none here has) its CLOCK_MONOTONIC, so a caller outside may subtract its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 256, BATCHES_PER_SECOND = 100 };

static const char kPadding[] = "the quick brown fox jumps over the lazy dog and runs away";

static int64_t nanoseconds(clockid_t clock) {
  struct timespec at;
  clock_gettime(clock, &at);
  return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

static int write_all(const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t count = write(1, bytes, size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    bytes += count;
    size -= (size_t)count;
  }
  return 0;
}

static void end(int signal_number) {
  (void)signal_number;
  _exit(0);
}

/* In small batches at an even pace; where standard output blocks, the pace is caught up with afterwards. */
static int write_lines(const char* name, long rate, long count) {
  char* batch = malloc((size_t)(rate / BATCHES_PER_SECOND + 1) * LINE_BYTES_MAX);
  if (batch == NULL) return -1;
  const int64_t started = nanoseconds(CLOCK_MONOTONIC);
  long done = 0;
  while (done < count) {
    const int64_t elapsed = nanoseconds(CLOCK_MONOTONIC) - started;
    long due = (long)((double)elapsed * (double)rate / 1e9) + 1;
    if (due > count) due = count;
    size_t size = 0;
    for (long of_batch = 0; done < due && of_batch <= rate / BATCHES_PER_SECOND; ++done, ++of_batch)
      size += (size_t)snprintf(batch + size, LINE_BYTES_MAX, "%s %08ld %lld %s\n", name, done,
                               (long long)nanoseconds(CLOCK_REALTIME), kPadding);
    if (write_all(batch, size) != 0) return -1;
    const int64_t next = started + (int64_t)((double)done / (double)rate * 1e9);
    const int64_t wait = next - nanoseconds(CLOCK_MONOTONIC);
    if (wait > 0) {
      const int64_t tick = 1000000000 / BATCHES_PER_SECOND;
      const int64_t pause_ns = wait > tick ? wait : (rate > BATCHES_PER_SECOND ? tick : wait);
      const struct timespec pause = {pause_ns / 1000000000, pause_ns % 1000000000};
      nanosleep(&pause, NULL);
    }
  }
  free(batch);
  return 0;
}

int main(int argc, char** argv) {
  const int64_t wall = nanoseconds(CLOCK_REALTIME);
  const int64_t monotonic = nanoseconds(CLOCK_MONOTONIC);
  signal(SIGTERM, end); /* as process 1 it would otherwise be ignored */
  char line[LINE_BYTES_MAX];
  const int size = snprintf(line, sizeof line, "start %lld %lld\n", (long long)wall, (long long)monotonic);
  if (write_all(line, (size_t)size) != 0) return 1;
  if (argc == 5 && strcmp(argv[1], "lines") == 0) {
    if (write_lines(argv[2], atol(argv[3]), atol(argv[4])) != 0) return 1;
    static const char kDone[] = "done\n";
    if (write_all(kDone, sizeof kDone - 1) != 0) return 1;
  } else if (argc == 2 && strcmp(argv[1], "exit") == 0) {
    return 0;
  } else if (argc != 1) {
    return 2;
  }
  for (;;) pause();
}
