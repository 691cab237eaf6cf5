/* Replicas whose TLS is the kernel's, so that the link process sends to them by itself. What they read they read with
 * OpenSSL: nothing can have come in clear. On a kernel without TLS most of this has nothing to test: see
 * `make test-kernel-tls`. */
#include "tests/harness/certificates.h"
#include "tests/harness/port.h"
#include "tests/harness/replication.h"
#include "tests/harness/tls_client.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(kernel_tls, .fini = server_finish_all, .timeout = 240);

#define KEYS        200
#define VALUE_BYTES 5000
#define SLOW_MS     120000 /* for some megabytes, in an emulated machine */
#define OF_KERNEL   "the kernel's from here on"
#define RELAYED     "encrypted by the server for the link process"

static char certificates[512];

struct node {
    struct server *server;
    int port; /* with TLS */
};

static void make_certificates(void)
{
    snprintf(certificates, sizeof certificates, "%.200s/%.100s", harness_root(), harness_case());
    mkdir(certificates, 0755);
    certificate_make(certificates, "ca", NULL, 0, NULL);
    certificate_make(certificates, "node", "ca", 0, NULL);
}

static struct node start(enum server_kind kind, const char *more)
{
    if (!*certificates) make_certificates();
    struct node n = {.port = port_reserve()};
    n.server = server_start(kind,
                            "tls-port %d\ntls-cert-file %s/node.crt\ntls-key-file %s/node.key\n"
                            "tls-ca-cert-file %s/ca.crt\ntls-replication yes\n%s",
                            n.port, certificates, certificates, certificates, more);
    return n;
}

/* One that is not connected can have no TLS; only a kernel that has it says so. */
static bool kernel_has_tls(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool has = setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") != 0 && errno == ENOTCONN;
    close(fd);
    return has;
}

#define NEEDS_KERNEL()                                                                                                 \
    do {                                                                                                               \
        if (!kernel_has_tls()) cr_skip("this kernel has no TLS");                                                      \
    } while (0)

static void expect_way(struct node master, long mark, bool of_kernel)
{
    server_wait_log(master.server, mark, of_kernel ? OF_KERNEL : RELAYED);
    cr_assert_not(server_log_has(master.server, mark, of_kernel ? RELAYED : OF_KERNEL));
}

/* --- in step --- */

static void stays_in_step(struct node master, struct node ours, struct node theirs, bool of_kernel)
{
    long mark = server_log_end(master.server);
    fill(master.server, "before:", 2000, 100);
    follow_port(ours.server, master.port);
    follow_port(theirs.server, master.port);
    expect_same_data(ours.server, master.server);
    expect_same_data(theirs.server, master.server);
    expect_way(master, mark, of_kernel);
    fill(master.server, "stream:", 2000, 100);
    expect_ok(master.server, "SET waited for");
    expect_integer(master.server, 2, "WAIT 2 30000");
    expect_same_data(ours.server, master.server);
    expect_same_data(theirs.server, master.server);

    struct sync_counts counts = sync_counts(master.server);
    expect_integer(master.server, 2, "CLIENT KILL TYPE replica");
    fill(master.server, "again:", 100, 50);
    wait_until(sync_counts(master.server).partial == counts.partial + 2);
    expect_same_data(ours.server, master.server);
    expect_same_data(theirs.server, master.server);
    expect_syncs(master.server, counts, 0, 2);
    expect_ok(ours.server, "REPLICAOF NO ONE");
    expect_ok(theirs.server, "REPLICAOF NO ONE");
}

Test(kernel_tls, every_version_and_cipher)
{
    NEEDS_KERNEL();
    static const char *const kinds[] = {
        "tls-protocols TLSv1.3\ntls-ciphersuites TLS_AES_128_GCM_SHA256",
        "tls-protocols TLSv1.3\ntls-ciphersuites TLS_AES_256_GCM_SHA384",
        "tls-protocols TLSv1.3\ntls-ciphersuites TLS_CHACHA20_POLY1305_SHA256",
        "tls-protocols TLSv1.2\ntls-ciphers ECDHE-ECDSA-AES128-GCM-SHA256",
        "tls-protocols TLSv1.2\ntls-ciphers ECDHE-ECDSA-AES256-GCM-SHA384",
        "tls-protocols TLSv1.2\ntls-ciphers ECDHE-ECDSA-CHACHA20-POLY1305",
    };
    struct node ours = start(OURS, ""), theirs = start(DEBIAN, "");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) stays_in_step(start(OURS, kinds[i]), ours, theirs, true);
}

/* What the kernel does not know, and what it is not asked for. */
Test(kernel_tls, others_are_relayed)
{
    struct node ours = start(OURS, ""), theirs = start(DEBIAN, "");
    stays_in_step(start(OURS, "tls-protocols TLSv1.2\ntls-ciphers ECDHE-ECDSA-AES256-SHA384"), ours, theirs, false);
    stays_in_step(start(OURS, "tls-kernel no"), ours, theirs, false);
}

/* The socket is full again and again, in the middle of records. */
Test(kernel_tls, a_replica_that_does_not_read)
{
    NEEDS_KERNEL();
    struct node master = start(OURS, "repl-backlog-size 64mb\nrepl-lz4 no"), replica = start(OURS, "");
    follow_port(replica.server, master.port);
    expect_same_data(replica.server, master.server);
    for (int i = 0; i < 3; i++) {
        server_freeze(replica.server);
        fill(master.server, "key:", 1000, 10000);
        server_thaw(replica.server);
        wait_until_within(SLOW_MS, in_step(replica.server, master.server));
        expect_same_data(replica.server, master.server);
    }
    cr_assert_eq(sync_counts(master.server).full, 1);
    cr_assert_not(server_log_has(replica.server, 0, "bad record mac"));
}

/* --- the end --- */

static bool has_lost_its_master(struct server *replica)
{
    return info_is_if_there(replica, "replication", "master_link_status", "down");
}

/* The server is killed with its link held back; a relay would have ended with it. */
static void gets_all_of_it(enum server_kind kind, const char *config)
{
    struct node master = start(OURS, config), replica = start(kind, "");
    follow_port(replica.server, master.port);
    expect_same_data(replica.server, master.server);
    pid_t link = server_link_pid(master.server);
    cr_assert_eq(kill(link, SIGSTOP), 0);
    wait_until(process_is_stopped(link));
    fill(master.server, "acknowledged:", KEYS, VALUE_BYTES);
    long long offset = info_number(master.server, "replication", "master_repl_offset");
    server_kill(master.server);
    cr_assert_not(has_lost_its_master(replica.server), "the link goes on");
    kill(link, SIGCONT);
    wait_until(has_lost_its_master(replica.server));
    cr_assert_eq(info_number(replica.server, "replication", "slave_repl_offset"), offset);
    cr_assert_eq(command_integer(replica.server, "DBSIZE"), KEYS);
    wait_until(!process_alive(link));
    cr_assert(server_log_has(master.server, 0, "1 of 1 replicas have got all that was published"));
}

Test(kernel_tls, a_killed_masters_last_words)
{
    NEEDS_KERNEL();
    gets_all_of_it(OURS, "");
    gets_all_of_it(OURS, "repl-lz4 no");
    gets_all_of_it(DEBIAN, "");
}

Test(kernel_tls, a_replica_that_goes)
{
    NEEDS_KERNEL();
    struct node master = start(OURS, "");
    for (int i = 0; i < 2; i++) {
        struct node replica = start(i ? DEBIAN : OURS, "");
        follow_port(replica.server, master.port);
        expect_same_data(replica.server, master.server);
        long mark = server_log_end(master.server);
        server_stop(replica.server);
        server_wait_log(master.server, mark, "the replica closed the connection");
    }
}

/* As a replica does, up to the first bytes that the link has sent. */
static struct tls_client *synchronize(struct node master)
{
    struct tls_client_options options = {.dir = certificates, .certificate = "node"};
    struct tls_client *c = tls_connect(master.port, &options);
    char start[11];
    cr_assert(c);
    cr_assert(tls_client_asks(c, "PING\r\n", "+PONG\r\n"));
    cr_assert(tls_client_asks(c, "REPLCONF capa eof capa psync2\r\n", "+OK\r\n"));
    cr_assert(tls_client_send(c, "PSYNC ? -1\r\n", 12));
    cr_assert_eq(tls_client_read(c, start, sizeof start), sizeof start);
    cr_assert_arr_eq(start, "+FULLRESYNC", sizeof start);
    return c;
}

Test(kernel_tls, a_replica_that_renews_its_keys)
{
    NEEDS_KERNEL();
    struct node master = start(OURS, "");
    struct tls_client *c = synchronize(master);
    expect_way(master, 0, true);
    cr_assert(tls_client_renews_keys(c));
    cr_assert(tls_client_send(c, "\n", 1));
    server_wait_log(master.server, 0, "it may have renewed its keys");
    wait_until(info_number(master.server, "replication", "connected_slaves") == 0);
    tls_client_close(c);
    c = synchronize(master);
    tls_client_close(c);
}
