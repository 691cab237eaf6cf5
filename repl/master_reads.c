/* What a follower has read that does not say who it is: the RDB version of a snapshot that it has taken over, by which
 * it is known again when it comes back (refusals.h). Server process of the master.
 *
 * An address alone is no proof: several may share one behind a gateway, and an older program may have come to it. So
 * what is known counts for who continues a history behind that snapshot, and while nobody is seen
 * there that has shown less. */
#include "repl/master_side.h"

#include "rdb/format.h"
#include "repl/snapshot_form.h"

bool follower_is_stranger(const struct follower *f)
{
    return !f->hello.rdb_only && !snapshot_form_announced(&f->hello);
}

bool follower_may_be_6_2(const struct follower *f)
{
    return follower_is_stranger(f) && f->reads < RDB_VERSION_FUNCTION;
}

void reads_meet(struct follower *f, int64_t continues_from)
{
    f->reads = f->has_read = refusals_read(&f->r->master->refusals, f->name, continues_from, replication_now_ms(f->r));
}

/* from: of the stream, behind a snapshot that it has just taken over; 0: none. */
static void note(const struct follower *f, uint64_t from)
{
    struct refusals *refusals = &f->r->master->refusals;
    int64_t now_ms = replication_now_ms(f->r);
    if (!follower_is_stranger(f)) return;
    if (f->has_read > RDB_VERSION_LEAST_WRITTEN)
        refusals_note_read(refusals, f->name, f->has_read, from, now_ms);
    else
        refusals_note_unproven(refusals, f->name, now_ms);
}

void reads_taken(struct follower *f)
{
    f->has_read = f->reads;
    note(f, f->from);
}

void reads_here(const struct follower *f)
{
    note(f, 0);
}

/* What it was being sent last it may not have taken over. */
void reads_part(struct follower *f)
{
    f->reads = f->has_read;
    if (!follower_may_be_6_2(f)) return;
    note(f, 0);
    f->r->master->stranger_ms = replication_now_ms(f->r);
}
