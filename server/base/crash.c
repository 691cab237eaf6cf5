/* The report of a process on its own end, and of one that stands still. Any process.
 *
 * The faulting thread does it, on a stack of its own, for the other one may have overflowed. While a part is written
 * the fatal signals are let in, and so is an alarm: both leave the part by siglongjmp. vsnprintf is used for what it
 * formats without the heap: integers, and text of less than a kilobyte. */
#include "server/base/crash.h"

#include "server/base/file.h"
#include "server/base/log.h"
#include "server/base/machine_state.h"
#include "server/base/symbols.h"

#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BACKTRACE_DEPTH 100
#define SECTIONS_MAX    32
#define PART_S          5
#define STACK_BYTES     (512 * 1024)
#define STACK_WORDS     16
#define FRAME_STEP_MAX  (1024 * 1024) /* between a function's frame and its caller's */
#define STAND_STILL     SIGRTMAX

static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
#define FATAL_SIGNALS (sizeof fatal_signals / sizeof *fatal_signals)

/* What the signal said; a failed CHECK has none. */
struct fault {
    int signal;
    const siginfo_t *info;
    const ucontext_t *context;
};

static const char *process_program = "?", *process_role = "server";
static bool enabled, exits_on_panic;
static struct crash_section sections[SECTIONS_MAX];
static size_t section_count;

static _Atomic pid_t reporter; /* the thread that writes the report; 0: there is none */
static int report_fd = -1;
static sigjmp_buf part_end;
static volatile sig_atomic_t inside_part, out_of_time;
static struct fault fault;

/* --- words --- */

void crash_write(const void *data, size_t len)
{
    if (report_fd >= 0) file_write_all(report_fd, data, len);
}

void crash_print(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len < 0) return;
    crash_write(text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
}

static void print_text(const char *text)
{
    crash_write(text, strlen(text));
}

/* --- parts, each of which may fail --- */

static void let_in_fatal_signals(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    for (size_t i = 0; i < FATAL_SIGNALS; i++) sigaddset(&set, fatal_signals[i]);
    pthread_sigmask(how, &set, NULL);
}

static void set_alarm(int seconds)
{
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_sec = seconds}, NULL);
}

/* Nothing is tried any more once one part has hung: others are likely to want what it waited for. */
static void write_part(const char *title, void (*write)(void *arg), void *arg)
{
    if (title) crash_print("\n------ %s ------\n", title);
    if (out_of_time) {
        print_text("(left out)\n");
        return;
    }
    if (sigsetjmp(part_end, 1) == 0) {
        inside_part = 1;
        let_in_fatal_signals(SIG_UNBLOCK);
        set_alarm(PART_S);
        write(arg);
    } else {
        print_text(out_of_time ? "\n(given up: it took too long)\n" : "\n(given up: it met a fault of its own)\n");
    }
    set_alarm(0);
    let_in_fatal_signals(SIG_BLOCK);
    inside_part = 0;
}

static void write_cause(void *arg)
{
    (void)arg;
    const siginfo_t *info = fault.info;
    log_warning("%s crashed by signal: %d, si_code: %d", process_program, fault.signal, info->si_code);
    if (fault.signal == SIGSEGV || fault.signal == SIGBUS) log_warning("Accessing address: %p", info->si_addr);
    if (info->si_code <= SI_USER) log_warning("Killed by PID: %ld, UID: %d", (long)info->si_pid, (int)info->si_uid);
    log_warning("Crashed running the instruction at: 0x%lx",
                (unsigned long)machine_state_of(fault.context).instruction);
}

static void write_process(void *arg)
{
    char thread[16] = "";
    (void)arg;
    prctl(PR_GET_NAME, thread);
    log_warning("This is the %s, process %d, thread %s", process_role, (int)getpid(),
                syscall(SYS_gettid) == getpid() ? "main" : thread);
}

static void print_place(uintptr_t address, bool is_return)
{
    char text[1024];
    symbols_describe(address, is_return, text, sizeof text);
    print_text(text);
    print_text("\n");
}

static bool unwound; /* beyond the faulting place */

static uintptr_t faulting_instruction(void)
{
    return fault.context ? machine_state_of(fault.context).instruction : 0;
}

static void write_place(void *arg)
{
    (void)arg;
    symbols_open();
    if (!fault.context) return;
    print_text("EIP:\n");
    print_place(faulting_instruction(), false);
}

/* From the faulting place on; the handler's own frames say nothing. */
static void write_backtrace(void *arg)
{
    void *frames[BACKTRACE_DEPTH];
    uintptr_t instruction = faulting_instruction();
    (void)arg;
    print_text("\nBacktrace:\n");
    int depth = backtrace(frames, BACKTRACE_DEPTH), first = 0;
    while (first < depth && (uintptr_t)frames[first] != instruction) first++;
    if (first == depth) first = 0;
    for (int i = first; i < depth; i++) print_place((uintptr_t)frames[i], (uintptr_t)frames[i] != instruction);
    unwound = !fault.context || depth - first > 1;
}

/* Where the unwinder knows nothing of the place: a call through a wild pointer. Our functions keep frame pointers. */
static void walk_frames(void *arg)
{
    struct machine_state state = machine_state_of(fault.context);
    uintptr_t frame = state.frame, above = state.stack, caller = machine_return_address(fault.context);
    (void)arg;
    if (caller) print_place(caller, true);
    for (int depth = 0; depth < BACKTRACE_DEPTH; depth++) {
        if (frame % sizeof(uintptr_t) || frame < above || frame - above > FRAME_STEP_MAX) return;
        uintptr_t back = machine_word_at(frame + sizeof(uintptr_t));
        if (!back) return;
        print_place(back, true);
        above = frame + 1;
        frame = machine_word_at(frame);
    }
}

static void write_registers(void *arg)
{
    (void)arg;
    machine_registers(fault.context, print_text);
    uintptr_t stack = machine_state_of(fault.context).stack;
    for (int i = STACK_WORDS - 1; stack && i >= 0; i--) {
        uintptr_t at = stack + (size_t)i * sizeof(uintptr_t);
        crash_print("(%016lx) -> %016lx\n", (unsigned long)at, (unsigned long)machine_word_at(at));
    }
}

/* --- the report --- */

static _Noreturn void stand_still(void)
{
    for (;;) pause();
}

static void told_to_stand_still(int signal)
{
    (void)signal;
    stand_still();
}

/* What they would do meanwhile, they would do with broken data. */
static void stop_other_threads(void *arg)
{
    pid_t me = (pid_t)syscall(SYS_gettid);
    (void)arg;
    int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    char room[4096];
    for (long len; (len = syscall(SYS_getdents64, fd, room, sizeof room)) > 0;) {
        for (long at = 0; at < len;) {
            const struct dirent64 *entry = (const struct dirent64 *)(const void *)(room + at);
            pid_t other = (pid_t)strtol(entry->d_name, NULL, 10);
            if (other > 0 && other != me) syscall(SYS_tgkill, getpid(), other, STAND_STILL);
            at += entry->d_reclen;
        }
    }
    close(fd);
}

/* Once a process: another thread's fault waits for the end, and one of the report's own ends the part it is in. */
static void claim_report(void)
{
    pid_t me = (pid_t)syscall(SYS_gettid), nobody = 0;
    if (atomic_compare_exchange_strong(&reporter, &nobody, me)) return;
    if (nobody != me) stand_still();
    if (inside_part) siglongjmp(part_end, 1);
    signal(SIGABRT, SIG_DFL); /* between two parts: not even that works */
    abort();
}

static void open_log(void)
{
    const char *path = log_path();
    report_fd = *path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644) : STDOUT_FILENO;
}

static void open_report(void)
{
    open_log();
    if (report_fd < 0) report_fd = STDERR_FILENO;
    print_text("\n\n=== REDIS BUG REPORT START: Cut & paste starting from here ===\n");
}

static void write_report(void)
{
    write_part(NULL, write_process, NULL);
    if (enabled) {
        write_part("STACK TRACE", write_place, NULL);
        write_part(NULL, write_backtrace, NULL);
        if (!unwound && fault.context) write_part(NULL, walk_frames, NULL);
        if (fault.context) write_part("REGISTERS", write_registers, NULL);
        for (size_t i = 0; i < section_count; i++) write_part(sections[i].title, sections[i].write, sections[i].arg);
    }
    print_text("\n=== REDIS BUG REPORT END. Make sure to include from START to END. ===\n\n");
}

/* A fault of the processor's comes again when the handler returns, so that a core shows its place; the signal that is
 * raised here covers those that do not, and what somebody sent. The first process of a container takes neither from
 * itself. */
static void end_by_signal(void)
{
    sigset_t own;
    signal(fault.signal, SIG_DFL);
    raise(fault.signal);
    if (fault.info->si_code > SI_USER) return;
    sigemptyset(&own);
    sigaddset(&own, fault.signal);
    pthread_sigmask(SIG_UNBLOCK, &own, NULL);
    _exit(128 + fault.signal);
}

static void on_fatal_signal(int signal, siginfo_t *info, void *context)
{
    claim_report();
    fault = (struct fault){signal, info, context};
    open_report();
    write_part(NULL, write_cause, NULL);
    write_part(NULL, stop_other_threads, NULL);
    write_report();
    end_by_signal();
}

void crash_begin(void)
{
    claim_report();
    open_report();
    write_part(NULL, stop_other_threads, NULL);
}

void crash_end(void)
{
    write_report();
    if (exits_on_panic) _exit(1);
    signal(SIGABRT, SIG_DFL);
    abort();
}

/* --- a stall, which the process survives --- */

static void close_log(void)
{
    if (report_fd > STDERR_FILENO) close(report_fd);
    report_fd = -1;
}

/* Wherever the first thread was interrupted it goes on afterwards: nothing here allocates, or takes a lock of ours. */
static void report_stall(const siginfo_t *info, const ucontext_t *context)
{
    static volatile sig_atomic_t reporting;
    int error = errno;
    long now_s = (long)time(NULL), pid = (long)getpid();
    if (syscall(SYS_gettid) != pid) {
        syscall(SYS_tgkill, pid, pid, SIGALRM);
        return;
    }
    if (reporting) return;
    reporting = 1;
    fault = (struct fault){SIGALRM, info, context};
    open_log();
    crash_print("%ld:signal-handler (%ld) \n%s\n", pid, now_s,
                info->si_code <= SI_USER ? "Received SIGALRM" : "--- WATCHDOG TIMER EXPIRED ---");
    print_text("\n------ STACK TRACE ------\n");
    write_place(NULL);
    write_backtrace(NULL);
    for (size_t i = 0; i < section_count; i++) {
        if (!sections[i].in_place) continue;
        if (sections[i].title) crash_print("\n------ %s ------\n", sections[i].title);
        sections[i].write(sections[i].arg);
    }
    crash_print("%ld:signal-handler (%ld) --------\n", pid, now_s);
    close_log();
    fault = (struct fault){0};
    reporting = 0;
    errno = error;
}

void crash_watch_for_stall(int ms)
{
    struct itimerval timer = {.it_value = {ms / 1000, ms % 1000 * 1000}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void on_alarm(int signal, siginfo_t *info, void *context)
{
    pid_t me = (pid_t)syscall(SYS_gettid), writing = atomic_load(&reporter);
    if (!writing) return report_stall(info, context);
    if (me != writing) {
        syscall(SYS_tgkill, getpid(), writing, signal);
    } else if (inside_part) {
        out_of_time = 1;
        siglongjmp(part_end, 1);
    }
}

/* --- setting up --- */

static void take_own_stack(void)
{
    void *room = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room != MAP_FAILED) sigaltstack(&(stack_t){.ss_sp = room, .ss_size = STACK_BYTES}, NULL);
}

static void set_handlers(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    action.sa_sigaction = on_fatal_signal;
    for (size_t i = 0; i < FATAL_SIGNALS; i++) {
        if (enabled)
            sigaction(fatal_signals[i], &action, NULL);
        else
            signal(fatal_signals[i], SIG_DFL);
    }
}

/* The alarm is set by a report, or by the watch for a stall, for this thread or any other that the kernel picks. */
static void set_other_handlers(void)
{
    struct sigaction action = {.sa_flags = SA_ONSTACK | SA_RESTART};
    sigfillset(&action.sa_mask);
    action.sa_handler = told_to_stand_still;
    sigaction(STAND_STILL, &action, NULL);
    sigemptyset(&action.sa_mask);
    action.sa_flags |= SA_SIGINFO;
    action.sa_sigaction = on_alarm;
    sigaction(SIGALRM, &action, NULL);
}

void crash_set_enabled(bool wanted)
{
    enabled = wanted;
    set_handlers();
}

bool crash_is_enabled(void)
{
    return enabled;
}

void crash_catch_signals(const char *program)
{
    void *frame;
    process_program = program;
    backtrace(&frame, 1); /* the first call loads the unwinder */
    take_own_stack();
    set_other_handlers();
    crash_set_enabled(true);
}

void crash_catch_signals_of_thread(void)
{
    take_own_stack();
    let_in_fatal_signals(SIG_UNBLOCK);
    sigset_t still;
    sigemptyset(&still);
    sigaddset(&still, STAND_STILL);
    pthread_sigmask(SIG_UNBLOCK, &still, NULL);
}

void crash_set_role(const char *role)
{
    process_role = role;
}

void crash_set_exit_on_panic(bool exits)
{
    exits_on_panic = exits;
}

void crash_add_section(const struct crash_section *section)
{
    if (section_count < SECTIONS_MAX) sections[section_count++] = *section;
}
