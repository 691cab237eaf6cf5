/* The replication protocol's words, once, for both ends: who sends them and who understands them cannot differ. Server
 * process, as master and as replica, and the link process; words alone, no code.
 *
 *   replica                                   master
 *     AUTH [user] password
 *     PING                                      +PONG
 *     REPLCONF listening-port N                 +OK
 *     REPLCONF ip-address A                     +OK
 *     REPLCONF capa C capa C ...                +OK
 *     REPLCONF version V                        +OK, or an error: only Valkey's from 8.1 on, and ours, know it
 *     PSYNC id offset [FAILOVER]                +CONTINUE [id], the stream
 *                                               +FULLRESYNC id offset [reach], a snapshot, the stream
 *     SYNC                                      a snapshot, the stream
 *
 * A snapshot is "$<length>" and so many bytes, or "$EOF:<mark>", bytes, and the mark again; before it any number of
 * line ends that only say that the master is alive. In the stream the master may ask REPLCONF GETACK *; the replica
 * says REPLCONF ACK <offset> [FACK <offset>] unasked, too. Where both have named it, LZ4 frames hold everything behind
 * the answer to PSYNC. A snapshot may be older than the request for it: `reach`, for who has named slipstream-reach, is
 * where the stream stood then. */
#ifndef SLIPSTREAM_REPL_WIRE_H
#define SLIPSTREAM_REPL_WIRE_H

/* --- requests --- */
#define WIRE_AUTH       "AUTH"
#define WIRE_PING       "PING" /* of a replica that comes; of its master, in the stream, as a sign of life */
#define WIRE_PSYNC      "PSYNC"
#define WIRE_FAILOVER   "FAILOVER" /* behind PSYNC: the receiver is to take over */
#define WIRE_SYNC       "SYNC"
#define WIRE_NO_HISTORY "?" /* PSYNC's id of one that has nothing to continue; its offset is: */
#define WIRE_NO_OFFSET  "-1"
#define WIRE_REPLCONF   "REPLCONF"

/* --- REPLCONF's options --- */
#define WIRE_LISTENING_PORT  "listening-port"
#define WIRE_IP_ADDRESS      "ip-address"
#define WIRE_CAPA            "capa"
#define WIRE_RDB_ONLY        "rdb-only"
#define WIRE_RDB_FILTER_ONLY "rdb-filter-only"
#define WIRE_FILTER_FUNCTION "functions" /* of rdb-filter-only */
#define WIRE_VERSION         "version"
#define WIRE_OUR_VERSION     "9.0.0" /* Valkey's first with hash field TTLs: it sends VALKEY080 to no one below */
#define WIRE_ACK             "ACK"
#define WIRE_FACK            "FACK" /* what is on the replica's disk */
#define WIRE_GETACK          "GETACK"

/* --- capabilities --- */
#define WIRE_CAPA_EOF    "eof"    /* understands a snapshot that ends with a mark */
#define WIRE_CAPA_PSYNC2 "psync2" /* understands +CONTINUE with an id */
#define WIRE_CAPA_LZ4    "slipstream-lz4"
#define WIRE_CAPA_REACH  "slipstream-reach" /* understands +FULLRESYNC with a third word */
/* Redis 8, as "dual-channel" is Valkey's: a second connection for the snapshot. It is asked for by the master's answer
 * to PSYNC, which ours never does: then both take the snapshot in this one. It tells Redis 8 from older ones. */
#define WIRE_CAPA_RDB_CHANNEL "rdb-channel-repl"

/* --- answers --- */
#define WIRE_CONTINUE          "+CONTINUE"
#define WIRE_CONTINUE_ANSWER   WIRE_CONTINUE "\r\n"
#define WIRE_CONTINUE_AS       WIRE_CONTINUE " %s\r\n" /* id */
#define WIRE_FULLRESYNC        "+FULLRESYNC"
#define WIRE_FULLRESYNC_ANSWER WIRE_FULLRESYNC " %s %llu\r\n"      /* id, offset as unsigned long long */
#define WIRE_FULLRESYNC_REACH  WIRE_FULLRESYNC " %s %llu %llu\r\n" /* ... and reach */

/* --- refusals, of masters of any age, by which a replica tells them apart --- */
#define WIRE_NOT_LOGGED_IN     "-NOAUTH"
#define WIRE_NOT_PERMITTED     "-NOPERM"
#define WIRE_WRONG_PASSWORD    "-WRONGPASS"
#define WIRE_PROTECTED         "-DENIED"
#define WIRE_NOT_PERMITTED_OLD "-ERR operation not permitted" /* before Redis 2.8 */
#define WIRE_UNKNOWN_COMMAND   "-ERR unknown command"

/* --- a snapshot's frame --- */
#define WIRE_MARK_BYTES     40
#define WIRE_MARK_PREFIX    "$EOF:"
#define WIRE_MARK_HEADER    WIRE_MARK_PREFIX "%.*s\r\n" /* WIRE_MARK_BYTES, the mark */
#define WIRE_LENGTH_PREFIX  '$'
#define WIRE_LENGTH_HEADER  "$%llu\r\n" /* unsigned long long */
#define WIRE_LZ4_FIRST_BYTE 0x04        /* of an LZ4 frame's magic number, as it stands on the wire */
#define WIRE_ALIVE          "\n"

#endif
