/* The name under which ps and pgrep show a process: proc-title-template, filled in. */
#ifndef SLIPSTREAM_CORE_OS_PROCESS_TITLE_H
#define SLIPSTREAM_CORE_OS_PROCESS_TITLE_H

struct core;

/* First thing in main: makes the room that titles are written into. argv's strings are copies afterwards. */
void process_title_init(int argc, char **argv);
/* `title` is {title}'s value, NULL the program as it was called. Does nothing under `set-proc-title no`. */
void process_title_set(const struct core *core, const char *title);

#endif
