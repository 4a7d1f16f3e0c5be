/* SPDX-License-Identifier: Apache-2.0 */
/* Detection of the processor by its own words: cpuid and the operating system's part in XCR0. */
#include "core/cpu.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__)
#    include <sched.h>
#endif

#if defined(__x86_64__)
#    include <cpuid.h>
#endif
#if defined(__linux__) && defined(__x86_64__)
#    include <sys/syscall.h>
#endif

static const char *const names[SMELT_ISA_COUNT] = {"scalar",     "avx2", "avx512", "avx512bf16",
                                                   "avx512fp16", "amx",  "neon"};

const char *smelt_isa_name(enum smelt_isa isa) { return names[isa]; }

#if defined(__x86_64__)
static int amx_allowed(void)
{
#    if defined(__linux__)
    enum { ARCH_REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQUEST_PERMISSION, TILE_DATA) == 0;
#    else
    return 0;
#    endif
}

static enum smelt_isa detect(void)
{
    enum { AVX_STATE = 0x6, AVX512_STATE = 0xe6, TILE_STATE = 0x60000 };
    unsigned a, b, c, d, b7, c7, d7, a71, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return SMELT_ISA_SCALAR;
    const unsigned fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
    if ((c & (fma | osxsave | avx | f16c)) != (fma | osxsave | avx | f16c)) return SMELT_ISA_SCALAR;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & AVX_STATE) != AVX_STATE || !__get_cpuid_count(7, 0, &a, &b7, &c7, &d7))
        return SMELT_ISA_SCALAR;
    if (!(b7 >> 5 & 1)) return SMELT_ISA_SCALAR;
    const unsigned f = 1u << 16, dq = 1u << 17, cd = 1u << 28, bw = 1u << 30, vl = 1u << 31;
    if ((low & AVX512_STATE) != AVX512_STATE || (b7 & (f | dq | cd | bw | vl)) != (f | dq | cd | bw | vl))
        return SMELT_ISA_AVX2;
    if (!__get_cpuid_count(7, 1, &a71, &b, &c, &d) || !(a71 >> 5 & 1)) return SMELT_ISA_AVX512;
    if (!(d7 >> 23 & 1)) return SMELT_ISA_AVX512BF16;
    if (!(d7 >> 24 & 1) || !(d7 >> 22 & 1) || (low & TILE_STATE) != TILE_STATE || !amx_allowed())
        return SMELT_ISA_AVX512FP16;
    return SMELT_ISA_AMX;
}
#elif defined(__aarch64__)
static enum smelt_isa detect(void) { return SMELT_ISA_NEON; }
#else
static enum smelt_isa detect(void) { return SMELT_ISA_SCALAR; }
#endif

enum smelt_isa smelt_isa_found(void)
{
    static _Atomic int found = -1;
    int isa = atomic_load_explicit(&found, memory_order_relaxed);
    if (isa < 0) atomic_store_explicit(&found, isa = (int)detect(), memory_order_relaxed);
    return (enum smelt_isa)isa;
}

static int of_this_architecture(int isa)
{
#if defined(__aarch64__)
    return isa == SMELT_ISA_SCALAR || isa == SMELT_ISA_NEON;
#elif defined(__x86_64__)
    return isa != SMELT_ISA_NEON;
#else
    return isa == SMELT_ISA_SCALAR;
#endif
}

int smelt_isa_runs(enum smelt_isa isa) { return isa <= smelt_isa_found() && of_this_architecture((int)isa); }

enum { UNREAD = -1, UNKNOWN_NAME = -2 };
static _Atomic int used = UNREAD;

static int read_cap(void)
{
    int isa = atomic_load_explicit(&used, memory_order_relaxed);
    if (isa != UNREAD) return isa;
    const char *cap = getenv("SMELT_ISA");
    isa = (int)smelt_isa_found();
    if (cap && *cap) {
        int named = UNKNOWN_NAME;
        for (int i = 0; i < SMELT_ISA_COUNT; i++)
            if (!strcmp(cap, names[i]) && of_this_architecture(i)) named = i;
        isa = named < isa ? named : isa;
    }
    atomic_store_explicit(&used, isa, memory_order_relaxed);
    return isa;
}

smelt_status smelt_isa_check(void)
{
    if (read_cap() != UNKNOWN_NAME) return SMELT_OK;
#if defined(__aarch64__)
    const char *expected = "scalar or neon";
#elif defined(__x86_64__)
    const char *expected = "scalar, avx2, avx512, avx512bf16, avx512fp16 or amx";
#else
    const char *expected = "scalar";
#endif
    const char *cap = getenv("SMELT_ISA");
    return smelt_fail(SMELT_INVALID_ARGUMENT, "environment variable SMELT_ISA: expected %s, got \"%.40s\"",
                      expected, cap ? cap : "");
}

enum smelt_isa smelt_isa_used(void)
{
    int isa = read_cap();
    return isa < 0 ? SMELT_ISA_SCALAR : (enum smelt_isa)isa;
}

void smelt_isa_limit(enum smelt_isa isa)
{
    enum smelt_isa found = smelt_isa_found();
    atomic_store_explicit(&used, (int)(isa < found ? isa : found), memory_order_relaxed);
}

static _Atomic int64_t cache_bytes = 0;

void smelt_last_level_cache_limit(int64_t bytes)
{
    atomic_store_explicit(&cache_bytes, bytes, memory_order_relaxed);
}

int64_t smelt_last_level_cache_bytes(void)
{
    int64_t bytes = atomic_load_explicit(&cache_bytes, memory_order_relaxed);
    if (bytes) return bytes;
#if defined(_SC_LEVEL3_CACHE_SIZE)
    bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
    if (bytes <= 0) bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    if (bytes <= 0) bytes = (int64_t)32 << 20; /* unknown: a usual size */
    /* A small virtual machine names the cache of its whole host, which others fill: 16 MiB a core are plenty.
     */
    int64_t share = (int64_t)smelt_core_count() << 24;
    if (bytes > share) bytes = share;
    atomic_store_explicit(&cache_bytes, bytes, memory_order_relaxed);
    return bytes;
}

int smelt_core_count(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}
