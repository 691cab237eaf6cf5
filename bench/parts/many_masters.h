/* Masters by the hundred for a Sentinel to watch: one thread of the benchmark that answers as they would. */
#ifndef PARTS_MANY_MASTERS_H
#define PARTS_MANY_MASTERS_H

struct many_masters;

/* `info`: what a server says to INFO; each master has a run id of its own in its place.
 * Lives as long as the process. */
struct many_masters *many_masters_start(int count, const char *info);
void many_masters_host(int number, char out[16]); /* each has an address of this machine to itself */
int many_masters_port(const struct many_masters *m);
int many_masters_seen(const struct many_masters *m); /* how many have been asked for INFO, and are listened to */
void many_masters_forget(struct many_masters *m);    /* counts again from none */

#endif
