/* A processor's state as a signal handler is given it. The only part that knows about processors: x86-64 and ARM64;
 * elsewhere it says nothing. */
#ifndef SLIPSTREAM_BASE_MACHINE_STATE_H
#define SLIPSTREAM_BASE_MACHINE_STATE_H

#include <stdint.h>
#include <ucontext.h>

struct machine_state {
    uintptr_t instruction, stack, frame;
};

struct machine_state machine_state_of(const ucontext_t *context);
/* A word of a stack, whatever it belongs to: the address sanitizer would not let it be read otherwise. */
__attribute__((no_sanitize("address"))) static inline uintptr_t machine_word_at(uintptr_t address)
{
    return *(const volatile uintptr_t *)address;
}
/* Where the function that had just been entered would have gone back to; 0: not known. Read from the stack, which may
 * not be there. */
uintptr_t machine_return_address(const ucontext_t *context);
/* One line after another, with line feeds. */
void machine_registers(const ucontext_t *context, void (*line)(const char *text));

#endif
