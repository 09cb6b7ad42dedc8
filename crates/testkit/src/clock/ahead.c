// Preloaded into a server under test: its wall clock runs ahead by the microseconds in the mapped file that
// LONGSHORE_TEST_CLOCK names. Monotonic clocks stay true, so that the server's own timers are not disturbed.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile int64_t *ahead;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void map(void) {
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("LONGSHORE_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0) abort();
    void *page = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) abort();
    ahead = page;
}

static int64_t now_us(long *rest_ns) {
    struct timespec now;
    if (!real_clock_gettime) map();
    real_clock_gettime(CLOCK_REALTIME, &now);
    if (rest_ns) *rest_ns = now.tv_nsec % 1000;
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000 + *ahead;
}

int clock_gettime(clockid_t clock, struct timespec *out) {
    if (!real_clock_gettime) map();
    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) return real_clock_gettime(clock, out);
    long rest = 0;
    int64_t now = now_us(&rest);
    out->tv_sec = now / 1000000;
    out->tv_nsec = now % 1000000 * 1000 + rest;
    return 0;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    (void)zone;
    int64_t now = now_us(NULL);
    out->tv_sec = now / 1000000;
    out->tv_usec = now % 1000000;
    return 0;
}

time_t time(time_t *out) {
    time_t now = now_us(NULL) / 1000000;
    if (out) *out = now;
    return now;
}
