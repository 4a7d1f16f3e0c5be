/* SPDX-License-Identifier: Apache-2.0 */
/* What the rewritten text and the generated entry point use: the macros behind Metal's attributes, and the
   objects that become a kernel's arguments, whatever type it gave them. Comes after metal_stdlib. */
#ifndef SMELT_ENTRY_H
#define SMELT_ENTRY_H

#define $body
#define $kern            __attribute__((annotate("smelt.kernel")))
#define $kernel          __attribute__((annotate("smelt.kernel")))
#define $shared          static __attribute__((section("smelt.threadgroup")))
#define $loop(...)       for (; __VA_ARGS__; (void)0)
#define $fo(...)         for (__VA_ARGS__(void) 0)
#define $host_name(text) __attribute__((annotate("smelt.host_name", text)))
#define $visible
#define $id(n)
#define $max_total_threads_per_threadgroup(n) __attribute__((annotate("smelt.max_total_threads", n)))
#define $required_threads_per_threadgroup(...)
#define $function_constant(n)                = smelt::function_constant<n>::value
#define $optional(...)                       __attribute__((annotate("optional", bool(__VA_ARGS__))))
#define is_function_constant_defined(name)   smelt::$set_##name
#define $groupmem                            __attribute__((annotate("threadgroup")))
#define $buffer(n)                           __attribute__((annotate("buffer", n)))
#define $texture(n)                          __attribute__((annotate("texture", n)))
#define $sampler(n)                          __attribute__((annotate("sampler", n)))
#define $threadgroup(n)                      __attribute__((annotate("threadgroup", n)))
#define $thread_position_in_grid             __attribute__((annotate("thread_position_in_grid")))
#define $threads_per_grid                    __attribute__((annotate("threads_per_grid")))
#define $dispatch_threads_per_grid           __attribute__((annotate("threads_per_grid")))
#define $grid_size                           __attribute__((annotate("grid_size")))
#define $grid_origin                         __attribute__((annotate("grid_origin")))
#define $thread_position_in_threadgroup      __attribute__((annotate("thread_position_in_threadgroup")))
#define $thread_index_in_threadgroup         __attribute__((annotate("thread_index_in_threadgroup")))
#define $threadgroup_position_in_grid        __attribute__((annotate("threadgroup_position_in_grid")))
#define $threadgroups_per_grid               __attribute__((annotate("threadgroups_per_grid")))
#define $threads_per_threadgroup             __attribute__((annotate("threads_per_threadgroup")))
#define $dispatch_threads_per_threadgroup    __attribute__((annotate("dispatch_threads_per_threadgroup")))
#define $thread_execution_width              __attribute__((annotate("thread_execution_width")))
#define $threads_per_simdgroup               __attribute__((annotate("threads_per_simdgroup")))
#define $thread_index_in_simdgroup           __attribute__((annotate("thread_index_in_simdgroup")))
#define $simdgroup_index_in_threadgroup      __attribute__((annotate("simdgroup_index_in_threadgroup")))
#define $simdgroups_per_threadgroup          __attribute__((annotate("simdgroups_per_threadgroup")))
#define $dispatch_simdgroups_per_threadgroup __attribute__((annotate("dispatch_simdgroups_per_threadgroup")))
#define $thread_index_in_quadgroup           __attribute__((annotate("thread_index_in_quadgroup")))
#define $quadgroup_index_in_threadgroup      __attribute__((annotate("quadgroup_index_in_threadgroup")))
#define $quadgroups_per_threadgroup          __attribute__((annotate("quadgroups_per_threadgroup")))
#define $dispatch_quadgroups_per_threadgroup __attribute__((annotate("dispatch_quadgroups_per_threadgroup")))

extern "C" {
__attribute__((nothrow, const)) void *__smelt_argument(unsigned slot);
__attribute__((nothrow, const)) unsigned __smelt_word(unsigned index);
__attribute__((nothrow, const)) unsigned __smelt_position(unsigned axis);
__attribute__((nothrow, const)) unsigned __smelt_grid_position(unsigned axis);
}

namespace smelt
{
/* Specialised by the compiler for every constant that the caller set; the others are zero while a text is only
   looked at, and `missing` when a kernel is compiled: constants.c finds who still reads them. */
struct zero {
    template <class T> constexpr operator T() const { return T(); }
};
template <int index> struct function_constant {
    static constexpr bool defined = false;
    static constexpr zero value{};
};
extern "C" unsigned __smelt_missing(int index);
struct missing {
    int index;
    template <class T> operator T() const { return T(__smelt_missing(index)); }
};
template <int index, bool = function_constant<index>::defined> struct required {
    static constexpr missing value{index};
};
template <int index> struct required<index, true> : function_constant<index> {
};

/* An argument that a function constant has switched off. */
struct absent {
    template <class T> operator T *() const { return nullptr; }
    template <class T> operator T &() const
    {
        T *none = nullptr;
        return *none;
    }
};

/* An argument that converts to whatever pointer or reference the kernel declares. */
struct memory {
    void *address;
    template <class T> inline __attribute__((always_inline)) operator T *() const { return (T *)address; }
    template <class T> inline __attribute__((always_inline)) operator T &() const { return *(T *)address; }
};
inline __attribute__((always_inline)) memory argument(unsigned slot) { return {__smelt_argument(slot)}; }

/* Up to three numbers that convert to a scalar or vector of them. */
struct position {
    unsigned x, y, z;
    operator unsigned() const { return x; }
    operator unsigned short() const { return (unsigned short)x; }
    operator metal::vec<unsigned, 2>() const { return {x, y}; }
    operator metal::vec<unsigned, 3>() const { return {x, y, z}; }
    operator metal::vec<unsigned short, 2>() const { return {(unsigned short)x, (unsigned short)y}; }
    operator metal::vec<unsigned short, 3>() const
    {
        return {(unsigned short)x, (unsigned short)y, (unsigned short)z};
    }
};
inline position words(unsigned first)
{
    return {__smelt_word(first), __smelt_word(first + 1), __smelt_word(first + 2)};
}
inline position word(unsigned index) { return {__smelt_word(index), 0, 0}; }

/* One function an attribute; the numbers are those of enum smelt_word. */
inline position thread_position_in_grid()
{
    return {__smelt_grid_position(0), __smelt_grid_position(1), __smelt_grid_position(2)};
}
inline position thread_position_in_threadgroup()
{
    return {__smelt_position(0), __smelt_position(1), __smelt_position(2)};
}
inline position threads_per_grid() { return words(0); }
inline position grid_size() { return words(0); }
inline position grid_origin() { return {0, 0, 0}; }
inline position threadgroups_per_grid() { return words(3); }
inline position dispatch_threads_per_threadgroup() { return words(6); }
inline position threadgroup_position_in_grid() { return words(9); }
inline position threads_per_threadgroup() { return words(12); }
inline position simdgroup_index_in_threadgroup() { return word(15); }
inline position simdgroups_per_threadgroup() { return word(16); }
inline position dispatch_simdgroups_per_threadgroup() { return word(17); }
inline position thread_execution_width() { return {32, 0, 0}; }
inline position threads_per_simdgroup() { return {32, 0, 0}; }
inline position thread_index_in_simdgroup() { return {__smelt_lane(), 0, 0}; }
inline position thread_index_in_threadgroup() { return {__smelt_word(15) * 32 + __smelt_lane(), 0, 0}; }
inline position thread_index_in_quadgroup() { return {__smelt_lane() & 3, 0, 0}; }
inline position quadgroup_index_in_threadgroup() { return {__smelt_word(15) * 8 + __smelt_lane() / 4, 0, 0}; }
inline unsigned quads(unsigned first)
{
    return (__smelt_word(first) * __smelt_word(first + 1) * __smelt_word(first + 2) + 3) / 4;
}
inline position quadgroups_per_threadgroup() { return {quads(12), 0, 0}; }
inline position dispatch_quadgroups_per_threadgroup() { return {quads(6), 0, 0}; }
} // namespace smelt
#endif
