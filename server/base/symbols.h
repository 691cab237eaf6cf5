/* Names for code addresses, for a report on a process that is already broken: nothing here allocates.
 *
 * Of our own program every function is found, static ones too, in the symbol table of its file; of libraries those that
 * the dynamic linker knows. */
#ifndef SLIPSTREAM_BASE_SYMBOLS_H
#define SLIPSTREAM_BASE_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Maps the running program's file. Without it, or in a stripped one, places are told as offsets for addr2line. */
void symbols_open(void);
/* "module(function+0x12)[0x55...]", as backtrace_symbols() writes it, zero-terminated and cut to size. A return address
 * may lie behind the end of its function, whose last word was a call that never returns. */
void symbols_describe(uintptr_t address, bool is_return, char *out, size_t size);

#endif
