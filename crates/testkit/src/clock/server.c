// Preloaded into a server under test: once LONGSHORE_TEST_CLOCK, a mapped file of eight bytes, holds a number other
// than zero, that is its wall clock, in microseconds since the epoch. Monotonic clocks stay true, so that the server's
// own timers go on.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile int64_t *fixed_us;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void map(void) {
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("LONGSHORE_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0) abort();
    void *page = mmap(NULL, sizeof *fixed_us, PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) abort();
    fixed_us = page;
}

int clock_gettime(clockid_t clock, struct timespec *out) {
    if (!real_clock_gettime) map();
    int64_t fixed = *fixed_us;
    if (!fixed || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) {
        return real_clock_gettime(clock, out);
    }
    out->tv_sec = fixed / 1000000;
    out->tv_nsec = fixed % 1000000 * 1000;
    return 0;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
