/* A processor's state at a fault. Any process, while it reports its own end. */
#include "server/base/machine_state.h"

#include <stdio.h>

#if defined(__x86_64__)

struct machine_state machine_state_of(const ucontext_t *context)
{
    const greg_t *r = context->uc_mcontext.gregs;
    return (struct machine_state){
        .instruction = (uintptr_t)r[REG_RIP], .stack = (uintptr_t)r[REG_RSP], .frame = (uintptr_t)r[REG_RBP]};
}

uintptr_t machine_return_address(const ucontext_t *context)
{
    uintptr_t stack = machine_state_of(context).stack;
    return stack % sizeof(uintptr_t) == 0 ? machine_word_at(stack) : 0;
}

void machine_registers(const ucontext_t *context, void (*line)(const char *text))
{
    static const struct {
        const char *names[2];
        int numbers[2];
    } pairs[] = {{{"RAX", "RBX"}, {REG_RAX, REG_RBX}}, {{"RCX", "RDX"}, {REG_RCX, REG_RDX}},
                 {{"RDI", "RSI"}, {REG_RDI, REG_RSI}}, {{"RBP", "RSP"}, {REG_RBP, REG_RSP}},
                 {{"R8 ", "R9 "}, {REG_R8, REG_R9}},   {{"R10", "R11"}, {REG_R10, REG_R11}},
                 {{"R12", "R13"}, {REG_R12, REG_R13}}, {{"R14", "R15"}, {REG_R14, REG_R15}},
                 {{"RIP", "EFL"}, {REG_RIP, REG_EFL}}};
    const greg_t *r = context->uc_mcontext.gregs;
    char text[80];
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        snprintf(text, sizeof text, "%s:%016llx %s:%016llx\n", pairs[i].names[0],
                 (unsigned long long)r[pairs[i].numbers[0]], pairs[i].names[1],
                 (unsigned long long)r[pairs[i].numbers[1]]);
        line(text);
    }
    snprintf(text, sizeof text, "CSGSFS:%016llx\n", (unsigned long long)r[REG_CSGSFS]);
    line(text);
}

#elif defined(__aarch64__)

struct machine_state machine_state_of(const ucontext_t *context)
{
    const mcontext_t *m = &context->uc_mcontext;
    return (struct machine_state){
        .instruction = (uintptr_t)m->pc, .stack = (uintptr_t)m->sp, .frame = (uintptr_t)m->regs[29]};
}

uintptr_t machine_return_address(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.regs[30];
}

void machine_registers(const ucontext_t *context, void (*line)(const char *text))
{
    const mcontext_t *m = &context->uc_mcontext;
    char text[80];
    for (int i = 0; i < 30; i += 2) {
        snprintf(text, sizeof text, "X%02d:%016llx X%02d:%016llx\n", i, (unsigned long long)m->regs[i], i + 1,
                 (unsigned long long)m->regs[i + 1]);
        line(text);
    }
    snprintf(text, sizeof text, "X30:%016llx SP:%016llx\nPC:%016llx PSTATE:%016llx\n", (unsigned long long)m->regs[30],
             (unsigned long long)m->sp, (unsigned long long)m->pc, (unsigned long long)m->pstate);
    line(text);
}

#else

struct machine_state machine_state_of(const ucontext_t *context)
{
    (void)context;
    return (struct machine_state){0};
}

uintptr_t machine_return_address(const ucontext_t *context)
{
    (void)context;
    return 0;
}

void machine_registers(const ucontext_t *context, void (*line)(const char *text))
{
    (void)context;
    line("(not known for this processor)\n");
}

#endif
