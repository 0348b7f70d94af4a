/* Loaded before the C library, makes a program believe that it is ten minutes later than it is. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *moment) {
    static int (*machine)(clockid_t, struct timespec *);
    if (!machine) machine = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = machine(clock, moment);
    if (!failed && clock == CLOCK_REALTIME) moment->tv_sec += 600;
    return failed;
}
