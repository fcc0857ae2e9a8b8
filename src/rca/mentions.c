/* mentions.c - finds the names of others in a log record.
 *
 * Problem: the call graph of a system is rarely written down, but failing components name what they
 * wait for: "HikariPool-1 - Connection is not available", "POST http://payment:8080/charge: timed
 * out", "dial tcp 10.0.3.7:6379". A dead dependency often writes nothing itself, so such a name can
 * be all there is.
 *
 * One walk over the text, line by line (stack frames are skipped: they name classes, not peers).
 * It cuts words at everything but letters, digits, '_' and '-', and looks each up in two tables:
 *
 *   known names    folded: lower case without '-', '_': "order-service", "OrderService" and
 *                  "order_service-7f9c" (a prefix that ends at '-') are the same. A name that is a
 *                  plain word ("payment") would be found in any prose, so it counts only where the
 *                  text treats it as a peer: "payment:8080", "//payment/", "calling payment",
 *                  "payment service", "payment answered". Generic ones ("api"): as a host only.
 *   dependencies   deps[] below: exact words and prefixes, plus well-known ports; idioms[].
 *
 * Hosts: the authority of a URL, host:port, and domain names with a usual last label. The first
 * label of a host may be a known name or a dependency; else it is an external host. Links to
 * documentation and the requester's own address are left out.
 *
 * "request from x", "client x" name a caller: `incoming`.
 *
 * Limits: names that are common words are found only in the contexts listed; addresses (10.0.3.7)
 * are not resolved. Rejected: learning the graph from time alone (it confuses cause and symptom).
 */
#include "rca/mentions.h"

#include "base/mem.h"
#include "base/num.h"

enum { TOKEN_MAX = 64, KEYS_MAX = MENTION_NAMES_MAX * 4, KEY_TEXT_MAX = 8 << 20 };

typedef struct dependency {
    const char *name;
    unsigned port;      /* 0 = none */
    const char *tokens; /* separated by spaces; `*` at the end: prefix */
} dependency;

static const dependency deps[] = {
    {"redis", 6379, "redis* jedis* lettuce redisson ioredis sentinel"},
    {"mysql", 3306, "mysql* mariadb* innodb"},
    {"postgresql", 5432, "postgres* psql* pgbouncer pgpool pgx"},
    {"mongodb", 27017, "mongo*"},
    {"kafka", 9092, "kafka*"},
    {"rabbitmq", 5672, "rabbitmq* amqp*"},
    {"zookeeper", 2181, "zookeeper*"}, /* text: the product */
    {"elasticsearch", 9200, "elasticsearch* opensearch*"},
    {"cassandra", 9042, "cassandra* scylla*"},
    {"memcached", 11211, "memcache*"},
    {"etcd", 2379, "etcd*"},
    {"consul", 8500, "consul*"},
    {"nats", 4222, "nats jetstream"},
    {"pulsar", 6650, "pulsar*"},
    {"clickhouse", 0, "clickhouse*"},
    {"oracle", 1521, "oracle* ojdbc*"},
    {"sqlserver", 1433, "sqlserver* mssql*"},
    {"rocketmq", 9876, "rocketmq*"},
    {"activemq", 61616, "activemq*"},
    {"nacos", 8848, "nacos*"},
    {"eureka", 8761, "eureka*"},
    {"vault", 8200, "vault"},
    {"minio", 0, "minio*"},
    {"s3", 0, "s3 amazons3*"},
    {"dynamodb", 0, "dynamodb*"},
    {"ldap", 389, "ldap*"},
    {"smtp", 25, "smtp"},
    {"dns", 53, "coredns"},
    {"openai", 0, "openai"},
    {"anthropic", 0, "anthropic"},
    /* Client-side pools that do not say which database: resolved by rca when only one is named. */
    {"database", 0,
     "hikari* jdbc* dbcp* c3p0 sqlalchemy datasource* sql sqlstate sqlexception* hibernate*"},
};

/* What only the drivers of one product say, often without its name. */
static const struct {
    const char *phrase, *name;
} idioms[] = {
    {"communications link failure", "mysql"},
    {"too many clients already", "postgresql"},
    {"remaining connection slots are reserved", "postgresql"},
    {"command not allowed when used memory", "redis"},
};

static const char *const generic_names[] = {
    "app",   "application", "main",   "server", "service", "services", "system",  "kernel",
    "log",   "logs",        "error",  "errors", "default", "unknown",  "root",    "worker",
    "stdin", "stdout",      "stderr", "api",    "web",     "client",   "java",    "python",
    "node",  "http",        "tcp",    "info",   "debug",   "warn",     "message", "messages",
};

static const char *const peer_before[] = {
    "to",        "calling",    "call",       "upstream", "service", "host",   "backend",
    "target",    "dependency", "peer",       "against",  "contact", "server", "destination",
    "container", "pod",        "deployment", "unit",     "instance"};
static const char *const peer_after[] = {"service",  "svc",       "server",      "backend",
                                         "upstream", "api",       "answered",    "returned",
                                         "replied",  "responded", "unavailable", "unreachable"};
static const char *const caller_before[] = {"client",   "caller",  "consumer", "requester",
                                            "referrer", "referer", "useragent"};
static const char *const from_before[] = {"request", "requests", "call",     "calls",
                                          "called",  "traffic",  "message",  "messages",
                                          "coming",  "accepted", "received", "connection"};
static const char *const host_labels[] = {"com", "net", "org",   "io",  "local", "internal",
                                          "lan", "cn",  "cloud", "svc", "corp",  "dev"};
static const char *const file_labels[] = {"java", "py",  "go", "js",    "ts", "c",
                                          "cc",   "cpp", "rb", "cs",    "rs", "php",
                                          "kt",   "h",   "so", "scala", "log"};

/* Where a name counts: anywhere; where the text treats it as a peer; as the host of an address. */
typedef enum name_class { ANYWHERE = 0, AS_PEER, AS_HOST } name_class;

static char fold(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_alnum(char c) {
    char f = fold(c);
    return (f >= 'a' && f <= 'z') || is_digit(c) || (unsigned char)c >= 0x80;
}
static bool is_token(char c) { return is_alnum(c) || c == '_' || c == '-'; }
static bool is_host(char c) { return is_alnum(c) || c == '-' || c == '.' || c == '_'; }

static bool in_list(str s, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (str_eq_nocase(s, str_c(list[i]))) return true;
    }
    return false;
}
#define IN(s, list) in_list((s), (list), ARRAY_LEN(list))

/* Lower case, '-' and '_' dropped. Returns the length; 0 when longer than TOKEN_MAX. */
static size_t fold_name(str s, char out[TOKEN_MAX]) {
    if (s.n > TOKEN_MAX) return 0;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '-' && s.p[i] != '_') out[n++] = fold(s.p[i]);
    }
    return n;
}

void name_book_init(name_book *b) {
    memset(b, 0, sizeof(*b));
    intern_init(&b->keys, "name book", KEYS_MAX, KEY_TEXT_MAX);
    b->cap = KEYS_MAX;
    b->names = mem_new_n(str, b->cap);
    b->where = mem_new_n(uint8_t, b->cap);
}

void name_book_release(name_book *b) {
    if (!b->names) return;
    intern_release(&b->keys);
    mem_free(b->names);
    mem_free(b->where);
    memset(b, 0, sizeof(*b));
}

static void add_key(name_book *b, str key, str name, name_class where) {
    char folded[TOKEN_MAX];
    size_t n = fold_name(key, folded);
    if (n < 2) return;
    size_t before = b->keys.count;
    uint32_t id = intern_put(&b->keys, str_make(folded, n));
    if (id == INTERN_NONE || id < before) return; /* the first name keeps the key */
    b->names[id] = name;
    b->where[id] = (uint8_t)where;
}

static bool plain_word(str s) {
    bool upper_inside = false;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_alnum(s.p[i]) || is_digit(s.p[i])) return false;
        upper_inside |= i > 0 && s.p[i] >= 'A' && s.p[i] <= 'Z';
    }
    return !upper_inside;
}

void name_book_add(name_book *b, str name) {
    /* A dotted name (a logger, a domain) is known by its last segment that is not a mere label. */
    str last = name;
    for (size_t dot; (dot = str_rfind_char(last, '.')) != STR_NPOS;) {
        if (!IN(str_from(last, dot + 1), host_labels)) {
            last = str_from(last, dot + 1);
            break;
        }
        last = str_sub(last, 0, dot);
    }
    if (last.n < 2) return;
    if (IN(last, generic_names)) {
        add_key(b, last, name, AS_HOST);
        return;
    }
    bool plain = plain_word(last) && mention_dependency_of(last).n == 0;
    add_key(b, last, name, plain ? AS_PEER : ANYWHERE);
    static const char *const ends[] = {"-service", "_service", "service", "-svc",
                                       "-server",  "-api",     "-app"};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        str end = str_c(ends[i]);
        if (last.n < end.n + 3 || !str_eq_nocase(str_from(last, last.n - end.n), end)) continue;
        str stem = str_sub(last, 0, last.n - end.n);
        if (!IN(stem, generic_names)) add_key(b, stem, name, AS_PEER);
        break;
    }
}

static bool token_is(str token, str pattern) {
    if (pattern.n > 0 && pattern.p[pattern.n - 1] == '*') {
        return str_starts_nocase(token, str_sub(pattern, 0, pattern.n - 1));
    }
    return str_eq_nocase(token, pattern);
}

static str dependency_of_token(str token) {
    for (size_t i = 0; i < ARRAY_LEN(deps); i++) {
        str rest = str_c(deps[i].tokens), pattern;
        while (str_next(&rest, ' ', &pattern)) {
            if (token_is(token, pattern)) return str_c(deps[i].name);
        }
    }
    return STR_NONE;
}

str mention_dependency_of(str name) {
    /* Any part between '-', '_' and '.' may say it: "prod-redis-0". */
    for (size_t i = 0; i < name.n;) {
        size_t end = i;
        while (end < name.n && is_alnum(name.p[end])) end++;
        str dep = end > i ? dependency_of_token(str_sub(name, i, end - i)) : STR_NONE;
        if (dep.n) return dep;
        i = end + 1;
    }
    return STR_NONE;
}

static str dependency_of_port(uint64_t port) {
    for (size_t i = 0; port && i < ARRAY_LEN(deps); i++) {
        if (deps[i].port == port) return str_c(deps[i].name);
    }
    return STR_NONE;
}

typedef struct finder {
    const name_book *book;
    str line;
    arena *out;
    mention *ret;
    size_t count;
    str before, before2; /* the two words before the token at hand */
} finder;

static void found(finder *f, mention_kind kind, str name, bool incoming) {
    for (size_t i = 0; i < f->count; i++) {
        if (str_eq(f->ret[i].name, name)) {
            f->ret[i].incoming &= incoming;
            return;
        }
    }
    if (f->count < MENTIONS_MAX) f->ret[f->count++] = (mention){kind, name, incoming};
}

static bool names_caller(const finder *f) {
    if (IN(f->before, caller_before)) return true;
    bool from = str_eq_nocase(f->before, S("from")) || str_eq_nocase(f->before, S("by"));
    return from && (IN(f->before2, from_before) || IN(f->before2, caller_before));
}

static str next_word(str line, size_t at) {
    while (at < line.n && !is_token(line.p[at])) at++;
    size_t end = at;
    while (end < line.n && is_token(line.p[end])) end++;
    return str_sub(line, at, end - at);
}

/* Whether the text at [from, to) is treated as a peer: needed for plain words. */
static bool peer_context(const finder *f, size_t from, size_t to) {
    str l = f->line;
    if (from > 0 && (l.p[from - 1] == '/' || l.p[from - 1] == '@')) {
        return from > 1 && (l.p[from - 1] == '@' || l.p[from - 2] == '/');
    }
    if (from > 0 && l.p[from - 1] == '=' && IN(f->before, peer_before)) return true;
    if (to + 1 < l.n && l.p[to] == ':' && is_digit(l.p[to + 1])) return true;
    if (to < l.n && l.p[to] == '.') return str_starts_nocase(str_from(l, to), S(".svc"));
    if (to < l.n && l.p[to] == ' ' && IN(next_word(l, to), peer_after)) return true;
    return from > 0 && (l.p[from - 1] == ' ' || l.p[from - 1] == '"' || l.p[from - 1] == '\'') &&
           IN(f->before, peer_before);
}

/* Looks the token and its prefixes that end at '-' up ("order-service-7d9f8-x2x"). */
static bool find_known(finder *f, size_t from, size_t to) {
    if (to - from > TOKEN_MAX) return false;
    for (size_t end = to; end > from; end--) {
        if (end != to && f->line.p[end] != '-') continue;
        char folded[TOKEN_MAX];
        size_t n = fold_name(str_sub(f->line, from, end - from), folded);
        uint32_t id = n ? intern_get(&f->book->keys, str_make(folded, n)) : INTERN_NONE;
        if (id == INTERN_NONE) continue;
        if (f->book->where[id] == AS_HOST) continue;
        if (f->book->where[id] == AS_PEER && !(end == to && peer_context(f, from, to))) continue;
        found(f, MENTION_KNOWN, f->book->names[id], names_caller(f));
        return true;
    }
    return false;
}

static bool numeric_host(str host) {
    for (size_t i = 0; i < host.n; i++) {
        if (!is_digit(host.p[i]) && host.p[i] != '.') return false;
    }
    return true;
}

static bool public_domain(str host) {
    static const char *const labels[] = {"com", "net",   "org", "io", "cn",
                                         "dev", "cloud", "app", "ai"};
    size_t dot = str_rfind_char(host, '.');
    return dot != STR_NPOS && IN(str_from(host, dot + 1), labels);
}

static bool has_capital(str s) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= 'A' && s.p[i] <= 'Z') return true;
    }
    return false;
}

static bool documentation(const finder *f, str host) {
    /* "See https://example.org/manual": the word before the scheme. */
    bool scheme = str_starts_nocase(f->before, S("http"));
    if (scheme && (str_eq_nocase(f->before2, S("see")) || str_eq_nocase(f->before2, S("visit")))) {
        return true;
    }
    return str_starts_nocase(host, S("www.")) || str_starts_nocase(host, S("docs.")) ||
           str_eq_nocase(f->before, S("see")) || str_eq_nocase(f->before, S("visit")) ||
           str_eq_nocase(f->before, S("at")) || IN(f->before, caller_before) ||
           str_eq_nocase(f->before, S("host"));
}

/* A host seen where hosts are named. Its labels may be known names or dependencies. */
static void found_host(finder *f, size_t from, size_t to, uint64_t port, bool url) {
    while (to > from && f->line.p[to - 1] == '.') to--;
    str host = str_sub(f->line, from, to - from);
    if (host.n < 2 || host.n > 253) return;
    size_t label_end = str_find_char(host, '.', 0);
    str label = label_end == STR_NPOS ? host : str_sub(host, 0, label_end);
    bool numeric = numeric_host(host);
    if (!numeric) {
        char folded[TOKEN_MAX];
        size_t n = fold_name(label, folded);
        uint32_t id = n ? intern_get(&f->book->keys, str_make(folded, n)) : INTERN_NONE;
        /* "api.maps.example.com" is not our "api". */
        bool ours = id != INTERN_NONE && (f->book->where[id] == ANYWHERE || !public_domain(host));
        if (ours) {
            found(f, MENTION_KNOWN, f->book->names[id], names_caller(f));
            return;
        }
        if (id == INTERN_NONE && find_known(f, from, from + label.n)) return;
    }
    str dep = numeric ? STR_NONE : mention_dependency_of(host);
    /* "2026-06-22T11:25:06": a host without a dot begins with a letter. */
    bool plausible = url || label_end != STR_NPOS || !is_digit(host.p[0]);
    if (!dep.n && plausible) dep = dependency_of_port(port);
    if (dep.n) {
        found(f, MENTION_DEPENDENCY, dep, names_caller(f));
        return;
    }
    bool local = str_eq_nocase(host, S("localhost")) || str_starts(host, S("127."));
    bool generic = label_end == STR_NPOS && IN(label, generic_names);
    if (numeric || local || generic || documentation(f, host)) return;
    /* "took:45" and "c.s.OrderController:12" look like host:port; hosts have dots and no capitals.
     */
    if (!url && (label_end == STR_NPOS || has_capital(host))) return;
    char *low = arena_try_bytes(f->out, host.n, 1);
    if (!low) return;
    for (size_t i = 0; i < host.n; i++) low[i] = fold(host.p[i]);
    found(f, MENTION_HOST, str_make(low, host.n), names_caller(f));
}

static bool digits_at(str s, size_t at, size_t *ret_end, uint64_t *ret) {
    size_t end = at;
    while (end < s.n && is_digit(s.p[end]) && end - at < 6) end++;
    *ret_end = end;
    return end - at >= 2 && num_u64(str_sub(s, at, end - at), ret) && *ret <= 65535;
}

/* A URL's authority, host:port or domain name that begins at `from`. Returns where it ends, or
 * `from` when there is none. */
static size_t find_host(finder *f, size_t from) {
    str l = f->line;
    bool url = from >= 3 && str_starts(str_from(l, from - 3), S("://"));
    size_t to = from;
    while (to < l.n && is_host(l.p[to])) to++;
    if (url && to < l.n && l.p[to] == '@') { /* user@host */
        from = to + 1;
        to = from;
        while (to < l.n && is_host(l.p[to])) to++;
    }
    str host = str_sub(l, from, to - from);
    size_t dot = str_rfind_char(host, '.');
    str last = dot == STR_NPOS ? host : str_from(host, dot + 1);
    uint64_t port = 0;
    size_t end = to;
    bool has_port = to < l.n && l.p[to] == ':' && digits_at(l, to + 1, &end, &port);
    if (dot != STR_NPOS && IN(last, file_labels)) return from;
    if (url || (has_port && !numeric_host(host)) || (has_port && dot != STR_NPOS)) {
        /* "12:30" has digits alone and no dot; "Foo.java:42" was left out above. */
        found_host(f, from, to, port, url);
        return MAX(end, to);
    }
    str first = dot == STR_NPOS ? STR_NONE : str_sub(host, 0, str_find_char(host, '.', 0));
    if (dot != STR_NPOS && IN(last, host_labels) && !IN(first, host_labels)) {
        found_host(f, from, to, 0, false);
        return to;
    }
    return from;
}

static bool stack_frame(str line) {
    str s = str_trim(line);
    return s.n < line.n &&
           (str_starts(s, S("at ")) || str_starts(s, S("File \"")) || str_starts(s, S("... ")));
}

static void find_idioms(finder *f) {
    for (size_t i = 0; i < ARRAY_LEN(idioms); i++) {
        if (str_find_nocase(f->line, str_c(idioms[i].phrase), 0) != STR_NPOS) {
            found(f, MENTION_DEPENDENCY, str_c(idioms[i].name), false);
        }
    }
}

static void find_in_line(finder *f) {
    f->before = f->before2 = STR_NONE;
    for (size_t at = 0; at < f->line.n;) {
        if (!is_token(f->line.p[at])) {
            at++;
            continue;
        }
        size_t end = at;
        while (end < f->line.n && is_token(f->line.p[end])) end++;
        size_t host_end = find_host(f, at);
        if (host_end > at) {
            end = MAX(end, host_end);
        } else {
            str token = str_sub(f->line, at, end - at);
            if (!find_known(f, at, end)) {
                str dep = mention_dependency_of(token);
                if (dep.n) found(f, MENTION_DEPENDENCY, dep, names_caller(f));
            }
        }
        f->before2 = f->before;
        f->before = str_sub(f->line, at, end - at);
        at = end;
    }
}

size_t mentions_find(const name_book *b, str text, arena *out, mention ret[MENTIONS_MAX]) {
    finder f = {.book = b, .out = out, .ret = ret};
    str rest = str_sub(text, 0, MENTION_TEXT_MAX);
    while (str_next(&rest, '\n', &f.line)) {
        if (stack_frame(f.line)) continue;
        find_in_line(&f);
        find_idioms(&f);
    }
    return f.count;
}
