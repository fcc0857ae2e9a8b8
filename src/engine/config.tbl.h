/* config.tbl.h - every key of faultline.yaml, once: the parser, the defaults, `config print`,
 * `config validate` and docs/configuration.md are made from these lists.
 *
 * CONFIG_SECTIONS(X): X(name, help), in the order of the documentation.
 * CONFIG_KEYS(X): X(key, kind, values, default, reload, help), grouped by section.
 *     kind BOOL      true | false
 *          INT       an integer within `values`: "least..most"
 *          DURATION  "30s", "15m", "1h30m" within `values`
 *          BYTES     "512", "64KiB", "2GiB" within `values`
 *          TEXT      any text
 *          PATH      a file or directory
 *          ADDRESS   "host:port", "[ipv6]:port", ":port" (all interfaces) or "off"; port 0 = any
 *          CHOICE    one of `values`: "a|b|c"
 *          LIST      texts
 *     default as it would be written in the file (a LIST: empty)
 *     reload: LIVE  a new value is taken over by SIGHUP; START: when the program starts
 * Texts are plain ASCII without a final full stop. */
#ifndef FL_ENGINE_CONFIG_TBL_H
#define FL_ENGINE_CONFIG_TBL_H

#define CONFIG_SECTIONS(X)                                                                         \
    X("listen", "Where the server listens. Other than loopback addresses need auth.tokens")        \
    X("data", "Where telemetry is kept")                                                           \
    X("tls", "Certificates. Set for all listeners, or for one (tls.api.cert ...); a cert of "      \
             "'none' keeps one listener plain. Files are read again by SIGHUP")                    \
    X("auth", "Who may do what")                                                                   \
    X("retention", "How long telemetry is kept")                                                   \
    X("limits", "The stated maximum of everything that comes in. What is over one is answered "    \
                "with 413, 429, 431, 408 or 503 (gRPC: RESOURCE_EXHAUSTED, UNAVAILABLE)")          \
    X("store", "How telemetry is written")                                                         \
    X("engine", "Threads")                                                                         \
    X("query", "Limits of one query. Beyond them the answer is partial and says so")               \
    X("tail", "Files that are followed; where they stand is kept in the store")                    \
    X("syslog", "Limits of the syslog listeners")                                                  \
    X("self", "The server's own logs and traces, kept like everybody's as service faultline")      \
    X("log", "The server's log on standard error")

#define CONFIG_KEYS(X)                                                                             \
    X("listen.otlp_grpc", ADDRESS, "", "127.0.0.1:4317", START,                                    \
      "OTLP over gRPC (OTLP over HTTP is answered here as well)")                                  \
    X("listen.otlp_http", ADDRESS, "", "127.0.0.1:4318", START,                                    \
      "OTLP over HTTP, protobuf or JSON (gRPC is answered here as well)")                          \
    X("listen.api", ADDRESS, "", "127.0.0.1:7070", START,                                          \
      "queries (Loki's, Prometheus' and Tempo's APIs), status, metrics, remote write")             \
    X("listen.syslog_udp", ADDRESS, "", "off", START, "syslog RFC 3164 and 5424 over UDP")         \
    X("listen.syslog_tcp", ADDRESS, "", "off", START,                                              \
      "syslog over TCP, octet-counted or a message a line")                                        \
    X("listen.syslog_tls", ADDRESS, "", "off", START, "syslog over TLS; needs a certificate")      \
    X("data.dir", PATH, "", "faultline-data", START, "directory of the store; made when missing")  \
    X("data.cold_dir", PATH, "", "", START,                                                        \
      "where partitions older than retention.hot_days move; empty is the directory cold in "       \
      "data.dir")                                                                                  \
    X("tls.cert", PATH, "", "", LIVE, "certificate chain (PEM); empty is no TLS")                  \
    X("tls.key", PATH, "", "", LIVE, "private key (PEM)")                                          \
    X("tls.client_ca", PATH, "", "", LIVE,                                                         \
      "when set, clients must show a certificate of this authority (mTLS)")                        \
    X("tls.otlp_grpc.cert", PATH, "", "", LIVE, "for listen.otlp_grpc instead of tls.cert")        \
    X("tls.otlp_grpc.key", PATH, "", "", LIVE, "its private key")                                  \
    X("tls.otlp_grpc.client_ca", PATH, "", "", LIVE, "its authority of clients")                   \
    X("tls.otlp_http.cert", PATH, "", "", LIVE, "for listen.otlp_http instead of tls.cert")        \
    X("tls.otlp_http.key", PATH, "", "", LIVE, "its private key")                                  \
    X("tls.otlp_http.client_ca", PATH, "", "", LIVE, "its authority of clients")                   \
    X("tls.api.cert", PATH, "", "", LIVE, "for listen.api instead of tls.cert")                    \
    X("tls.api.key", PATH, "", "", LIVE, "its private key")                                        \
    X("tls.api.client_ca", PATH, "", "", LIVE, "its authority of clients")                         \
    X("tls.syslog.cert", PATH, "", "", START, "for listen.syslog_tls instead of tls.cert")         \
    X("tls.syslog.key", PATH, "", "", START, "its private key")                                    \
    X("tls.syslog.client_ca", PATH, "", "", START, "its authority of clients")                     \
    X("auth.tokens", LIST, "", "", LIVE,                                                           \
      "bearer tokens as name:role:sha256 in hexadecimal; roles are read, write, admin and "        \
      "read+write. 'faultline token new' makes one. Without any, everybody who can connect may "   \
      "do everything")                                                                             \
    X("auth.allow_anonymous", BOOL, "", "false", START,                                            \
      "let other machines read and write without a token (administration stays refused)")          \
    X("retention.hot_days", INT, "1..36500", "30", START,                                          \
      "age in days at which a partition moves to data.cold_dir")                                   \
    X("retention.cold_days", INT, "1..36500", "90", START,                                         \
      "age in days at which a partition is deleted")                                               \
    X("retention.max_bytes", BYTES, "0..1EiB", "0", START,                                         \
      "bytes of all partitions beyond which the oldest is deleted; 0 is no limit")                 \
    X("retention.min_free", BYTES, "0..1EiB", "0", START,                                          \
      "free space of the disk below which the oldest closed partition is deleted; 0 is 1 GiB or "  \
      "1% of the disk, the smaller")                                                               \
    X("limits.memory", BYTES, "16MiB..1TiB", "128MiB", LIVE,                                       \
      "telemetry that is decoded and not stored yet; beyond it senders are told to come back")     \
    X("limits.inflight", BYTES, "1MiB..1TiB", "64MiB", START,                                      \
      "request bodies held at once; beyond it connections are not read")                           \
    X("limits.body", BYTES, "1KiB..1GiB", "64MiB", START,                                          \
      "one request body, before and after decompression")                                          \
    X("limits.decompression_ratio", INT, "10..100000", "1000", START,                              \
      "how much larger than sent a body over 1 MiB may become")                                    \
    X("limits.connections", INT, "1..1000000", "10000", START, "open connections")                 \
    X("limits.streams", INT, "1..10000", "128", START, "requests at once on an HTTP/2 connection") \
    X("limits.header_bytes", BYTES, "1KiB..1MiB", "32KiB", START, "all headers of a request")      \
    X("limits.headers", INT, "8..10000", "128", START, "number of headers of a request")           \
    X("limits.header_timeout", DURATION, "100ms..1h", "10s", START,                                \
      "from the first byte of a request to the end of its headers")                                \
    X("limits.body_timeout", DURATION, "100ms..1h", "30s", START, "without a byte of the body")    \
    X("limits.idle_timeout", DURATION, "1s..24h", "2m", START, "connections without a request")    \
    X("limits.body_rate", BYTES, "1..1GiB", "256", START,                                          \
      "bytes a second that a body must come with after its first 10 s")                            \
    X("limits.jobs", INT, "8..1000000", "1024", START,                                             \
      "requests that wait for a worker; beyond it they are told to come back")                     \
    X("store.queue", BYTES, "1MiB..1TiB", "32MiB", START,                                          \
      "telemetry that waits to be written; beyond it senders are told to come back")               \
    X("store.cache", BYTES, "1MiB..1TiB", "32MiB", START, "decoded columns kept for queries")      \
    X("store.journal", BYTES, "1MiB..16GiB", "64MiB", START,                                       \
      "a journal of this size is compacted")                                                       \
    X("store.journal_age", DURATION, "1s..24h", "60s", START,                                      \
      "a journal without a write for this long is compacted (and one 15 times as old)")            \
    X("store.backlog", BYTES, "64MiB..1TiB", "1GiB", START,                                        \
      "journals that may wait for a quiet moment to be compacted")                                 \
    X("engine.workers", INT, "0..1024", "0", START,                                                \
      "threads that decode large requests and run queries; 0 is one for each processor")           \
    X("engine.net_threads", INT, "0..64", "0", START,                                              \
      "threads that own connections; 0 is one for two processors, at most 4")                      \
    X("query.timeout", DURATION, "10ms..24h", "60s", LIVE, "time a query may take")                \
    X("query.max_bytes", BYTES, "0..1EiB", "0", LIVE,                                              \
      "bytes a query may read and decode; 0 is no limit")                                          \
    X("query.max_series", INT, "1..10000000", "10000", LIVE, "series of an answer")                \
    X("query.max_records", INT, "1..10000000", "100000", LIVE,                                     \
      "records of an answer, whatever limit is asked for")                                         \
    X("tail.paths", LIST, "", "", START,                                                           \
      "files, directories and globs to follow; new files that match are picked up")                \
    X("tail.from_start", BOOL, "", "true", START,                                                  \
      "read files seen for the first time from their beginning, not from their end")               \
    X("syslog.max_message", BYTES, "480..16MiB", "64KiB", START, "bytes of one message")           \
    X("syslog.max_connections", INT, "1..1000000", "1024", START, "open TCP and TLS connections")  \
    X("self.logs", BOOL, "", "true", LIVE, "keep own log lines of level info and above")           \
    X("self.trace_one_in", INT, "0..1000000000", "100", LIVE,                                      \
      "keep a span of one request in this many, at most ten a second; 0 is none")                  \
    X("log.level", CHOICE, "error|warn|info|debug", "info", LIVE, "least level that is written")

#endif
