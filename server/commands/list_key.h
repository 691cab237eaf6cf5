/* A key whose list is being changed, and the pops and moves that blocking and other list commands share. */
#ifndef SLIPSTREAM_COMMANDS_LIST_KEY_H
#define SLIPSTREAM_COMMANDS_LIST_KEY_H

#include "server/core/run/call.h"
#include "server/data/list.h"

struct list_key {
    struct call *call;
    struct bytes key;
    uint64_t hash;
    struct record *record;  /* NULL: no such key, or not stored yet */
    struct list_value list; /* as it is now; meaningless without a record, until one is put here */
};

static inline struct list_value list_at(const struct record *r)
{
    return (struct list_value){record_encoding(r), record_object(r), record_object_inside(r)};
}

/* Opens the list at argv[arg]; k->record NULL: there is none. false: another type, answered. */
bool list_key_open(struct list_key *k, struct call *call, uint32_t arg);
void list_key_create(struct list_key *k); /* of an opened key without a record: an empty list, stored by save */
/* Puts what was changed back: a new list is stored, an emptied one deleted. Tells WATCH and the key's events: `event`,
 * and "del" when nothing is left. */
void list_key_save(struct list_key *k, const char *event);

void list_key_keep(struct list_key *k); /* nothing changed but, perhaps, how it is kept: no events */

static inline bool list_key_found(const struct list_key *k)
{
    return k->record != NULL;
}

/* LEFT or RIGHT; false: neither. */
bool list_end_argument(const struct call *call, uint32_t arg, enum list_end *out);
struct bytes list_end_name(enum list_end end);

/* Answers with the element at one end and takes it. */
void list_key_pop_one(struct list_key *k, enum list_end end);
/* Answers with an array of up to count elements, from the end inwards, and takes them. Returns how many. */
size_t list_key_pop_many(struct list_key *k, enum list_end end, size_t count);

/* LMOVE between argv[1] and argv[2]: answers and propagates by the call's own request, unless it is rewritten. `from`
 * has been opened and found. false: the other key holds another type, answered. */
bool list_key_move(struct list_key *from, enum list_end take, enum list_end give);

/* numkeys key... LEFT|RIGHT [COUNT n], from argument `at` on. */
struct list_multi_pop {
    uint32_t first_key, key_count;
    enum list_end end;
    size_t count;
};
bool list_multi_pop_read(struct call *call, uint32_t at, struct list_multi_pop *out); /* false: answered */
/* Answers with the first of the keys that has a list and its elements; propagates LPOP or RPOP. false: none has. */
bool list_multi_pop_run(struct call *call, const struct list_multi_pop *pop);

#endif
