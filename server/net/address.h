/* Socket addresses as people write them. Never resolves a name: that blocks; see net/lookup.h. */
#ifndef SLIPSTREAM_NET_ADDRESS_H
#define SLIPSTREAM_NET_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#define ADDRESS_TEXT_MAX 128 /* "ip:port", "[v6]:port", "/path:0" */

struct address {
    struct sockaddr_storage storage;
    socklen_t len; /* 0: none */
};

int address_parse(struct address *out, const char *ip, int port);          /* numeric v4 or v6; 0 or -1 */
int address_unix(struct address *out, const char *path);                   /* 0, or -1 when the path is too long */
void address_ip_text(const struct address *a, char out[ADDRESS_TEXT_MAX]); /* "127.0.0.1", "::1", "/path", "?" */
int address_port(const struct address *a);                                 /* 0 for Unix sockets */
/* Redis's form in CLIENT LIST: "127.0.0.1:1234", "[::1]:1234", "/tmp/s:0". */
void address_text(const struct address *a, char out[ADDRESS_TEXT_MAX]);
bool address_is_loopback(const struct address *a); /* Unix sockets count as loopback */
/* TCP only: the same family, port and ip; and whether two sockets can't listen on both (one may be every ip). */
bool address_equal(const struct address *a, const struct address *b);
bool address_overlaps(const struct address *a, const struct address *b);

#endif
