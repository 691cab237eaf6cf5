/* The options of a tool's command line, each with a value: --NAME VALUE. */
#ifndef SERVERS_OPTION_PAIRS_H
#define SERVERS_OPTION_PAIRS_H

/* Hands each to `take`, whose answer is 0; -1: `error` says why not; 1: there is no such option. 0, or -1: `error` says
 * why. */
int option_pairs_read(int argc, char **argv,
                      int (*take)(void *options, const char *name, const char *value, char error[256]), void *options,
                      char error[256]);

#endif
