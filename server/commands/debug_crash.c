/* DEBUG's subcommands that end the server. Server process. */
#include "server/commands/debug_crash.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/core/run/call.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

void debug_segfault(struct call *call)
{
    (void)call;
    volatile char *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *page = 'x';
}

void debug_panic(struct call *call)
{
    PANIC("DEBUG PANIC called at Unix time %lld", (long long)(call->now_ms / 1000));
}

void debug_assert(struct call *call)
{
    (void)call;
    int one = 1;
    CHECK(one == 2);
}

void debug_oom(struct call *call)
{
    (void)call;
    mem_free(mem_alloc(PTRDIFF_MAX));
}
