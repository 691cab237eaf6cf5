/* Messages with descriptors over SOCK_SEQPACKET, both ends. Server process and link process.
 *
 * SEQPACKET keeps one message one message and still tells the end of the other side, which datagrams do not. */
#include "server/net/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "server/base/check.h"

union control {
    char room[CMSG_SPACE(FDPASS_MAX_FDS * sizeof(int))];
    struct cmsghdr align;
};

int fdpass_pair(int out[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, out);
}

int fdpass_send(int channel, const void *message, size_t len, const int *fds, int fd_count)
{
    CHECK(len > 0 && len <= FDPASS_MAX_BYTES && fd_count >= 0 && fd_count <= FDPASS_MAX_FDS);
    union control control = {0};
    struct iovec run = {.iov_base = (void *)message, .iov_len = len};
    struct msghdr header = {.msg_iov = &run, .msg_iovlen = 1};

    if (fd_count > 0) {
        size_t fd_bytes = (size_t)fd_count * sizeof(int);
        header.msg_control = control.room;
        header.msg_controllen = CMSG_SPACE(fd_bytes);
        struct cmsghdr *part = CMSG_FIRSTHDR(&header);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(fd_bytes);
        memcpy(CMSG_DATA(part), fds, fd_bytes);
    }
    ssize_t sent;
    do sent = sendmsg(channel, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

/* Stores the descriptors of one control part; those beyond the room are closed, not leaked. */
static void take_fds(struct cmsghdr *part, int *fds, int room, int *count)
{
    size_t received = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < received; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
        if (*count < room)
            fds[(*count)++] = fd;
        else
            close(fd);
    }
}

ssize_t fdpass_receive(int channel, void *message, size_t room, int *fds, int *fd_count)
{
    union control control;
    struct iovec run = {.iov_base = message, .iov_len = room};
    struct msghdr header = {
        .msg_iov = &run, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)};
    int fd_room = *fd_count;
    ssize_t received;

    *fd_count = 0;
    do received = recvmsg(channel, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (received < 0 && errno == EINTR);
    if (received <= 0) return received;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&header); part; part = CMSG_NXTHDR(&header, part))
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) take_fds(part, fds, fd_room, fd_count);
    if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        for (int i = 0; i < *fd_count; i++) close(fds[i]);
        *fd_count = 0;
        errno = EMSGSIZE;
        return -1;
    }
    return received;
}
