/* The contract between our processes: what lies in shared memory, who writes it, and how it is read.
 *
 * The server, the link, the snapshot child and the inspecting tool (shm/inspect.h) all go by this file, and whoever
 * finds a magic or a version that it does not know refuses the region. It includes nothing of ours. */
/* clang-format off */
/* THE OBJECTS
 *
 *   /slipstream-PORT-DIRECTORY      the control region: struct shm_control, this table. Its writer holds a lock on it
 *                                   (shm/owner.h) for as long as it lives.
 *   /slipstream-PORT-DIRECTORY.N    a ring: bytes of the stream and nothing else. Offset o stands at o modulo its size.
 *   (no name)                       the child's page: struct shm_child, shared by the server and the snapshot child
 *                                   that it forks, whether there is a backlog or not.
 *
 * Where /dev/shm is full or missing the first two are memfds without a name: the readers get their descriptors in
 * either case, but nobody else finds them.
 *
 * Two processes read the stream here, each with a slot for each destination: the link (kind 0, a replica a slot) and
 * the journal (kind 1, one slot: the append-only file). "The link" below is whichever of them the slot is of.
 *
 * Offsets count the bytes of the stream as PSYNC does. "Needs o" means: o and all that follows may still be read.
 *
 * ONE WRITER
 *
 * Each field has one writer. Where two have to agree, each has a word of its own, and the words are numbers that only
 * grow (a claim, a sleep, a turn), so that the one that is behind is known to be so. There are two exceptions, and the
 * reason is the same: the field is set before its writer exists. spools[].bytes is zeroed by the server before it forks
 * the child that writes it, and so is the child's page. The child's `decision` alone is written by whoever comes
 * first, by compare-and-swap: that is its purpose.
 *
 * APPEND AND PUBLISH (server; shm/backlog.c)
 *
 *   1 Copy whole commands behind the end into the newest ring. Nobody looks there yet.
 *   2 Store `first` (relaxed), then `end` (release).                                              pairs with READ 1
 *   3 Wake link and journal (see below).
 *   Before it overwrites anything the server looks for the lowest offset that any peer needs (LET GO 3). If that is in
 *   the way it opens another ring; it never waits.
 *
 * READ A RUN at offset o for one peer (link; shm/reader.c)
 *
 *   1 Load `end` (acquire): all bytes below it are there, and every ring's entry and doom from before it can be seen.
 *   2 Load `window_ring`, then the peer's `state` (acquire). A doomed peer reads nothing any more. Since the state was
 *     read after the end, a peer found alive was alive when that end was published: whatever it reads lies below the
 *     end of the moment of its doom, which the server remembers.
 *   3 Among the rings numbered window_ring or higher find the one with first <= o < end. An entry is read whole or not
 *     at all: load number (acquire), first, end, fence (acquire), number again. Equal: it is one ring's, for numbers
 *     are never used twice.                                                                  pairs with OPEN A RING 2
 *   4 The run lies at o modulo size, up to the ring's edge, its end or `end`. It may be sent from where it lies. It
 *     stays as it is until the peer's next_offset is stored beyond it, or the peer is let go.
 *
 * CLAIM, FOLLOW AND LET GO OF A PEER (server: shm/peers.c; link: shm/reader.c)
 *
 *   1 The server stores a claim number that no claim of this slot had before (release: behind the last FREE); fence
 *     (release); from; then state CLAIMED (release). It gives the socket to the link by a message, and that orders all
 *     of it for the link.
 *   2 The link fills its own line (fence (release); next_offset = from, phase WAITING, the rest 0), then stores
 *     opened = claim (release). From then on its line speaks for this peer. Until then it may speak of the one before.
 *   3 Who wants to know what a peer needs loads opened (acquire). Not equal to claim: it needs `from`. Equal: load
 *     next_offset (acquire), which pairs with the link's release: its reads below that offset are over, so those bytes
 *     may be overwritten. The inspecting tool, which nobody waits for, loads claim, then state (acquire both), then the
 *     rest; fence (acquire); and claim again: the same, so it was one peer's; else it reads the slot once more.
 *   4 The server dooms a peer: it remembers the end, then stores state DOOMED (release), and rings. From that end on
 *     the peer needs nothing (READ 2), so a link that has stopped altogether cannot hold more than the limit allows.
 *   5 The link lets go: it shuts the socket, then stores next_offset = SHM_NEEDS_NONE (release), then says so by
 *     message. Its phase stays, and tells how far that peer had come. A file taken alone needs none from the start.
 *   6 On that message, or when the link is dead and has no say, the server stores state FREE. The claim number stays.
 *
 * WAKE A SLEEPER (link, journal: shm/reader.c; server and child: shm/doorbell.h)
 *
 *   `sleeps` of readers[] is that process's alone: odd while it sleeps, and larger by one at each change, also from one
 *   process to the next. Who rings remembers, in memory of its own, for which sleep it has rung,
 *   and rings once a sleep.
 *     reader: store sleeps = odd; fence (seq_cst); look for work once more; sleep on the bell
 *     ringer: store the work (end, bytes, state); fence (seq_cst); load sleeps; if odd and not rung for: ring
 *   With a full fence between the two steps on both sides, one of them sees the other: no wake-up is lost. A child that
 *   is killed anywhere in between has told nobody that it would ring. The bell is an eventfd: it stays rung until it is
 *   read, so who wakes reads it first, then makes `sleeps` even, then looks for work.
 *   The other way it is the same with acknowledgements: the link stores acked_offset, then loads ack_watch; the server
 *   stores ack_watch, then counts acked_offsets. All four are seq_cst, so one of them sees the other. So it is with the
 *   journal's durable_offset and durable_watch.
 *
 * CALL THE JOURNAL (server: shm/backlog.c; journal: shm/reader.c)
 *
 *   Under appendfsync always the server may want several turns' writes to share an fsync. While journal_call is even
 *   the journal goes by what is published, and is woken for it. While it is odd, what is published waits for a call:
 *   another odd number, higher than any before, stored (release) behind `end`; then the journal is woken as above. The
 *   journal loads journal_call (acquire), then `end`, and works; later it compares: the same odd number calls it no
 *   more. The server dead, or asked to finish, it goes by `end` alone.
 *
 * THE JOURNAL'S FILE (journal: shm/reader.c; server: shm/peers.c)
 *
 *   The server claims a slot of kind 1, and numbers the files that it hands to it: 1, 2, 3 ... A file goes by message,
 *   and the stream does not wait for messages: so the server stores files_given before it publishes anything that
 *   belongs to that file, and the journal, which loads `end` first, reads on only when it has that file, or no server
 *   any more. Next to its line the journal keeps two marks: where it stands in the stream and in the file, as a journal
 *   that takes over after its death needs it.
 *     Writer: the mark of the lower turn gets turn = 0; fence (release); its words (relaxed); then turn = the other's
 *             turn + 1 (release). A death in between leaves the other whole.
 *     Reader: of the marks of this claim the one of the higher turn, with the journal dead; while it lives, as an entry
 *             of the rings: turn (acquire), words, fence (acquire), turn again.
 *   A mark says: all of the stream below written_offset is in the file's first written_bytes, or in a file before it,
 *   and of those what is below durable_offset was fsynced, durable_bytes of the file. What the file has behind
 *   written_bytes is to be cut off. next_offset never passes what a mark vouches for: the mark is stored first.
 *   Both offsets stand behind whole commands. next_offset is the lower of the two under appendfsync always, so that a
 *   failed fsync can be made good from here, and written_offset else: a second of writes, or those of a whole rewrite
 *   (no-appendfsync-on-rewrite), would be much to keep. It never goes back.
 *   What has taken longest stands in slowest[], for each kind of delay and for each second: its seconds since the epoch
 *   in the upper half of a word, microseconds in the lower one. Even and odd seconds have a word each: it stays for
 *   another second, and the server looks some times a second. What the server has seen before it knows by the whole
 *   word. The slot is never doomed: past the limit the server holds writes back until the journal has come on.
 *
 * A SPOOL GROWS (server, child: shm/spools.c; link)
 *
 *   1 The server stores bytes = 0, then state GROWING (release), and forks. The child writes the file, then stores
 *     bytes (release), and wakes the link.
 *   2 When the child is reaped (the kernel orders what it had stored) the server stores COMPLETE or FAILED (release).
 *   3 The link loads state before bytes (acquire both): if the state was COMPLETE, then these bytes are all.
 *
 * OPEN AND DROP A RING (server; shm/backlog.c)
 *
 *   1 The old ring's entry gets its end (release): equal to `end`, or beyond what is published so far.
 *   2 A free entry gets number = 0, fence (release), first, end = SHM_OPEN_END, size, object, then number (release).
 *     The descriptor goes to the link by a message. What is appended there becomes visible by `end`, as always.
 *   3 The window begins in a later ring: window_ring (release). Rings before it may be of another history.
 *   4 A ring that neither the window nor a peer needs: number = 0 (release), and its object is unlinked. The link finds
 *     the number gone and unmaps it, now and then; until then the pages are its own to look at.
 *
 * THE HISTORY'S IDS (server: shm/control.c; inspecting tool)
 *
 *   Writer: history_turn = odd; fence (release); words (relaxed); history_turn = even (release).
 *   Reader: load it (acquire), even; words (relaxed); fence (acquire); load it again: the same, else once more. A
 *   writer that was killed in between leaves it odd for ever: the reader gives up after some rounds, and says so.
 *
 * GO ON WITH WHAT A DEAD SERVER LEFT (next server: shm/adopt.c)
 *
 *   A server that is killed leaves all that it had stored, in the order of its program. So `end` stands behind a whole
 *   command; an even history_turn vouches for the ids; `object` names the rings. Not known is how far it had written
 *   beyond `end`, and what that has overwritten: written_to is stored before anything up to there is written.
 *   1 The next server of this name takes the lock, and is the only one of this table from then on. It changes nothing
 *     but `tries`, one more each time: a stream that kills whoever applies it is not to do so for ever.
 *   2 A ring holds what is left of [first, its end], at most `size` of it; the newest ring: [first, written_to]. The
 *     window goes back from the ring with `end` to ring window_ring, as long as each ring begins where the one before
 *     ends, and none has overwritten its own first byte.
 *   3 Once applied: a copy of the control region, /slipstream-PORT-DIRECTORY.adopting, signed by the new server. In it
 *     all slots and spools are FREE, claim numbers go on; each ring's `first` becomes the oldest offset left in it,
 *     then its `end` the end of its part of the window; other rings are gone; a new ring is opened at `end`, and takes
 *     all that follows. tries = 0. Then the copy takes the name (rename; where /dev/shm is full it is a memfd, and the
 *     name goes), and other rings' objects are unlinked. Nothing that was there is overwritten,
 *     in a ring or in the old table.
 *
 * OUTLIVE A DEAD SERVER (link, journal)
 *
 *   Both go on with what they have mapped. Nobody writes the server's words of that table any more (GO ON 3), so `end`
 *   is for ever what the dead server had published: all of it may be sent and written, and nothing else can be. Their
 *   own lines they go on to keep; nobody reads them.
 *
 * THE TABLE: struct shm_control. rel: release, met by an acquire load; rlx: relaxed; seq: sequentially consistent.
 *
 *   offset  field                  writer                  order                     reader
 *   ------  ---------------------  ----------------------  ------------------------  ---------------------------------
 *        0  magic                  server, at creation     rel, last of these        link, inspecting tool, next server
 *        8  version                server, at creation     before magic              the same
 *       12  control_bytes          server, at creation     before magic              the same
 *       16  writer_pid             server, at creation     before magic              inspecting tool, next server
 *       24  writer_start_ticks     server, at creation     before magic              next server
 *       32  name                   server, at creation     before magic              (a person with a dump)
 *      128  history_turn           server                  sequence lock             inspecting tool
 *      136  second_offset          server                  under history_turn        inspecting tool
 *      144  id                     server                  under history_turn        inspecting tool
 *      192  second_id              server                  under history_turn        inspecting tool
 *      256  first                  server                  rlx, before end           inspecting tool
 *      264  end                    server                  rel                       link, inspecting tool
 *      272  window_ring            server                  rel                       link, inspecting tool
 *      280  written_to             server                  before the bytes          next server
 *      288  empty_at               server                  rlx                       next server
 *      296  relayed                server                  rlx                       next server
 *      300  tries                  server, at its start    rlx                       next server
 *      320  readers[2], 64 bytes each, the link's and the journal's:
 *       +0    sleeps               that process            fence seq behind          server, child, inspecting tool
 *       +8    beats                that process            rlx                       server: does it hang?
 *      448  ack_watch              server                  seq                       link, inspecting tool
 *      456  durable_watch          server                  seq                       journal, inspecting tool
 *      464  files_given            server                  before end                journal, inspecting tool
 *      472  journal_call           server                  rel, fence seq behind     journal
 *      480  words_at[4]            server                  rlx, before end           next server
 *      512  rings[64], 64 bytes each:
 *       +0    number               server                  0 first, rel last         link, inspecting tool
 *       +8    first                server                  under number              link, inspecting tool
 *      +16    end                  server                  under number; rel later   link, inspecting tool
 *      +24    size                 server                  under number              inspecting tool (link: by message)
 *      +32    object               server                  under number              inspecting tool
 *     4608  spools[4], 64 bytes each:
 *       +0    state                server                  rel                       link, inspecting tool
 *       +8    bytes                child (0: server)       rel                       link, server, inspecting tool
 *     4864  journal:
 *       +0    file                 journal                 rlx                       server, inspecting tool
 *       +8    file_bytes           journal                 rlx                       server, inspecting tool
 *      +16    finished             journal                 rel                       server
 *      +24    error                journal                 rel                       server, inspecting tool
 *       marks[2], 64 bytes each:
 *      +64    turn                 journal                 0 first, rel last         next journal, server
 *      +72    claim                journal                 under turn                the same
 *      +80    file                 journal                 under turn                the same
 *      +88    written_offset       journal                 under turn                the same
 *      +96    written_bytes        journal                 under turn                the same
 *     +104    durable_offset       journal                 under turn                the same
 *     +112    durable_bytes        journal                 under turn                the same
 *     +120    flags                journal                 under turn                the same
 *     +192    slowest[3][2]        journal                 rlx                       server
 *     5120  peers[128], 128 bytes each; the server's line:
 *       +0    claim                server                  rel, fence behind         link, inspecting tool
 *       +8    from                 server                  before state              link, inspecting tool
 *      +16    state                server                  rel                       link, inspecting tool
 *      +20    kind                 server                  before state              inspecting tool
 *           and the line of its reader, link or journal:
 *      +64    opened               link                    rel, after a new line     server, inspecting tool
 *      +72    phase                link                    rlx                       server, inspecting tool
 *      +76    owes                 link                    rlx                       server, inspecting tool
 *      +80    next_offset          link                    rel                       server, inspecting tool
 *      +88    acked_offset         link                    seq, against ack_watch    server, inspecting tool
 *      +96    durable_offset       link                    rlx                       server, inspecting tool
 *     +104    heard_ms             link                    rlx                       server, inspecting tool
 *     +112    sent_bytes           link                    rlx                       server
 *     +120    received_bytes       link                    rlx                       server
 *    21504  the end
 *
 * THE TABLE: struct shm_child, all of it 0 before the fork. The fork orders what the server stored before it.
 *
 *        0  keys_total             server, before the fork  -                        server
 *        8  keys_done              child                    rlx                      server
 *       16  cow_bytes              child                    rlx                      server
 *       24  cow_peak_bytes         child                    rlx                      server
 *       32  cow_measured_us        child                    rlx                      server
 *       40  decision               whoever is first         seq, compare-and-swap    both
 *
 * In a slot of the journal acked_offset is the last offset that is written and durable_offset the last one on disk;
 * sent_bytes counts what went to its files.
 *
 * Padding is zero. */
/* clang-format on */
#ifndef SLIPSTREAM_SHM_LAYOUT_H
#define SLIPSTREAM_SHM_LAYOUT_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define SHM_MAGIC       UINT64_C(0x6d72747370696c53) /* "Slipstrm" */
#define SHM_VERSION     8
#define SHM_NAME_PREFIX "/slipstream-"

#define SHM_RINGS_MAX      64
#define SHM_WORDS          4 /* kinds of commands that not every replica knows (repl/stream_words.h) */
#define BACKLOG_SPOOLS_MAX 4
#define BACKLOG_PEERS_MAX  128
#define SHM_NAME_BYTES     96
#define SHM_ID_BYTES       48
#define SHM_ID_WORDS       (SHM_ID_BYTES / 8)

#define SHM_OPEN_END   UINT64_MAX /* the newest ring's end */
#define SHM_NEVER      UINT64_MAX /* empty_at: not known */
#define SHM_NEEDS_NONE UINT64_MAX /* next_offset of a peer that the link has let go, or that takes a file alone */

/* The server's word on a slot. */
enum shm_slot_state { SLOT_FREE, SLOT_CLAIMED, SLOT_DOOMED };

/* The link's word: how far the peer has come. */
enum shm_peer_phase { PEER_WAITING, PEER_SENDING_SNAPSHOT, PEER_ONLINE };

/* What is the peer's to do next; how long it may take for it, the server judges. */
enum shm_peer_debt {
    OWES_NOTHING,
    OWES_TAKING, /* bytes of its snapshot lie ready */
    OWES_WORD,   /* an acknowledgement, or any sign of life */
    OWES_CLOSE   /* it has all that it wanted */
};

/* Who reads a slot's stream: index of readers[], and a slot's kind. */
enum shm_reader_kind { SHM_LINK, SHM_JOURNAL, SHM_READERS };

enum shm_spool_state { SPOOL_FREE, SPOOL_GROWING, SPOOL_COMPLETE, SPOOL_FAILED };

/* Whether the child's file takes the place of the one before. */
enum shm_decision { DECISION_NONE, DECISION_PUBLISHED, DECISION_WITHDRAWN };

struct shm_ring {
    _Atomic uint64_t number; /* 1, 2, 3 ...; 0: no ring here */
    _Atomic uint64_t first;  /* offset of the first byte written to it */
    _Atomic uint64_t end;    /* offset behind its last byte, SHM_OPEN_END while it is the newest */
    _Atomic uint64_t size;   /* in bytes */
    _Atomic uint64_t object; /* the number in its object's name, which a ring that starts over keeps; 0: nameless */
    uint8_t pad[24];
};

struct shm_spool {
    _Atomic uint32_t state; /* enum shm_spool_state */
    uint32_t unused;
    _Atomic uint64_t bytes; /* of the file, that may be read */
    uint8_t pad[48];
};

struct shm_peer {
    _Atomic uint64_t claim; /* grows by one with every claim of the slot; 0: never claimed */
    _Atomic uint64_t from;  /* what this peer needs at its claim */
    _Atomic uint32_t state; /* enum shm_slot_state */
    _Atomic uint32_t kind;  /* enum shm_reader_kind: SHM_LINK is a replica */
    uint8_t pad[40];

    _Atomic uint64_t opened;         /* the claim that this line speaks of */
    _Atomic uint32_t phase;          /* enum shm_peer_phase */
    _Atomic uint32_t owes;           /* enum shm_peer_debt */
    _Atomic uint64_t next_offset;    /* lowest offset that it still needs */
    _Atomic uint64_t acked_offset;   /* what it says it has; 0: nothing yet */
    _Atomic uint64_t durable_offset; /* what it says is on its disk; 0: never said */
    _Atomic int64_t heard_ms;        /* monotonic: one clock for all processes of a machine; 0: never */
    _Atomic uint64_t sent_bytes;     /* on its socket */
    _Atomic uint64_t received_bytes;
};

struct shm_reader {
    _Atomic uint64_t sleeps; /* odd: it sleeps */
    _Atomic uint64_t beats;  /* grows while its loop turns */
    uint8_t pad[48];
};

/* mark.flags */
#define SHM_MARK_IN_MULTI UINT64_C(1) /* the file ends within a transaction */

/* What the journal has waited for, and how: slowest[]. */
enum shm_delay {
    DELAY_WRITE,
    DELAY_WRITE_BESIDE_FSYNC, /* one that an fsync of the same file was under way with */
    DELAY_FSYNC_ALWAYS,       /* an fsync that answers waited for */
    SHM_DELAYS
};

/* Where the journal stands. Offsets: the next one, as next_offset. */
struct shm_mark {
    _Atomic uint64_t turn; /* the higher one counts; 0: not whole */
    _Atomic uint64_t claim;
    _Atomic uint64_t file;
    _Atomic uint64_t written_offset, written_bytes;
    _Atomic uint64_t durable_offset, durable_bytes;
    _Atomic uint64_t flags;
};

struct shm_journal {
    _Atomic uint64_t file;       /* the number of the one that is being written; 0: none yet */
    _Atomic uint64_t file_bytes; /* that it has */
    _Atomic uint64_t finished;   /* the number of the last request to finish that is done */
    _Atomic uint64_t error;      /* errno that it met and has not got over; 0: none */
    uint8_t pad[32];
    struct shm_mark marks[2];
    _Atomic uint64_t slowest[SHM_DELAYS][2]; /* by the last bit of the second: second << 32 | microseconds; 0: none */
    uint8_t pad_slowest[16];
};

struct shm_control {
    _Atomic uint64_t magic;
    uint32_t version;
    uint32_t control_bytes;
    int32_t writer_pid;
    uint32_t unused;
    uint64_t writer_start_ticks; /* since boot, as in /proc/<pid>/stat: tells a pid's second use apart */
    char name[SHM_NAME_BYTES];

    _Atomic uint64_t history_turn;
    _Atomic int64_t second_offset;                              /* -1: there is no second id */
    _Atomic uint64_t id[SHM_ID_WORDS], second_id[SHM_ID_WORDS]; /* text, padded with zeros */
    uint8_t pad_history[16];

    _Atomic uint64_t first; /* where the window begins */
    _Atomic uint64_t end;
    _Atomic uint64_t window_ring; /* number of the window's oldest ring */
    _Atomic uint64_t written_to;  /* no byte of the newest ring at this offset or behind it has been written */
    _Atomic uint64_t empty_at;    /* the last offset at which the dataset was empty; SHM_NEVER: not known */
    _Atomic uint32_t relayed;     /* the stream is our master's */
    _Atomic uint32_t tries;       /* of servers to go on with what their dead predecessor left */
    uint8_t pad_window[16];

    struct shm_reader readers[SHM_READERS];

    _Atomic uint64_t ack_watch;     /* who acknowledges this offset is news; 0: nobody waits */
    _Atomic uint64_t durable_watch; /* the same for what the journal has on disk */
    _Atomic uint64_t files_given;   /* the number of the newest file that the journal has been, or is to be, given */
    _Atomic uint64_t journal_call;  /* even: it goes by what is published; odd: by calls, of which each has a number */
    _Atomic uint64_t words_at[SHM_WORDS]; /* where commands of such a kind last were, or shortly before; 0: never */

    struct shm_ring rings[SHM_RINGS_MAX];
    struct shm_spool spools[BACKLOG_SPOOLS_MAX];
    struct shm_journal journal;
    struct shm_peer peers[BACKLOG_PEERS_MAX];
};

struct shm_child {
    _Atomic uint64_t keys_total;
    _Atomic uint64_t keys_done;
    _Atomic uint64_t cow_bytes, cow_peak_bytes;
    _Atomic int64_t cow_measured_us; /* monotonic; 0: not yet */
    _Atomic uint32_t decision;       /* enum shm_decision */
};

#define SHM_PLACED(type, field, at) static_assert(offsetof(struct type, field) == (at), "as the table says")

static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "atomics in shared memory must be lock-free");
static_assert(sizeof(struct shm_ring) == 64, "one cache line");
static_assert(sizeof(struct shm_spool) == 64, "one cache line");
static_assert(sizeof(struct shm_reader) == 64, "one cache line");
static_assert(sizeof(struct shm_mark) == 64, "one cache line");
static_assert(sizeof(struct shm_peer) == 128, "two cache lines");
static_assert(sizeof(struct shm_control) == 21504, "as the table says");
SHM_PLACED(shm_control, magic, 0);
SHM_PLACED(shm_control, version, 8);
SHM_PLACED(shm_control, control_bytes, 12);
SHM_PLACED(shm_control, writer_pid, 16);
SHM_PLACED(shm_control, writer_start_ticks, 24);
SHM_PLACED(shm_control, name, 32);
SHM_PLACED(shm_control, history_turn, 128);
SHM_PLACED(shm_control, second_offset, 136);
SHM_PLACED(shm_control, id, 144);
SHM_PLACED(shm_control, second_id, 192);
SHM_PLACED(shm_control, first, 256);
SHM_PLACED(shm_control, end, 264);
SHM_PLACED(shm_control, window_ring, 272);
SHM_PLACED(shm_control, written_to, 280);
SHM_PLACED(shm_control, empty_at, 288);
SHM_PLACED(shm_control, relayed, 296);
SHM_PLACED(shm_control, tries, 300);
SHM_PLACED(shm_control, readers, 320);
SHM_PLACED(shm_control, ack_watch, 448);
SHM_PLACED(shm_control, durable_watch, 456);
SHM_PLACED(shm_control, files_given, 464);
SHM_PLACED(shm_control, journal_call, 472);
SHM_PLACED(shm_control, words_at, 480);
SHM_PLACED(shm_control, rings, 512);
SHM_PLACED(shm_control, spools, 4608);
SHM_PLACED(shm_control, journal, 4864);
SHM_PLACED(shm_control, peers, 5120);
SHM_PLACED(shm_reader, beats, 8);
SHM_PLACED(shm_journal, file_bytes, 8);
SHM_PLACED(shm_journal, finished, 16);
SHM_PLACED(shm_journal, error, 24);
SHM_PLACED(shm_journal, marks, 64);
SHM_PLACED(shm_journal, slowest, 192);
SHM_PLACED(shm_mark, claim, 8);
SHM_PLACED(shm_mark, file, 16);
SHM_PLACED(shm_mark, written_offset, 24);
SHM_PLACED(shm_mark, written_bytes, 32);
SHM_PLACED(shm_mark, durable_offset, 40);
SHM_PLACED(shm_mark, durable_bytes, 48);
SHM_PLACED(shm_mark, flags, 56);
SHM_PLACED(shm_ring, first, 8);
SHM_PLACED(shm_ring, end, 16);
SHM_PLACED(shm_ring, size, 24);
SHM_PLACED(shm_ring, object, 32);
SHM_PLACED(shm_spool, bytes, 8);
SHM_PLACED(shm_peer, from, 8);
SHM_PLACED(shm_peer, state, 16);
SHM_PLACED(shm_peer, kind, 20);
SHM_PLACED(shm_peer, opened, 64);
SHM_PLACED(shm_peer, phase, 72);
SHM_PLACED(shm_peer, owes, 76);
SHM_PLACED(shm_peer, next_offset, 80);
SHM_PLACED(shm_peer, acked_offset, 88);
SHM_PLACED(shm_peer, durable_offset, 96);
SHM_PLACED(shm_peer, heard_ms, 104);
SHM_PLACED(shm_peer, sent_bytes, 112);
SHM_PLACED(shm_peer, received_bytes, 120);
SHM_PLACED(shm_child, keys_done, 8);
SHM_PLACED(shm_child, cow_bytes, 16);
SHM_PLACED(shm_child, cow_peak_bytes, 24);
SHM_PLACED(shm_child, cow_measured_us, 32);
SHM_PLACED(shm_child, decision, 40);

#undef SHM_PLACED

#endif
