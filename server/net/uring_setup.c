/* Making the io_uring ring, and finding out whether this kernel does what the engine needs; any process with a loop.
 *
 * The kernel is asked by trying, not by its version: distributions port features back, and a container's seccomp
 * profile refuses what the kernel could do. The ring stays small (about 200 KiB): newer kernels charge it against
 * RLIMIT_MEMLOCK. The receive buffers are ordinary memory and are never pinned. */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/alloc.h"
#include "server/net/uring.h"

#define FEATURES_NEEDED                                                                                                \
    (IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG |                    \
     IORING_FEAT_CQE_SKIP)

#define BUFFER_RING_BYTES (URING_BUFFERS_MAX * sizeof(struct io_uring_buf))
#define BUFFERS_BYTES     ((size_t)URING_BUFFERS_MAX * URING_BUFFER_STRIDE)

static unsigned completion_entries(unsigned connections_hint)
{
    unsigned entries = URING_COMPLETIONS_MIN;
    while (entries < URING_COMPLETIONS_MAX && entries < connections_hint) entries *= 2;
    return entries;
}

/* From what is fastest down to what every kernel has. 0, or -1 with errno. */
static int open_ring(struct io_uring *ring, unsigned connections_hint)
{
    static const unsigned attempts[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN |
            IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
        0,
    };
    int error = EINVAL;
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]) && error == EINVAL; i++) {
        struct io_uring_params params = {.flags = attempts[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
                                         .cq_entries = completion_entries(connections_hint)};
        error = -io_uring_queue_init_params(URING_ENTRIES, ring, &params);
    }
    if (error == 0 && (ring->features & FEATURES_NEEDED) != FEATURES_NEEDED) {
        io_uring_queue_exit(ring);
        error = ENOSYS;
    }
    errno = error;
    return error ? -1 : 0;
}

static void *map_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static int open_buffers(struct uring *u)
{
    u->buffer_ring = map_memory(BUFFER_RING_BYTES);
    u->buffers = map_memory(BUFFERS_BYTES);
    if (!u->buffer_ring || !u->buffers) return -1;
    /* The kernel reads the ring's own pages: a forked child's copy-on-write must not part us from them. */
    madvise(u->buffer_ring, BUFFER_RING_BYTES, MADV_DONTFORK);
    struct io_uring_buf_reg registration = {
        .ring_addr = (uintptr_t)u->buffer_ring, .ring_entries = URING_BUFFERS_MAX, .bgid = URING_BUFFER_GROUP};
    int error = -io_uring_register_buf_ring(&u->ring, &registration, 0);
    if (error) {
        errno = error;
        return -1;
    }
    io_uring_buf_ring_init(u->buffer_ring);
    uring_provide_more(u);
    return 0;
}

void uring_provide_more(struct uring *u)
{
    unsigned target = u->buffer_count ? 2 * u->buffer_count : URING_BUFFERS;
    u->starved = false;
    if (target > URING_BUFFERS_MAX) return;
    while (u->buffer_count < target) uring_provide(u, u->buffer_count++);
}

/* Waits for one completion. 0 or -1 with errno, also when it reports an error. */
static int next_completion(struct uring *u, int expected_result, unsigned expected_flags)
{
    struct io_uring_cqe *cqe;
    int error = -io_uring_submit_and_wait(&u->ring, 1);
    if (error <= 0) error = -io_uring_peek_cqe(&u->ring, &cqe);
    if (error) {
        errno = error;
        return -1;
    }
    int result = cqe->res;
    unsigned flags = cqe->flags;
    if (flags & IORING_CQE_F_BUFFER) uring_provide(u, flags >> IORING_CQE_BUFFER_SHIFT);
    io_uring_cqe_seen(&u->ring, cqe);
    u->scanned++;
    errno = result < 0 ? -result : ENOSYS;
    return result == expected_result && (flags & expected_flags) == expected_flags ? 0 : -1;
}

/* Multishot receive came after provided buffers: receive a byte and then the end through it. */
static int try_receiving(struct uring *u, int pair[2])
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    io_uring_prep_recv_multishot(sqe, pair[0], NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = URING_BUFFER_GROUP;
    if (send(pair[1], "x", 1, MSG_NOSIGNAL) != 1) return -1;
    if (next_completion(u, 1, IORING_CQE_F_BUFFER | IORING_CQE_F_MORE) != 0) return -1;
    shutdown(pair[1], SHUT_WR);
    return next_completion(u, 0, 0);
}

/* A send that reports only failure has to report one that fell short, and exactly how far it came: more goes into a
 * socket than it takes. */
static int try_sending(struct uring *u, int pair[2])
{
    int queued = 0;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    io_uring_prep_send(sqe, pair[0], u->buffers, BUFFERS_BYTES, URING_SEND_NOW_FLAGS);
    io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
    /* So that a kernel which reports nothing is not waited for in vain. */
    sqe = io_uring_get_sqe(&u->ring);
    io_uring_prep_nop(sqe);
    io_uring_submit(&u->ring);
    if (ioctl(pair[1], FIONREAD, &queued) != 0) return -1;
    if (next_completion(u, queued, 0) != 0 || queued == 0) return -1;
    return next_completion(u, 0, 0);
}

static int try_it_out(struct uring *u)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return -1;
    int failed = try_receiving(u, pair) != 0 || try_sending(u, pair) != 0 ? -1 : 0;
    int error = errno;
    close(pair[0]);
    close(pair[1]);
    errno = error;
    return failed;
}

static void close_ring(struct uring *u)
{
    io_uring_queue_exit(&u->ring);
    if (u->buffer_ring) munmap(u->buffer_ring, BUFFER_RING_BYTES);
    if (u->buffers) munmap(u->buffers, BUFFERS_BYTES);
    mem_free(u);
}

struct uring *uring_new(unsigned connections_hint)
{
    struct uring *u = mem_calloc(1, sizeof(*u));
    int error;
    list_init(&u->sending);
    list_init(&u->waiting);
    if (open_ring(&u->ring, connections_hint) != 0) {
        error = errno;
        mem_free(u);
        errno = error;
        return NULL;
    }
    if (open_buffers(u) != 0 || try_it_out(u) != 0) {
        error = errno;
        close_ring(u);
        errno = error;
        return NULL;
    }
    io_uring_ring_dontfork(&u->ring);
    /* Saves looking up the ring's descriptor at every entry; without it everything works all the same. */
    io_uring_register_ring_fd(&u->ring);
    return u;
}

void uring_free(struct uring *u)
{
    close_ring(u);
}
