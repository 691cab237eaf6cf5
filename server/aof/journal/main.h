/* The journal process's entry. How it is started: server/aof/journal_handle.c. */
#ifndef SLIPSTREAM_AOF_JOURNAL_MAIN_H
#define SLIPSTREAM_AOF_JOURNAL_MAIN_H

#define JOURNAL_ARGUMENT "--journal-process" /* argv[1]: main.c then calls journal_main() */

/* argv as server/net/role_process.h has it. */
int journal_main(int argc, char **argv);

#endif
