/* The link process's entry. How it is started: repl/link_handle.c. */
#ifndef SLIPSTREAM_REPL_LINK_MAIN_H
#define SLIPSTREAM_REPL_LINK_MAIN_H

#define LINK_ARGUMENT   "--link-process" /* argv[1]: main.c then calls link_main() */
#define LINK_CHANNEL_FD 3                /* the descriptor its channel has in it */

#define LINK_CRASH_REPORT    "crash-report"
#define LINK_NO_CRASH_REPORT "no-crash-report"

/* argv: name, LINK_ARGUMENT, the protocol it is to speak, the server's pid, its loop's engine, its log level, its log's
 * path, whether it reports a crash of its own. */
int link_main(int argc, char **argv);

#endif
