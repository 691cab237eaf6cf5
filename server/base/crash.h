/* The end of a process by a fault of its own: a report in Redis's words, for which crash collectors look, then the
 * signal's default action, so that a core is written and the exit status tells the signal.
 *
 * The report is made by what may be broken itself. What is needed most comes first, nothing is allocated for it, and
 * each part has a time of its own: one that faults or hangs (on the heap's lock, say) is given up, and the report goes
 * on. Other threads stand still meanwhile. */
#ifndef SLIPSTREAM_BASE_CRASH_H
#define SLIPSTREAM_BASE_CRASH_H

#include <stdbool.h>
#include <stddef.h>

/* From now on faults are reported: SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT. For the process's first thread.
 * `program`: name and version, as the report tells them. */
void crash_catch_signals(const char *program);
/* Each other thread, at its beginning. */
void crash_catch_signals_of_thread(void);
/* What the process does: "server", if nobody says anything else. */
void crash_set_role(const char *role);

/* crash-log-enabled: without it signals have their default action, and a failed CHECK says its one line. */
void crash_set_enabled(bool enabled);
bool crash_is_enabled(void);
/* use-exit-on-panic: a failed CHECK ends with exit status 1 and without a core. */
void crash_set_exit_on_panic(bool exits);

/* What a part of the program has to tell, in the order of the calls; title NULL: it continues the one before. Sections
 * that allocate come last. Both pointers live as long as the process. */
struct crash_section {
    const char *title;
    void (*write)(void *arg);
    void *arg;
    bool in_place; /* reads what lies there, and neither allocates nor locks: a stall's report has it, too */
};
void crash_add_section(const struct crash_section *section);

/* watchdog-period: unless this is called again within so many milliseconds, the log says where the first thread is, and
 * it goes on. 0: no such watch. By that thread. */
void crash_watch_for_stall(int ms);

/* Inside of a section. */
void crash_write(const void *data, size_t len);
void crash_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A failed CHECK: the head of a report, then the caller's own lines, then the rest and the end. */
void crash_begin(void);
_Noreturn void crash_end(void);

#endif
