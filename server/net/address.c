/* Socket addresses to and from text. Numeric only, so that it may run on the loop; any process. */
#include "server/net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static int parse_v4(struct address *out, const char *ip, int port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out->storage;
    if (inet_pton(AF_INET, ip, &v4->sin_addr) != 1) return -1;
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    out->len = sizeof(*v4);
    return 0;
}

/* With an optional zone, as in "fe80::1%eth0". */
static int parse_v6(struct address *out, const char *ip, int port)
{
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->storage;
    char digits[INET6_ADDRSTRLEN];
    const char *zone = strchr(ip, '%');
    size_t len = zone ? (size_t)(zone - ip) : strlen(ip);
    if (len >= sizeof(digits)) return -1;
    memcpy(digits, ip, len);
    digits[len] = '\0';
    if (inet_pton(AF_INET6, digits, &v6->sin6_addr) != 1) return -1;
    if (zone && (v6->sin6_scope_id = if_nametoindex(zone + 1)) == 0) return -1;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    out->len = sizeof(*v6);
    return 0;
}

int address_parse(struct address *out, const char *ip, int port)
{
    memset(out, 0, sizeof(*out));
    if (port < 0 || port > UINT16_MAX) return -1;
    return strchr(ip, ':') ? parse_v6(out, ip, port) : parse_v4(out, ip, port);
}

int address_unix(struct address *out, const char *path)
{
    memset(out, 0, sizeof(*out));
    struct sockaddr_un *local = (struct sockaddr_un *)&out->storage;
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof(local->sun_path)) return -1;
    local->sun_family = AF_UNIX;
    memcpy(local->sun_path, path, len + 1);
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return 0;
}

void address_ip_text(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    const struct sockaddr_un *local = (const struct sockaddr_un *)&a->storage;
    const void *ip = NULL;
    int family = a->len ? a->storage.ss_family : AF_UNSPEC;

    if (family == AF_INET) ip = &((const struct sockaddr_in *)&a->storage)->sin_addr;
    if (family == AF_INET6) ip = &((const struct sockaddr_in6 *)&a->storage)->sin6_addr;
    if (family == AF_UNIX && a->len > offsetof(struct sockaddr_un, sun_path) && local->sun_path[0] != '\0')
        snprintf(out, ADDRESS_TEXT_MAX, "%.*s", (int)sizeof(local->sun_path), local->sun_path);
    else if (!ip || !inet_ntop(family, ip, out, ADDRESS_TEXT_MAX))
        snprintf(out, ADDRESS_TEXT_MAX, "?");
}

int address_port(const struct address *a)
{
    if (a->len == 0) return 0;
    if (a->storage.ss_family == AF_INET) return ntohs(((const struct sockaddr_in *)&a->storage)->sin_port);
    if (a->storage.ss_family == AF_INET6) return ntohs(((const struct sockaddr_in6 *)&a->storage)->sin6_port);
    return 0;
}

void address_text(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    char ip[ADDRESS_TEXT_MAX];
    address_ip_text(a, ip);
    /* The longest ip is a Unix path of 107 bytes, so the text always fits. */
    snprintf(out, ADDRESS_TEXT_MAX, strchr(ip, ':') && ip[0] != '/' ? "[%.110s]:%d" : "%.110s:%d", ip, address_port(a));
}

bool address_is_loopback(const struct address *a)
{
    if (a->len == 0) return false;
    if (a->storage.ss_family == AF_UNIX) return true;
    if (a->storage.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->storage;
        return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    if (a->storage.ss_family != AF_INET6) return false;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)&a->storage)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == IN_LOOPBACKNET);
}

static bool same_port(const struct address *a, const struct address *b)
{
    return a->len && b->len && a->storage.ss_family == b->storage.ss_family && address_port(a) == address_port(b);
}

bool address_equal(const struct address *a, const struct address *b)
{
    if (!same_port(a, b)) return false;
    if (a->storage.ss_family == AF_INET) {
        const struct sockaddr_in *x = (const struct sockaddr_in *)&a->storage, *y = (const void *)&b->storage;
        return x->sin_addr.s_addr == y->sin_addr.s_addr;
    }
    if (a->storage.ss_family != AF_INET6) return false;
    const struct sockaddr_in6 *x = (const struct sockaddr_in6 *)&a->storage, *y = (const void *)&b->storage;
    return IN6_ARE_ADDR_EQUAL(&x->sin6_addr, &y->sin6_addr) && x->sin6_scope_id == y->sin6_scope_id;
}

static bool is_every_ip(const struct address *a)
{
    if (a->storage.ss_family == AF_INET)
        return ((const struct sockaddr_in *)&a->storage)->sin_addr.s_addr == htonl(INADDR_ANY);
    return a->storage.ss_family == AF_INET6 &&
           IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&a->storage)->sin6_addr);
}

bool address_overlaps(const struct address *a, const struct address *b)
{
    return address_equal(a, b) || (same_port(a, b) && (is_every_ip(a) || is_every_ip(b)));
}
