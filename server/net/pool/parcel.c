/* Parcels: made, filled, and put into a queue. Any process with a loop; used by the server, by its loop's thread and by
 * its I/O threads. */
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/net/pool/io_thread.h"

#include <string.h>

#define FIRST_BYTES 2048

/* Bytes on their way stand outside the heap's count, as what lies in a socket's own buffers does: of a connection there
 * is one parcel at either end, and with its thread not much more than LOAN_OUTPUT_BYTES of output. A limit of memory
 * would evict keys for what is gone with the turn. */
static void count_bytes(const struct parcel *p, int sign)
{
    mem_account(sign * (ptrdiff_t)mem_size(p->bytes));
}

static struct parcel *parcel_new(void)
{
    struct parcel *p = mem_calloc(1, sizeof *p);
    p->bytes = mem_alloc(FIRST_BYTES);
    count_bytes(p, -1);
    p->capacity = FIRST_BYTES;
    return p;
}

static void parcel_free(const struct pool_host *host, struct parcel *p)
{
    if (p->reading) host->free(p->reading);
    mem_free(p->reading);
    count_bytes(p, 1);
    mem_free(p->bytes);
    outq_clear(&p->more);
    mem_free(p);
}

void parcel_give(struct list *stock, size_t most, const struct pool_host *host, struct parcel *p)
{
    if (stock->count >= most || p->capacity > 2 * LOAN_INPUT_BYTES) {
        parcel_free(host, p);
        return;
    }
    p->len = 0;
    if (p->reading) host->rest(p->reading);
    list_push_front(stock, &p->node);
}

struct parcel *parcel_take(struct list *stock)
{
    struct list_node *first = list_first(stock);
    if (!first) return parcel_new();
    struct parcel *p = list_entry(first, struct parcel, node);
    list_remove(stock, first);
    return p;
}

void parcel_will_be_read(struct parcel *p, const struct pool_host *host)
{
    if (likely(p->reading != NULL)) return;
    p->reading = mem_calloc(1, host->reading_bytes);
    host->init(p->reading);
}

uint8_t *parcel_room(struct parcel *p, size_t len)
{
    if (unlikely(p->capacity - p->len < len)) {
        p->capacity = p->len + len > 2 * p->capacity ? p->len + len : 2 * p->capacity;
        count_bytes(p, 1);
        p->bytes = mem_realloc(p->bytes, p->capacity);
        count_bytes(p, -1);
    }
    return p->bytes + p->len;
}

bool parcel_push_waiting(struct spsc *q, struct list *waiting)
{
    bool pushed = false;
    for (struct list_node *node; (node = list_first(waiting)); pushed = true) {
        struct parcel *p = list_entry(node, struct parcel, node);
        list_remove(waiting, node);
        if (spsc_push(q, p)) continue;
        list_push_front(waiting, node);
        break;
    }
    return pushed;
}

void parcel_push(struct spsc *q, struct list *waiting, struct parcel *p)
{
    if (unlikely(list_first(waiting) != NULL) || unlikely(!spsc_push(q, p))) list_push_back(waiting, &p->node);
}
