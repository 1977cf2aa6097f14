/* SPDX-License-Identifier: BSD-3-Clause */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS and clock_gettime, which -std=c11 hides */

#include "machine.h"

#include <signal.h>

#ifdef _WIN32

#include <windows.h>

uint8_t *map_guarded(size_t *nbytes) {
    SYSTEM_INFO info;

    GetSystemInfo(&info);
    const size_t page = info.dwPageSize, size = (*nbytes + page - 1) / page * page;
    uint8_t *map = VirtualAlloc(NULL, size + 2 * page, MEM_RESERVE, PAGE_NOACCESS);
    if (!map || !VirtualAlloc(map + page, size, MEM_COMMIT, PAGE_READWRITE)) return NULL;
    *nbytes = size;
    return map + page;
}

void catch_faults(void (*on_fault)(int number)) {
    signal(SIGSEGV, on_fault);
}

double now_ns(void) {
    LARGE_INTEGER frequency, count;

    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&count);
    return 1e9 * (double)count.QuadPart / (double)frequency.QuadPart;
}

#else

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

uint8_t *map_guarded(size_t *nbytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (*nbytes + page - 1) / page * page;
    uint8_t *map = mmap(NULL, size + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED) return NULL;
    if (mprotect(map, page, PROT_NONE) || mprotect(map + page + size, page, PROT_NONE)) return NULL;
    *nbytes = size;
    return map + page;
}

void catch_faults(void (*on_fault)(int number)) {
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
}

double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

#endif
