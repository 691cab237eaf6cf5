/* The log, in Redis's line format: `<pid>:<role> <DD Mon YYYY HH:MM:SS.mmm> <. - * #> <message>`.
 *
 * One per process. Roles: M master, S replica, C child, X sentinel, L link, J journal. `%.*s` takes slices. People and
 * tools wait for some lines; those keep Redis's words. */
#ifndef SLIPSTREAM_BASE_LOG_H
#define SLIPSTREAM_BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING, LOG_NOTHING };

/* path NULL or "" = stdout. Opens for append at each line, as Redis does, so that rotation by rename works. */
void log_open(const char *path, enum log_level least);
void log_set_level(enum log_level least);
enum log_level log_get_level(void);
void log_set_role(char role);
void log_set_syslog(int enabled, const char *ident, const char *facility);
const char *log_path(void);
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__)
#define log_verbose(...) log_write(LOG_VERBOSE, __VA_ARGS__)
#define log_notice(...)  log_write(LOG_NOTICE, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)

#endif
