/* options.tbl.h - every command, option and exit code, once. The parser (cli.c), `--help` and the
 * man page (help.c) and the shell completions (completion.c) are all made from these lists.
 *
 * CLI_COMMANDS(X): X(ID, words, operands, kind of operands, least, most, summary, text, examples)
 *     operands of kind TEXTS are any text;
 *     operands of kind WORDS are one of the names in the operand text itself ("bash|zsh");
 *     `examples`: lines of "command # what it does".
 * CLI_OPTIONS(X): X(ID, letter, name, argument, kind, values, default, commands, repeats, help)
 *     kind FLAG     no argument
 *          TEXT     any text
 *          FILE     a path (completed as one)
 *          CHOICE   one of `values`: "a|b|c"
 *          NUMBER   an integer within `values`: "least..most"
 *          ASSIGN   NAME=TEXT with a name of letters, digits, '_' and '-'
 *     `commands`: C(ID) | C(ID) ..., or GLOBAL. One name may stand in several rows if they serve
 *     different commands. `default` is what cli_text() answers when the option is not given, and
 *     is shown by the help.
 * CLI_EXITS(X): X(ID, status, meaning)
 *
 * Texts are plain ASCII sentences without a final full stop in `summary` and `help`. */
#ifndef FL_APP_OPTIONS_TBL_H
#define FL_APP_OPTIONS_TBL_H

#define CLI_MAN_DATE "November 20, 2026" /* last change of this file */

#define CLI_COMMANDS(X)                                                                            \
    X(ANALYZE, "analyze", "[PATH...]", FILES, 0, CLI_MANY,                                         \
      "say what is abnormal in logs, when it began, why, and what to do",                          \
      "Reads files, directories, globs, gzip, zstd, xz and bzip2, or standard input ('-'). The "   \
      "format of each file is found by looking at it. Without any PATH: what 'faultline serve' "   \
      "has stored, when --data, --server or --stored is given, or when standard input is a "       \
      "terminal, or nothing comes by it, and there is a data directory; else standard input.",     \
      "faultline analyze app.log                       # one file, report on the terminal\n"       \
      "faultline analyze --since 2h /var/log svc/*.gz  # the last two hours of many files\n"       \
      "kubectl logs deploy/shop | faultline analyze -  # a pipe\n"                                 \
      "faultline analyze --baseline monday.log tuesday.log  # compared with a normal day\n"        \
      "faultline analyze --format html --output report.html incident/\n"                           \
      "faultline analyze --stored --since 1h --service checkout  # what the server has stored")    \
    X(MINE, "mine", "[PATH...]", FILES, 0, CLI_MANY,                                               \
      "list the templates of logs (the statements that wrote them) with counts",                   \
      "Inputs are those of 'analyze'. With --format tsv there is one row for each line of the "    \
      "input: line number (of several inputs: input number, colon, line number), template id, "    \
      "template text.",                                                                            \
      "faultline mine app.log                      # templates, most frequent first\n"             \
      "faultline mine --top 20 --params app.log    # with the types of their parameters\n"         \
      "faultline mine --content --format tsv messages.txt")                                        \
    X(PATTERNS_DIFF, "patterns diff", "BEFORE AFTER", FILES, 2, 2,                                 \
      "compare the templates of two logs: new, gone, more, fewer",                                 \
      "BEFORE and AFTER are files, directories or globs.",                                         \
      "faultline patterns diff before.log after.log\n"                                             \
      "faultline patterns diff --format markdown v1/ v2/")                                         \
    X(DETECT_SESSIONS, "detect sessions", "", NONE, 0, 0,                                          \
      "learn normal sessions from logs and score other sessions against them",                     \
      "A session is all lines with the same key, the first group (or the whole match) of the "     \
      "--key expression. Prints key, score and verdict for each session of the --score files. "    \
      "With --sequences the files hold 'key,id id id' lines instead of logs.",                     \
      "faultline detect sessions --key 'req-[0-9a-f]+' --train normal.log --score today.log\n"     \
      "faultline detect sessions --sequences --train normal.csv --score test.csv")                 \
    X(SERVE, "serve", "", NONE, 0, 0,                                                              \
      "receive, store and answer: the server",                                                     \
      "Takes OTLP over gRPC (127.0.0.1:4317) and HTTP (127.0.0.1:4318), answers queries in the "   \
      "APIs of Loki, Prometheus and Tempo (127.0.0.1:7070), keeps everything in one directory. "   \
      "Port 0 is any free port. A line 'ready ...' with the real addresses goes to standard "      \
      "output once input is taken. SIGTERM ends it when all that was taken is stored, a second "   \
      "one at once; SIGHUP reads the configuration again.",                                        \
      "faultline serve                                # data in ./faultline-data\n"                \
      "faultline serve --config /etc/faultline/faultline.yaml\n"                                   \
      "faultline serve --api 127.0.0.1:0 --set retention.hot_days=7")                              \
    X(QUERY_LOGS, "query logs", "LOGQL", TEXTS, 1, 1,                                              \
      "log records that match, or counts of them over time",                                       \
      "LOGQL is a log query or a metric query over logs, as Loki has them. Of more records than "  \
      "--limit the newest are taken (with --oldest-first the oldest); they are printed in the "    \
      "order of time. Asks the running server, else opens the data directory for reading.",        \
      "faultline query logs '{service_name=\"checkout\"} |= \"timeout\"' --since 1h\n"             \
      "faultline query logs '{service_name=~\".+\"} | json | status >= 500' --json\n"              \
      "faultline query logs 'sum by (level) (count_over_time({app=\"web\"}[1m]))' --step 1m")        \
    X(QUERY_TRACES, "query traces", "", NONE, 0, 0, "traces that have a matching span",            \
      "All conditions must hold for one span of the trace. Newest first.",                         \
      "faultline query traces --service checkout --min-duration 2s\n"                              \
      "faultline query traces --status error --since 15m")                                         \
    X(QUERY_TRACE, "query trace", "TRACE_ID", TEXTS, 1, 1,                                         \
      "one trace as a waterfall with the time each span took itself",                              \
      "Spans on the critical path (what the trace's end waited for) carry a mark.",                \
      "faultline query trace 0af7651916cd43dd8448eb211c80319c\n"                                   \
      "faultline query trace 0af7651916cd43dd8448eb211c80319c --json  # OTLP")                     \
    X(QUERY_METRICS, "query metrics", "NAME|PROMQL", TEXTS, 1, 1,                                  \
      "metric series over time",                                                                   \
      "A bare NAME with --by is 'avg by (LABEL) (NAME)'. Values are looked for 5 minutes back "    \
      "from each step, as PromQL does; of a bare NAME over the whole step when that is longer.",   \
      "faultline query metrics process_cpu_seconds_total --since 1h\n"                             \
      "faultline query metrics queue_depth --by service_name\n"                                    \
      "faultline query metrics 'sum by (job) (rate(http_requests_total[5m]))' --step 1m")          \
    X(TAIL, "tail", "[LOGQL]", TEXTS, 0, 1, "follow log records as they are stored",               \
      "Needs a running server. Ends with Ctrl-C.",                                                 \
      "faultline tail --service checkout\n"                                                        \
      "faultline tail '{level=\"error\"} |= \"payment\"'")                                         \
    X(STATUS, "status", "", NONE, 0, 0,                                                            \
      "what the server takes in, holds and has refused, and why", "",                              \
      "faultline status\n"                                                                         \
      "faultline status --json --server http://127.0.0.1:7070")                                    \
    X(PARTITIONS, "partitions", "", NONE, 0, 0, "the store's partitions (days of arrival)", "",    \
      "faultline partitions")                                                                      \
    X(FSCK, "fsck", "", NONE, 0, 0, "verify every checksum and block of the store",                \
      "Exits with 6 when there is damage. With --repair what is damaged is set aside and the "     \
      "rest is kept; the server must not run then.",                                               \
      "faultline fsck\n"                                                                           \
      "faultline fsck --repair --data /var/lib/faultline")                                         \
    X(COMPACT, "compact", "", NONE, 0, 0, "compact everything that is stored now, and wait", "",   \
      "faultline compact")                                                                         \
    X(EXPORT, "export", "", NONE, 0, 0, "write stored telemetry as OTLP or as lines",              \
      "otlp-json has an export request a line, as the Collector's file exporter; otlp-proto has "  \
      "requests with their length before them (varint); ndjson has one flat object a record.",     \
      "faultline export --since 1d --format otlp-json --output backup.jsonl\n"                     \
      "faultline export --signal traces --service checkout --format ndjson")                       \
    X(CONFIG_VALIDATE, "config validate", "FILE", FILES, 1, 1,                                     \
      "check a configuration file", "", "faultline config validate /etc/faultline/faultline.yaml") \
    X(CONFIG_PRINT, "config print", "[FILE]", FILES, 0, 1,                                         \
      "the whole configuration with comments, defaults included", "",                              \
      "faultline config print > faultline.yaml")                                                   \
    X(CONFIG_DOCS, "config docs", "", NONE, 0, 0, "documentation of every key, as Markdown", "",   \
      "faultline config docs")                                                                     \
    X(TOKEN_NEW, "token new", "NAME", TEXTS, 1, 1,                                                 \
      "make a bearer token and the entry of auth.tokens that admits it",                           \
      "The token is shown once; the configuration holds its hash only.",                           \
      "faultline token new collector --role write")                                                \
    X(COMPLETION, "completion", "bash|zsh", WORDS, 1, 1, "print the completion script of a shell", \
      "",                                                                                          \
      "source <(faultline completion bash)\n"                                                      \
      "faultline completion zsh > ~/.zfunc/_faultline")                                            \
    X(VERSION, "version", "", NONE, 0, 0, "print the version", "", "")                             \
    X(HELP, "help", "[COMMAND]", COMMANDS, 0, 2, "explain a command, or all of them", "",          \
      "faultline help analyze\n"                                                                   \
      "faultline help --man | man -l -")

#define CLI_READS   (C(ANALYZE) | C(MINE))
#define CLI_MINES   (C(ANALYZE) | C(MINE) | C(PATTERNS_DIFF))
#define CLI_OUTPUTS (C(ANALYZE) | C(MINE) | C(PATTERNS_DIFF) | C(DETECT_SESSIONS))

/* Commands that ask the server, else open the files. */
#define CLI_ASKS                                                                                   \
    (C(QUERY_LOGS) | C(QUERY_TRACES) | C(QUERY_TRACE) | C(QUERY_METRICS) | C(TAIL) | C(STATUS) |   \
     C(PARTITIONS) | C(FSCK) | C(COMPACT) | C(EXPORT) | C(ANALYZE))
#define CLI_QUERIES (C(QUERY_LOGS) | C(QUERY_TRACES) | C(QUERY_TRACE) | C(QUERY_METRICS))
#define CLI_JSON                                                                                   \
    (CLI_QUERIES | C(TAIL) | C(STATUS) | C(PARTITIONS) | C(FSCK) | C(COMPACT))

#define CLI_OPTIONS(X)                                                                             \
    /* What is read */                                                                             \
    X(SINCE, 0, "since", "DUR|TIME", TEXT, "", "", CLI_READS, false,                               \
      "only records from this time on: a time, or a duration before the newest record (2h, 30m)")  \
    X(UNTIL, 0, "until", "DUR|TIME", TEXT, "", "", CLI_READS, false,                               \
      "only records before this time, stated like --since")                                        \
    X(SINCE_STORED, 0, "since", "DUR|TIME", TEXT, "", "",                                          \
      C(QUERY_LOGS) | C(QUERY_TRACES) | C(QUERY_METRICS) | C(EXPORT), false,                       \
      "only what is from this time on: a time, or a duration before now (2h, 30m); 1h when not "   \
      "given (export: everything)")                                                                \
    X(UNTIL_STORED, 0, "until", "DUR|TIME", TEXT, "", "",                                          \
      C(QUERY_LOGS) | C(QUERY_TRACES) | C(QUERY_METRICS) | C(EXPORT), false,                       \
      "only what is before this time, stated like --since")                                        \
    X(LOG_FORMAT, 0, "log-format", "NAME", TEXT, "", "auto", CLI_OUTPUTS, false,                   \
      "format of the input; an unknown NAME lists the known ones")                                 \
    X(CONTENT, 0, "content", "", FLAG, "", "", CLI_OUTPUTS, false,                                 \
      "lines are bare messages without a header")                                                  \
    X(TIMEZONE, 0, "timezone", "+hh:mm|UTC|local", TEXT, "", "UTC", CLI_READS, false,              \
      "zone of time stamps that state none")                                                       \
    X(SERVICE, 0, "service", "NAME", TEXT, "", "", C(ANALYZE), false,                              \
      "service of records that state none (else the name of their file)")                          \
    X(SERVICE_STORED, 0, "service", "NAME", TEXT, "", "",                                          \
      C(QUERY_TRACES) | C(TAIL) | C(EXPORT), false, "only this service (service.name)")            \
    X(STORED, 0, "stored", "", FLAG, "", "", C(ANALYZE), false,                                    \
      "analyze what is stored instead of files; --service then selects")                           \
    X(FOLLOW, 'f', "follow", "", FLAG, "", "", CLI_READS, false,                                   \
      "go on reading files that grow, until interrupted")                                          \
    X(THREADS, 0, "threads", "N", NUMBER, "0..1024", "0", CLI_MINES, false,                        \
      "worker threads; 0 is one for each processor")                                               \
    /* How it is mined */                                                                          \
    X(MASK, 0, "mask", "NAME=REGEX", ASSIGN, "", "", CLI_MINES, true,                              \
      "text that matches is a parameter, shown as <NAME>; none is needed")                         \
    X(DELIMITERS, 0, "delimiters", "CHARS", TEXT, "", "", CLI_MINES, false,                        \
      "further characters that separate words")                                                    \
    X(STATE, 0, "state", "FILE", FILE, "", "", CLI_READS, false,                                   \
      "load known templates from FILE if it exists, and save all to it at the end")                \
    /* What is compared and looked for */                                                          \
    X(BASELINE, 0, "baseline", "PATH", FILE, "", "", C(ANALYZE), true,                             \
      "logs of a normal time to compare with")                                                     \
    X(SESSION, 0, "session", "REGEX", TEXT, "", "", C(ANALYZE), false,                             \
      "lines with the same key form a session; the key is the first group, or the whole match")    \
    X(RULES, 0, "rules", "FILE", FILE, "", "", C(ANALYZE), true,                                   \
      "further rules that map evidence to causes and remedies")                                    \
    X(NO_BUILTIN_RULES, 0, "no-builtin-rules", "", FLAG, "", "", C(ANALYZE), false,                \
      "leave out the rules that come with the program")                                            \
    X(KEY, 0, "key", "REGEX", TEXT, "", "", C(DETECT_SESSIONS), false,                             \
      "what names the session of a line: the first group, or the whole match")                     \
    X(TRAIN, 0, "train", "FILE", FILE, "", "", C(DETECT_SESSIONS), true, "normal sessions")        \
    X(SCORE, 0, "score", "FILE", FILE, "", "", C(DETECT_SESSIONS), true, "sessions to judge")      \
    X(SEQUENCES, 0, "sequences", "", FLAG, "", "", C(DETECT_SESSIONS), false,                      \
      "files hold 'key,id id id' lines instead of logs")                                           \
    /* The server */                                                                               \
    X(CONFIG, 'c', "config", "FILE", FILE, "", "", C(SERVE) | C(CONFIG_PRINT), false,              \
      "configuration file (YAML)")                                                                 \
    X(DATA_DIR, 0, "data", "DIR", FILE, "", "", C(SERVE) | CLI_ASKS, false,                        \
      "directory of the store, ./faultline-data when nothing says otherwise")                      \
    X(LISTEN_GRPC, 0, "otlp-grpc", "ADDR", TEXT, "", "", C(SERVE), false,                          \
      "listen.otlp_grpc: host:port or off")                                                        \
    X(LISTEN_HTTP, 0, "otlp-http", "ADDR", TEXT, "", "", C(SERVE), false,                          \
      "listen.otlp_http: host:port or off")                                                        \
    X(LISTEN_API, 0, "api", "ADDR", TEXT, "", "", C(SERVE), false, "listen.api: host:port or off") \
    X(SET, 0, "set", "KEY=VALUE", TEXT, "", "", C(SERVE) | C(CONFIG_PRINT), true,                  \
      "override a key of the configuration")                                                       \
    X(READY_FILE, 0, "ready-file", "FILE", FILE, "", "", C(SERVE), false,                          \
      "write the real addresses as JSON to FILE once the server is ready")                         \
    X(ROLE, 0, "role", "ROLE", CHOICE, "read|write|read+write|admin", "write", C(TOKEN_NEW),       \
      false, "what the token allows")                                                              \
    /* Asking it */                                                                                \
    X(SERVER, 0, "server", "URL", TEXT, "", "", CLI_ASKS, false,                                   \
      "address of the server's API, if it does not run on this data directory")                    \
    X(TOKEN, 0, "token", "TOKEN", TEXT, "", "", CLI_ASKS, false,                                   \
      "bearer token for --server (or $FAULTLINE_TOKEN)")                                           \
    X(CA, 0, "ca", "FILE", FILE, "", "", CLI_ASKS, false,                                          \
      "certificates (PEM) that the server's is checked against")                                   \
    X(LIMIT, 0, "limit", "N", NUMBER, "1..10000000", "", C(QUERY_LOGS) | C(QUERY_TRACES), false,   \
      "records or traces at most; 100 records or 20 traces when not given")                        \
    X(OLDEST_FIRST, 0, "oldest-first", "", FLAG, "", "", C(QUERY_LOGS), false,                     \
      "the oldest records that match, not the newest")                                             \
    X(STEP, 0, "step", "DUR", TEXT, "", "", C(QUERY_LOGS) | C(QUERY_METRICS), false,               \
      "time between two values; a 60th of the range when not given")                               \
    X(BY, 0, "by", "LABEL", TEXT, "", "", C(QUERY_METRICS), true,                                  \
      "average over the series that agree in this label")                                          \
    X(SPAN_NAME, 0, "name", "NAME", TEXT, "", "", C(QUERY_TRACES), false,                          \
      "only spans of this name")                                                                   \
    X(MIN_DURATION, 0, "min-duration", "DUR", TEXT, "", "", C(QUERY_TRACES), false,                \
      "only spans that took this long or longer")                                                  \
    X(MAX_DURATION, 0, "max-duration", "DUR", TEXT, "", "", C(QUERY_TRACES), false,                \
      "only spans that took this long or less")                                                    \
    X(SPAN_STATUS, 0, "status", "STATUS", CHOICE, "ok|error|unset", "", C(QUERY_TRACES), false,    \
      "only spans of this status")                                                                 \
    X(SIGNAL, 0, "signal", "SIGNAL", CHOICE, "logs|traces|metrics|profiles", "", C(EXPORT), false, \
      "only this signal")                                                                          \
    X(REPAIR, 0, "repair", "", FLAG, "", "", C(FSCK), false,                                       \
      "set aside what is damaged and keep the rest")                                               \
    X(JSON, 0, "json", "", FLAG, "", "", CLI_JSON, false, "print JSON")                            \
    /* What is printed */                                                                          \
    X(FORMAT_REPORT, 0, "format", "FORMAT", CHOICE, "terminal|markdown|json|html", "terminal",     \
      C(ANALYZE), false, "form of the report")                                                     \
    X(FORMAT_MINE, 0, "format", "FORMAT", CHOICE, "text|tsv|json", "text", C(MINE), false,         \
      "form of the list; tsv has a row for each line of the input")                                \
    X(FORMAT_DIFF, 0, "format", "FORMAT", CHOICE, "text|json|markdown", "text", C(PATTERNS_DIFF),  \
      false, "form of the comparison")                                                             \
    X(FORMAT_SESSIONS, 0, "format", "FORMAT", CHOICE, "tsv|json", "tsv", C(DETECT_SESSIONS),       \
      false, "form of the verdicts")                                                               \
    X(FORMAT_EXPORT, 0, "format", "FORMAT", CHOICE, "otlp-json|otlp-proto|ndjson", "otlp-json",    \
      C(EXPORT), false, "form of the export")                                                      \
    X(OUTPUT, 'o', "output", "FILE", FILE, "", "", CLI_OUTPUTS | C(EXPORT), false,                             \
      "write to FILE instead of standard output")                                                  \
    X(LANG, 0, "lang", "LANGUAGE", CHOICE, "en|zh", "en", C(ANALYZE), false,                       \
      "language of the report")                                                                    \
    X(WIDTH, 0, "width", "N", NUMBER, "20..1000", "", C(ANALYZE), false,                           \
      "columns of the terminal report, if not those of the terminal")                              \
    X(MAX_FINDINGS, 0, "max-findings", "N", NUMBER, "1..4096", "20", C(ANALYZE), false,            \
      "findings that the report lists at most")                                                    \
    X(TOP, 0, "top", "N", NUMBER, "1..1000000000", "", C(MINE), false,                             \
      "only the N most frequent templates")                                                        \
    X(PARAMS, 0, "params", "", FLAG, "", "", C(MINE), false,                                       \
      "show names and types of the parameters")                                                    \
    X(MIN_COUNT, 0, "min-count", "N", NUMBER, "1..1000000000000", "1", C(PATTERNS_DIFF), false,    \
      "only templates with N or more lines on either side")                                        \
    /* How it ends */                                                                              \
    X(FAIL_ON, 0, "fail-on", "LEVEL", CHOICE, "low|medium|high|critical", "", C(ANALYZE), false,   \
      "exit with 1 when there is a finding of this level or above")                                \
    X(STRICT, 0, "strict", "", FLAG, "", "", CLI_OUTPUTS, false,                                   \
      "exit with 5 when some input was skipped or read in part")                                   \
    /* Documentation, completion */                                                                \
    X(MAN, 0, "man", "", FLAG, "", "", C(HELP), false, "print the man page (mdoc source)")         \
    /* Everywhere */                                                                               \
    X(COLOR, 0, "color", "WHEN", CHOICE, "auto|always|never", "auto", GLOBAL, false,               \
      "colour on the terminal; auto heeds NO_COLOR and TERM")                                      \
    X(QUIET, 'q', "quiet", "", FLAG, "", "", GLOBAL, false,                                        \
      "no progress and no notes on standard error, only failures")                                 \
    X(LOG_LEVEL, 0, "log-level", "LEVEL", CHOICE, "error|warn|info|debug", "error", GLOBAL, false, \
      "log the program's own decisions on standard error, a line of key=value each")               \
    X(SHOW_HELP, 'h', "help", "", FLAG, "", "", GLOBAL, false, "explain the command and exit")     \
    X(SHOW_VERSION, 'V', "version", "", FLAG, "", "", GLOBAL, false, "print the version and exit")

#define CLI_EXITS(X)                                                                               \
    X(OK, 0, "done; also when something abnormal was found")                                       \
    X(FOUND, 1, "with --fail-on only: something abnormal of that level was found")                 \
    X(USAGE, 2, "the command line is wrong")                                                       \
    X(NO_INPUT, 3, "no input could be read")                                                       \
    X(NO_OUTPUT, 4, "the output could not be written")                                             \
    X(PARTIAL, 5, "with --strict only: some input was skipped or read in part")                    \
    X(DAMAGED, 6, "fsck found damage, or a repair left some")                                      \
    X(FAILED, 7, "the server could not do what it was asked, or stopped working")                  \
    X(INTERRUPTED, 130, "stopped by a signal before there was a result")

#endif
