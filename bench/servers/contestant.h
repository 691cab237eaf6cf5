/* A server that a tool was given: a name, and the command that starts one. */
#ifndef SERVERS_CONTESTANT_H
#define SERVERS_CONTESTANT_H

#include "bench/servers/directives.h"
#include "tests/harness/process.h"

#include <hiredis/hiredis.h>

#define CONTESTANTS_MAX       8
#define CONTESTANT_WORDS      128
#define CONTESTANT_WORD_BYTES 512

struct contestant {
    char name[32];
    char command[1024]; /* words, single or double quotes; {port} and {dir} are replaced in each of them */
    char host[256];     /* of one that runs already, and is never ended by the tool; "": the tool starts it */
    int port;
    struct directives
        directives; /* that it is to have beside its command; what it does not know is learnt at a start */
};

/* NAME=COMMAND. 0, or -1: `error` says why. */
int contestant_parse(struct contestant *c, const char *text, char error[256]);
/* Its command line for a port and a directory; the first word is the program's path. How many words, or -1: `error`
 * says why. */
int contestant_words(const struct contestant *c, int port, const char *dir,
                     char words[CONTESTANT_WORDS][CONTESTANT_WORD_BYTES], char error[256]);
/* ROLE=HOST:PORT of one that runs already. 0, or -1: `error` says why. */
int contestant_attach(struct contestant *c, const char *role, const char *address, char error[256]);
/* To a server, with the password of REDISCLI_AUTH if that is set. Never NULL; look at err. */
redisContext *contestant_connect(const char *host, int port, struct timeval bound);

/* One running server. Its directory and port stay over a restart. */
struct instance {
    const struct contestant *of;
    char role[16]; /* for directories and messages: "master", "replica" */
    char dir[320], log[360];
    char host[256];
    int port;
    int cpu;                       /* the only processor it may use, plus one; 0: any. Set before it starts */
    struct directives *directives; /* the contestant's; NULL: none but those of its command */
    int follows_port;              /* at its start, on this machine; 0: nobody */
    pid_t pid;                     /* 0: not running */
    redisContext *client;
};

/* A directory of its own below the harness's root, a port, nothing running. */
void instance_init(struct instance *i, const struct contestant *of, const char *role);
/* Returns when it answers; one that runs already is only asked. Directives that it does not know are left out. 0, or
 * -1: it does not answer. */
int instance_start(struct instance *i, char error[256]);
void instance_kill(struct instance *i);               /* kill -9, its children too */
void instance_kill_alone(struct instance *i);         /* kill -9 for the server, as who is out of memory gets it */
int instance_shutdown(struct instance *i, bool save); /* 0, or -1 when it had to be killed */
void instance_free(struct instance *i);               /* killed, and its directory is removed */

/* NULL: it does not answer. Freed by the caller. */
redisReply *instance_command(struct instance *i, const char *format, ...);
/* A directive that it does not know, or not at run time, is left out. True: it is set. */
bool instance_set(struct instance *i, const char *directive, const char *value);
/* Within bound_ms, else NULL; for one that may be stopped. The caller frees. */
char *instance_info(struct instance *i, const char *section, int bound_ms);
bool info_text_of(const char *info, const char *field, char *out, size_t size); /* false: there is none */
long long info_number_of(const char *info, const char *field);                  /* -1: there is none */
/* "7.2.4", with what names its kind. */
void instance_version(struct instance *i, char out[64]);

#endif
