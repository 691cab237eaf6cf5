/* Certificates for tests: made on the spot, elliptic curves for speed. */
#ifndef HARNESS_CERTIFICATES_H
#define HARNESS_CERTIFICATES_H

/* Writes <dir>/<name>.crt and <dir>/<name>.key, valid from a minute before begin_s (seconds from now) for a day.
 * issuer: a name that was made before in the same directory; NULL: it signs itself, and may sign others. password: of
 * the key, NULL: none. */
void certificate_make(const char *dir, const char *name, const char *issuer, long begin_s, const char *password);
/* Makes the directory, and in it what a server with TLS needs and its clients: ca, and of it server and client. */
void certificates_make(const char *dir);

#endif
