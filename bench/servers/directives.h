/* Directives that all servers of a run are to have. One that a server does not know is left out for it, and told. */
#ifndef SERVERS_DIRECTIVES_H
#define SERVERS_DIRECTIVES_H

#include <stdbool.h>
#include <stddef.h>

#define DIRECTIVES_MAX 32

/* Of one server; copied from those of the run. */
struct directives {
    const char *lines[DIRECTIVES_MAX]; /* "io-threads 4", as in a configuration file without quotes */
    bool left_out[DIRECTIVES_MAX];
    int count;
};

/* 0, or -1: there are too many, or it has no value. */
int directives_add(struct directives *d, const char *line);
/* Words for a command line, --NAME VALUE..., from argv[argc] on; argc afterwards. `words` is their room. */
int directives_put(const struct directives *d, const char **argv, int argc, int argc_max, char words[][512]);
/* After a start that failed: true when its log says that it does not know one; that one is left out from now on. */
bool directives_learn(struct directives *d, const char *log);
/* "without io-threads, maxmemory"; "": none was left out. */
void directives_describe(const struct directives *d, char *out, size_t size);

#endif
