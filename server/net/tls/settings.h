/* What the configuration says about TLS. Owned by core/settings.h. Texts are never NULL; empty: not given. */
#ifndef SLIPSTREAM_NET_TLS_SETTINGS_H
#define SLIPSTREAM_NET_TLS_SETTINGS_H

#include <stdbool.h>

enum tls_client_certificates { TLS_CLIENTS_NO, TLS_CLIENTS_YES, TLS_CLIENTS_OPTIONAL };

struct tls_settings {
    int tls_port; /* 0: none */
    char *cert_file, *key_file, *key_file_pass;
    char *client_cert_file, *client_key_file, *client_key_file_pass; /* for who connects; empty: the server's */
    char *dh_params_file;
    char *ca_cert_file, *ca_cert_dir;
    int auth_clients; /* enum tls_client_certificates */
    bool tls_replication, tls_cluster;
    char *protocols, *ciphers, *ciphersuites; /* ciphers: up to TLS 1.2 */
    bool prefer_server_ciphers;
    bool session_caching;
    int session_cache_size, session_cache_timeout_s;
    int handshake_timeout_s; /* a client's; ours */
    bool kernel;             /* may have the TLS of replicas; ours */
};

#endif
