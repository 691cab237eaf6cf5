/* CHECK: our own invariants, always on. Never used for bytes from disk, a client or a peer: those are errors, not
 * faults.
 *
 * A failed CHECK logs expression and place within a crash report (server/base/crash.h) and aborts. */
#ifndef SLIPSTREAM_BASE_CHECK_H
#define SLIPSTREAM_BASE_CHECK_H

_Noreturn void check_failed(const char *expression, const char *file, int line);
_Noreturn void check_panic(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (__builtin_expect(!(condition), 0)) check_failed(#condition, __FILE__, __LINE__);                           \
    } while (0)

#define UNREACHABLE() check_failed("unreachable", __FILE__, __LINE__)
#define PANIC(...)    check_panic(__FILE__, __LINE__, __VA_ARGS__)

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#endif
