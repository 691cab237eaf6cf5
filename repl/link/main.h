/* The link process's entry. How it is started: repl/link_handle.c. */
#ifndef SLIPSTREAM_REPL_LINK_MAIN_H
#define SLIPSTREAM_REPL_LINK_MAIN_H

#define LINK_ARGUMENT "--link-process" /* argv[1]: main.c then calls link_main() */

/* argv as server/net/role_process.h has it. */
int link_main(int argc, char **argv);

#endif
