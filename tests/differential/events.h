/* The keyspace events of one server, as a listener of its own hears them: class, database, key and order.
 *
 * Every kind is asked for (KEY_EVENTS is the setting's value). What expires by itself is left out: when that is seen is
 * each server's own affair, and written cases listen for it themselves. */
#ifndef DIFFERENTIAL_EVENTS_H
#define DIFFERENTIAL_EVENTS_H

#include "tests/differential/channel.h"

#define KEY_EVENTS "KEAmn"

struct events {
    struct channel channel;
    char *heard; /* owned; one line an event; NULL: not listening */
    int barriers;
};

/* Listens from now on; a second call only reconnects a channel that is closed. */
void events_listen(struct events *e, const struct server *s);
void events_close(struct events *e);
/* What has been heard since the last call, up to what the server has told by now; the caller may
 * change it until the next call. That the server did not answer in time is a line, too. */
char *events_take(struct events *e, int bound_ms);

#endif
