/* The banner of a start that somebody watches. */
#ifndef SLIPSTREAM_CORE_PROCESS_LOGO_H
#define SLIPSTREAM_CORE_PROCESS_LOGO_H

struct core;

/* Shown when the log goes to a terminal, or always-show-logo says so; else its facts are one log line. */
void logo_show(const struct core *core);

#endif
