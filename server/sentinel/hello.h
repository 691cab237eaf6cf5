/* What Sentinels say to each other on the channel __sentinel__:hello of every instance they watch, and directly. Any
 * process; pure.
 *
 *   ip,port,run id,current epoch,master's name,master's ip,master's port,master's configuration epoch
 *
 * (Redis's documentation, "Sentinels and replicas auto discovery" and "Configuration propagation".) */
#ifndef SLIPSTREAM_SENTINEL_HELLO_H
#define SLIPSTREAM_SENTINEL_HELLO_H

#include "server/base/bytes.h"

#define HELLO_CHANNEL     "__sentinel__:hello"
#define SENTINEL_RUN_ID   40  /* hexadecimal digits */
#define SENTINEL_HOST_MAX 256 /* a name of the DNS, or an address, with its zero */
#define SENTINEL_NAME_MAX 256 /* of a master, with its zero */

struct sentinel_address {
    char host[SENTINEL_HOST_MAX];
    int port;
};

struct hello {
    struct sentinel_address sender;
    char run_id[SENTINEL_RUN_ID + 1];
    uint64_t current_epoch;
    char master_name[SENTINEL_NAME_MAX];
    struct sentinel_address master;
    uint64_t config_epoch;
};

#define HELLO_TEXT_MAX (2 * SENTINEL_HOST_MAX + SENTINEL_NAME_MAX + 160)

/* 0, or -1: that is no such message (too few fields, no run id, a port out of range, a name too long). */
int hello_parse(struct bytes text, struct hello *out);
/* Whether its sender has that run id: our own come back to us, and are not read further. */
bool hello_is_of(struct bytes text, const char *run_id);
/* The length; zero-terminated. */
size_t hello_format(const struct hello *hello, char out[HELLO_TEXT_MAX]);

bool sentinel_run_id_is_valid(struct bytes text);
/* An address or a name as it may go into a file and into messages: printable, without blanks, quotes and commas. */
bool sentinel_host_is_valid(struct bytes text);
int sentinel_port_parse(struct bytes text, int *port); /* 1 to 65535; 0 or -1 */

#endif
