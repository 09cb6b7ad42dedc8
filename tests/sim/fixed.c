/* Randomness that a seed decides, for a process that simulates: maps, task schedulers and ids ask the system for it. Each
   thread has a sequence of its own, so that threads in the background disturb nobody. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static __thread unsigned long long state;

static unsigned long long next(void) {
    if (state == 0) {
        const char *seed = getenv("LONGSHORE_SIM_SEED");
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

int getentropy(void *buffer, size_t length) {
    return getrandom(buffer, length, 0) < 0 ? -1 : 0;
}
