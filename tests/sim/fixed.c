/* Time and randomness for a process that simulates. Time stands still while anybody works and moves on when the runtime
   waits: hours pass in seconds, and every timer still fires in its order. Randomness, which maps, task schedulers and ids
   ask the system for, follows from a seed. Threads in the background have sequences of their own and disturb nobody. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* Far ahead of the kernel's own monotonic clock, so that no timed wait of another thread ends early. */
#define MONOTONIC_BASE 1000000000LL
#define REALTIME_BASE 1780000000LL
#define NANOS 1000000000LL

static _Atomic long long passed; /* nanoseconds */
static __thread unsigned long long state;

static unsigned long long next(void) {
    if (state == 0) {
        const char *seed = getenv("SIM_SEED");
        state = 0x9e3779b97f4a7c15ULL + (seed ? strtoull(seed, NULL, 10) : 0);
    }
    state += 0x9e3779b97f4a7c15ULL;
    unsigned long long mixed = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9ULL;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
    return mixed ^ (mixed >> 31);
}

ssize_t getrandom(void *buffer, size_t length, unsigned int flags) {
    (void)flags;
    unsigned char *out = buffer;
    for (size_t done = 0; done < length; done += 8) {
        unsigned long long value = next();
        memcpy(out + done, &value, length - done < 8 ? length - done : 8);
    }
    return (ssize_t)length;
}

int clock_gettime(clockid_t clock, struct timespec *out) {
    long long base;
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        base = REALTIME_BASE;
        break;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
        base = MONOTONIC_BASE;
        break;
    default:
        return (int)syscall(SYS_clock_gettime, clock, out);
    }
    long long nanos = atomic_load(&passed);
    out->tv_sec = base + nanos / NANOS;
    out->tv_nsec = nanos % NANOS;
    return 0;
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout) {
    int ready = (int)syscall(SYS_epoll_pwait, epoll, events, most, 0, NULL, 8);
    if (ready != 0 || timeout == 0) {
        return ready;
    }
    if (timeout < 0) {
        return (int)syscall(SYS_epoll_pwait, epoll, events, most, -1, NULL, 8);
    }
    atomic_fetch_add(&passed, timeout * 1000000LL);
    return 0;
}
