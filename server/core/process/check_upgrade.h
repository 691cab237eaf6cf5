/* redis-server --check-upgrade DIR|HOST:PORT: what a directory or a running server uses that this server lacks, and
 * what would be lost on the way back. */
#ifndef SLIPSTREAM_CORE_PROCESS_CHECK_UPGRADE_H
#define SLIPSTREAM_CORE_PROCESS_CHECK_UPGRADE_H

struct command_table;

/* Its main(). 0: nothing is lacking; 1: something is; 2: it could not be looked at. Only reads. */
int check_upgrade_main(int argc, char **argv, const struct command_table *commands);

/* check_upgrade_server.c; counts what is lacking, -1: it could not be asked. */
int check_upgrade_server(const char *host, int port, const struct command_table *commands);

/* One line of the report, and one that counts. */
void check_upgrade_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
int check_upgrade_lacks(const char *format, ...) __attribute__((format(printf, 1, 2))); /* 1 */

#endif
