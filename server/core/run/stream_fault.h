/* A request of our master's stream that we could not apply: whether it may be passed over.
 * Server process of the replica.
 *
 * What a master sends has changed its data. Where the same request is unknown here, or ends in an error, ours have not
 * changed in the same way, unless one of these holds; then it is told, counted, and passed over, as by Redis:
 *
 *   - its command writes nothing (a second MULTI, a PING that we do not like);
 *   - it has changed data here as well: a script that the master sent as it is, and that failed behind its writes
 *     there, fails in the same place here;
 *   - clients may write here (replica-read-only no): whoever lets them answers for what then stands in a write's way.
 *     What is unknown, or has another number of arguments than we know, no client's write explains;
 *   - replica-unknown-command says ignore.
 *
 * Else the stream ends in front of it. What becomes of the link is decided in repl/replica_stream.c. */
#ifndef SLIPSTREAM_CORE_RUN_STREAM_FAULT_H
#define SLIPSTREAM_CORE_RUN_STREAM_FAULT_H

#include <stdint.h>

#define STREAM_FAULT_BYTES 800 /* of the reason, with its end */

struct core;
struct request;
struct session;
struct stream_faults;

struct stream_faults *stream_faults_new(void);
/* After a request of the stream, or of an EXEC in it, that was answered with an error. changes_before: of the dataset,
 * before that request. Sets stream_broken of the session where it may not be passed over. An error that was judged
 * inside of EXEC is not judged again behind it. */
void stream_fault_judge(struct core *core, struct session *s, const struct request *r, uint64_t changes_before);
/* Why the stream has ended, as one line of printable text; "" before. */
const char *stream_fault_reason(const struct stream_faults *f);
void stream_fault_say(struct stream_faults *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
void stream_faults_forget(struct stream_faults *f);     /* another stream begins */
char *stream_fault_error_room(struct stream_faults *f); /* for struct reply's error_text */

#endif
