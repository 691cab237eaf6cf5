/* The heap of every process: jemalloc, counted.
 *
 * Why counted: INFO memory and `maxmemory` ask at any moment how much is in use. The count is kept per thread and
 * summed when asked, so that allocating costs no locked instruction. Running out of memory ends the process, as
 * in Redis; where a client chose the size, mem_try_alloc lets the caller answer with an error instead. */
#ifndef SLIPSTREAM_BASE_ALLOC_H
#define SLIPSTREAM_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t size);
void *mem_calloc(size_t count, size_t size);
void *mem_realloc(void *ptr, size_t size);
void *mem_try_alloc(size_t size); /* NULL when there is not enough */
void mem_free(void *ptr);         /* NULL is fine */
char *mem_strdup(const char *text);

size_t mem_size(const void *ptr);  /* bytes really usable behind ptr: capacity for those who grow */
size_t mem_used(void);             /* bytes in use by this process, all threads */
size_t mem_peak(void);             /* highest mem_used() seen by mem_note_peak() */
void mem_note_peak(void);          /* cron calls this */
void mem_account(ptrdiff_t delta); /* memory that a part maps itself (the record store) joins the count here */

/* One thread's share of the count, for other threads to watch: it falls while that thread frees what others have
 * allocated, below zero even, so only differences mean something. */
struct mem_counter;
const struct mem_counter *mem_my_counter(void); /* valid for as long as the process lives */
ptrdiff_t mem_counter_bytes(const struct mem_counter *c);

struct mem_allocator_info {
    size_t allocated, active, resident; /* bytes, jemalloc's own words */
};
void mem_allocator_info(struct mem_allocator_info *out);
size_t mem_resident(void);            /* RSS of this process in bytes, from /proc/self/statm */
size_t mem_resident_alone(int pid);   /* of another process, without what it shares with others; 0: not known */
const char *mem_allocator_name(void); /* "jemalloc-5.3.0" */
/* Reads one of the allocator's numbers or switches, and sets it where `wanted` is not NULL. -1: errno says why not. */
int mem_control(const char *name, int64_t *value, const int64_t *wanted);
/* The same of a text; "VOID" for `wanted`: the name is an order, without a value. *value is the allocator's. */
int mem_control_text(const char *name, const char **value, const char *wanted);
int mem_purge(void); /* free pages go back to the system: 0, or -1 if the allocator refuses */
void mem_report(void (*write)(void *context, const char *text), void *context); /* the allocator's own, in pieces */

#endif
