/* fields.c - what field names mean.
 *
 * Problem: loggers agree on what a record has (time, level, message, logger, service, host, trace)
 * and on nothing else: @timestamp, ts, time, @t; level as word, syslog number, pino number, OTel
 * number; nested ("log":{"level":..}), dotted ("log.level") or snake case. A person sees at once
 * what is meant. So does this table, without being told which library wrote the line.
 *
 * Algorithm: a name is folded (lower case, separators . _ - dropped) and looked up by length and
 * text in one switch; nested members arrive with their path as name, so the three spellings above
 * are one entry. A hit gives role and rank. Per role the candidate of the lowest rank whose value
 * makes sense wins (a "status" of "ok" is no level and stays an attribute); ties go to the first.
 * Scales of numeric levels follow from the object: GELF has short_message (syslog numbers), 100 and
 * more is Monolog, 10 and more pino, bunyan and Python, else syslog.
 *
 * Limits: LINE_ATTRS_MAX members, CANDIDATES_MAX names with a role (further ones stay attributes),
 * names up to NAME_MAX bytes have roles.
 *
 * Rejected: a format per library (pino, zap, ECS ...): the same twenty fields in thirty tables, and
 * nothing for the hand-rolled logger that mixes them.
 * Source: the public documentation of the libraries named in the table; Elastic Common Schema 8;
 * GELF 1.1; systemd.journal-fields(7); Cloud Logging LogEntry; OpenTelemetry log data model,
 * appendix A. */
#include "codec/fields_int.h"

#include <stdio.h>

#include "base/num.h"
#include "codec/logfmt.h"
#include "codec/trace_int.h"

enum { CANDIDATES_MAX = 32, NAME_MAX_BYTES = 40, EXCEPTION_ATTRS = 2 };

/* ---- names ---- */

#define IS(name, role_, rank_)                                                                     \
    do {                                                                                           \
        if (memcmp(p, name, sizeof(name) - 1) == 0) return (field_hit){(role_), (rank_)};          \
    } while (0)

/* p: the folded name, n bytes. Each case lists names of exactly its length. */
static field_hit lookup(const char *p, size_t n) {
    switch (n) {
    case 1:
        IS("t", ROLE_TIME, 5); /* log15, geth */
        IS("v", ROLE_VERBOSITY, 1);
        IS("s", ROLE_MONGO_LEVEL, 1);
        IS("c", ROLE_MONGO_COMPONENT, 1);
        break;
    case 2:
        IS("@x", ROLE_STACK, 1);
        IS("tz", ROLE_ZONE, 1);
        IS("ts", ROLE_TIME, 2);
        IS("at", ROLE_LEVEL_WORD, 2); /* Heroku */
        IS("@t", ROLE_TIME, 1);       /* Serilog compact: @t @l @m @mt @x @tr @sp */
        IS("@l", ROLE_LEVEL, 1);
        IS("@m", ROLE_MESSAGE, 1);
        break;
    case 3:
        IS("msg", ROLE_MESSAGE, 1);
        IS("log", ROLE_MESSAGE, 4);
        IS("lvl", ROLE_LEVEL, 3);
        IS("app", ROLE_SERVICE, 4);
        IS("pkg", ROLE_COMPONENT, 5);
        IS("err", ROLE_ERR, 1);
        IS("@mt", ROLE_MESSAGE, 2);
        IS("@tr", ROLE_TRACE, 1);
        IS("@sp", ROLE_SPAN, 1);
        break;
    case 4:
        IS("time", ROLE_TIME, 2);
        IS("date", ROLE_DATE, 1);
        IS("line", ROLE_MESSAGE, 8); /* Loki exports */
        IS("host", ROLE_HOST, 2);
        IS("node", ROLE_HOST, 5);
        IS("name", ROLE_NAME, 1);
        IS("body", ROLE_MESSAGE, 5);
        IS("type", ROLE_LEVEL_WORD, 9); /* Kubernetes events: Normal, Warning */
        IS("text", ROLE_MESSAGE, 6);
        IS("unit", ROLE_SERVICE, 6);
        IS("comm", ROLE_SERVICE, 7);
        break;
    case 5:
        IS("stack", ROLE_STACK, 2);
        IS("label", ROLE_LEVEL_WORD, 3); /* MySQL */
        IS("level", ROLE_LEVEL, 2);
        IS("event", ROLE_MESSAGE, 6); /* structlog */
        IS("trace", ROLE_TRACE, 4);
        IS("class", ROLE_COMPONENT, 4);
        break;
    case 6:
        IS("subsys", ROLE_COMPONENT, 3);
        IS("output", ROLE_MESSAGE, 8); /* Falco */
        IS("logger", ROLE_COMPONENT, 1);
        IS("spanid", ROLE_SPAN, 1);
        IS("module", ROLE_COMPONENT, 3);
        IS("target", ROLE_COMPONENT, 4);  /* Rust tracing */
        IS("status", ROLE_LEVEL_WORD, 1); /* Datadog */
        IS("@level", ROLE_LEVEL, 1);      /* hclog */
        IS("t$date", ROLE_TIME, 1);       /* MongoDB */
        break;
    case 7:
        IS("excinfo", ROLE_STACK, 1); /* Python */
        IS("message", ROLE_MESSAGE, 1);
        IS("traceid", ROLE_TRACE, 1);
        IS("service", ROLE_SERVICE, 3);
        IS("appname", ROLE_SERVICE, 3);
        IS("program", ROLE_SERVICE, 4);
        IS("channel", ROLE_COMPONENT, 3); /* Monolog */
        IS("content", ROLE_MESSAGE, 7);
        IS("asctime", ROLE_TIME, 3); /* Python */
        IS("created", ROLE_TIME, 5);
        IS("logtime", ROLE_TIME, 3);
        IS("levelno", ROLE_LEVEL, 4);
        IS("@module", ROLE_COMPONENT, 1);
        break;
    case 8:
        IS("errstack", ROLE_STACK, 1); /* pino */
        IS("severity", ROLE_LEVEL, 2);
        IS("loglevel", ROLE_LEVEL, 1);
        IS("levelstr", ROLE_LEVEL, 2);
        IS("hostname", ROLE_HOST, 1);
        IS("nodename", ROLE_HOST, 4);
        IS("priority", ROLE_PRIORITY, 3);
        IS("category", ROLE_COMPONENT, 4); /* .NET */
        IS("datetime", ROLE_TIME, 3);
        IS("ddspanid", ROLE_SPAN, 2);
        IS("unixtime", ROLE_TIME, 4);
        IS("xtraceid", ROLE_TRACE, 3);
        IS("facility", ROLE_COMPONENT, 6);
        IS("@message", ROLE_MESSAGE, 1);
        break;
    case 9:
        IS("exception", ROLE_STACK, 2);
        IS("backtrace", ROLE_STACK, 1);
        IS("traceback", ROLE_STACK, 1);
        IS("starttime", ROLE_TIME, 5);
        IS("timestamp", ROLE_TIME, 2);
        IS("levelname", ROLE_LEVEL, 1);
        IS("loglogger", ROLE_COMPONENT, 1);
        IS("component", ROLE_COMPONENT, 2);
        IS("subsystem", ROLE_COMPONENT, 3);
        IS("classname", ROLE_COMPONENT, 4);
        IS("ddservice", ROLE_SERVICE, 2);
        IS("ddtraceid", ROLE_TRACE, 2);
        IS("eventtime", ROLE_TIME, 3);
        IS("timelocal", ROLE_TIME, 3); /* nginx access logs in JSON */
        break;
    case 10:
        IS("errorstack", ROLE_STACK, 1);
        IS("stacktrace", ROLE_STACK, 1);
        IS("@timestamp", ROLE_TIME, 1);
        IS("loggername", ROLE_COMPONENT, 1);
        IS("logmessage", ROLE_MESSAGE, 2);
        IS("otelspanid", ROLE_SPAN, 1);
        IS("timemillis", ROLE_TIME, 3); /* Log4j 2 */
        break;
    case 11:
        IS("servicename", ROLE_SERVICE, 1);
        IS("oteltraceid", ROLE_TRACE, 1);
        IS("textpayload", ROLE_MESSAGE, 1); /* Google Cloud */
        IS("logseverity", ROLE_LEVEL, 2);
        IS("application", ROLE_SERVICE, 4);
        IS("programname", ROLE_SERVICE, 4);
        IS("systemdunit", ROLE_SERVICE, 4); /* journald */
        IS("machinename", ROLE_HOST, 3);
        IS("k8snodename", ROLE_HOST, 4);
        IS("timestampms", ROLE_TIME, 2);
        IS("timeiso8601", ROLE_TIME, 2);
        break;
    case 12:
        IS("categoryname", ROLE_COMPONENT, 4); /* log4js */
        IS("shortmessage", ROLE_MESSAGE, 1);   /* GELF */
        IS("severitytext", ROLE_LEVEL, 1);
        IS("timeunixnano", ROLE_TIME, 1);
        IS("logtimestamp", ROLE_TIME, 3);
        IS("eventmessage", ROLE_MESSAGE, 2);
        IS("computername", ROLE_HOST, 3);
        break;
    case 13:
        IS("lasttimestamp", ROLE_TIME, 3);  /* Kubernetes events */
        IS("errorseverity", ROLE_LEVEL, 1); /* PostgreSQL */
        IS("levellevelstr", ROLE_LEVEL, 1); /* log4js */
        IS("sourcecontext", ROLE_COMPONENT, 1);
        IS("containername", ROLE_SERVICE, 5);
        IS("agenthostname", ROLE_HOST, 6);
        break;
    case 14:
        IS("stagetimestamp", ROLE_TIME, 5);
        IS("severitynumber", ROLE_LEVEL_OTEL, 2);
        IS("kuberneteshost", ROLE_HOST, 4);
        IS("timestampnanos", ROLE_TIME_NS_PART, 1); /* Google Cloud */
        break;
    case 15:
        IS("errorstacktrace", ROLE_STACK, 1);     /* ECS */
        IS("sourcecomponent", ROLE_COMPONENT, 5); /* Kubernetes events */
        IS("renderedmessage", ROLE_MESSAGE, 1);   /* Serilog */
        IS("messagetemplate", ROLE_MESSAGE, 3);
        IS("applicationname", ROLE_SERVICE, 3);
        break;
    case 16:
        IS("syslogidentifier", ROLE_SERVICE, 3);
        IS("timestampseconds", ROLE_TIME_S, 1);
        IS("receivetimestamp", ROLE_TIME, 6);
        IS("k8scontainername", ROLE_SERVICE, 5);
        break;
    case 17:
        IS("realtimetimestamp", ROLE_TIME, 1); /* journald */
        break;
    case 18:
        IS("instantepochsecond", ROLE_TIME_S, 1); /* Log4j 2 */
        IS("kubernetesnodename", ROLE_HOST, 4);
        break;
    case 19:
        IS("exceptionstacktrace", ROLE_STACK, 1); /* OpenTelemetry */
        IS("instantnanoofsecond", ROLE_TIME_NS_PART, 1);
        IS("kuberneteslabelsapp", ROLE_SERVICE, 3);
        break;
    case 21:
        IS("servicecontextservice", ROLE_SERVICE, 1);
        break;
    case 23:
        IS("kubernetescontainername", ROLE_SERVICE, 5);
        break;
    case 24:
        IS("requestreceivedtimestamp", ROLE_TIME, 4); /* Kubernetes audit */
        break;
    case 25:
        IS("resourcelabelsservicename", ROLE_SERVICE, 2);
        break;
    case 26:
        IS("logginggoogleapiscom/trace", ROLE_TRACE, 1);
        IS("resourcelabelsfunctionname", ROLE_SERVICE, 2);
        break;
    case 27:
        IS("logginggoogleapiscom/spanid", ROLE_SPAN, 1);
        IS("resourcelabelscontainername", ROLE_SERVICE, 4);
        break;
    case 36:
        IS("kuberneteslabelsappkubernetesio/name", ROLE_SERVICE, 2);
        break;
    default:
        break;
    }
    return (field_hit){ROLE_NONE, 0};
}

static field_hit folded_lookup(str key) {
    char name[NAME_MAX_BYTES + 8];
    if (key.n == 0 || key.n > NAME_MAX_BYTES + 6) return (field_hit){ROLE_NONE, 0};
    size_t n = 0;
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        name[n] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
        n += c != '.' && c != '_' && c != '-';
    }
    return lookup(name, n);
}

enum {
    INSIDE_RANK = 10
}; /* added to the rank of names inside an object: the top level comes first */

/* Objects that loggers and shippers put the record's own fields into, and (context) objects that
 * hold what goes with every record of a request or process. */
static field_hit enveloped_lookup(str key) {
    static const struct {
        str prefix;
        bool context;
    } objects[] = {{S_INIT("jsonPayload."), false}, /* Google Cloud */
                   {S_INIT("fields."), false},      /* Rust tracing, Logstash */
                   {S_INIT("_source."), false},     /* Elasticsearch exports */
                   {S_INIT("structured."), false},  /* OpenShift */
                   {S_INIT("Properties."), false},  /* Serilog, Azure */
                   {S_INIT("event."), false},       /* Splunk HEC */
                   {S_INIT("resource.attributes."), true},
                   {S_INIT("resource."), true},
                   {S_INIT("attributes."), true},
                   {S_INIT("labels."), true},
                   {S_INIT("context."), true},
                   {S_INIT("contextMap."), true}, /* Log4j 2 */
                   {S_INIT("mdc."), true}};
    for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
        if (!str_starts_nocase(key, objects[i].prefix)) continue;
        field_hit hit = folded_lookup(str_from(key, objects[i].prefix.n));
        bool kept = hit.role == ROLE_SERVICE || hit.role == ROLE_HOST || hit.role == ROLE_TRACE ||
                    hit.role == ROLE_SPAN || (!objects[i].context && hit.role != ROLE_NAME);
        if (hit.role == ROLE_NONE || !kept) continue;
        hit.rank += INSIDE_RANK;
        return hit;
    }
    return (field_hit){ROLE_NONE, 0};
}

field_hit field_role_of(str key) {
    field_hit hit = folded_lookup(key);
    bool nested = hit.role == ROLE_NONE && key.n > 0 && memchr(key.p, '.', key.n);
    return nested ? enveloped_lookup(key) : hit;
}

/* ---- values ---- */

typedef struct candidate {
    uint16_t at; /* in attrs */
    uint8_t role, rank;
    bool is_bytes; /* an array, which may be a journald byte array */
} candidate;

typedef struct fill {
    line_ctx *c;
    log_record *r;
    const field_opts *o;
    attribute *attrs;
    size_t count;
    candidate cand[CANDIDATES_MAX];
    size_t cand_count;
    bool consumed[LINE_ATTRS_MAX + EXCEPTION_ATTRS];
    bool gelf, mongo, serilog, numeric_level;
} fill;

/* Rank order over the candidates of a role: *after moves on from one rejected candidate. */
static const candidate *next_best(const fill *f, field_role role, const candidate *after) {
    const candidate *best = NULL;
    for (size_t i = 0; i < f->cand_count; i++) {
        const candidate *k = &f->cand[i];
        if (k->role != role) continue;
        if (after && (k->rank < after->rank || (k->rank == after->rank && k <= after))) continue;
        if (!best || k->rank < best->rank) best = k;
    }
    return best;
}

static str value_of(const fill *f, const candidate *k) { return f->attrs[k->at].val; }

/* A time that is known already (the container runtime's) stands; the message's own is dropped. */
static void set_time(fill *f, int64_t ns) {
    if (f->r->ts_ns == TS_NONE) f->r->ts_ns = ns;
}

/* date=2019-05-10 time=11:37:47 tz="-0700": three fields, one time. */
static bool take_split_time(fill *f) {
    const candidate *date = next_best(f, ROLE_DATE, NULL);
    const candidate *time = next_best(f, ROLE_TIME, NULL);
    const candidate *zone = next_best(f, ROLE_ZONE, NULL);
    if (!date || !time) return false;
    str d = str_trim(value_of(f, date)), t = str_trim(value_of(f, time));
    str z = zone ? str_trim(value_of(f, zone)) : STR_NONE;
    size_t colon = str_find_char(str_sub(t, 0, 3), ':', 0); /* a time of day, not a whole stamp */
    if (colon == STR_NPOS || d.n > 12 || t.n > 24 || z.n > 8) return false;
    char text[64];
    int n = snprintf(text, sizeof(text), "%.*s %.*s%.*s", STR_ARG(d), STR_ARG(t), STR_ARG(z));
    int64_t ns;
    if (n < 0 || !ts_parse_any((str){text, (size_t)n}, f->c->ts, &ns)) return false;
    set_time(f, ns);
    f->consumed[date->at] = f->consumed[time->at] = true;
    if (zone) f->consumed[zone->at] = true;
    return true;
}

static void take_time(fill *f) {
    int64_t ns;
    const candidate *sec = next_best(f, ROLE_TIME_S, NULL);
    const candidate *part = next_best(f, ROLE_TIME_NS_PART, NULL);
    int64_t s_value, ns_value;
    if (sec && part && num_i64(value_of(f, sec), &s_value) &&
        num_i64(value_of(f, part), &ns_value) && ns_value >= 0 && ns_value < 1000000000 &&
        !__builtin_mul_overflow(s_value, (int64_t)1000000000, &ns) &&
        !__builtin_add_overflow(ns, ns_value, &ns)) {
        set_time(f, ns);
        f->consumed[sec->at] = f->consumed[part->at] = true;
        return;
    }
    if (take_split_time(f)) return;
    static const field_role order[] = {ROLE_TIME, ROLE_DATE};
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        for (const candidate *k = NULL; (k = next_best(f, order[i], k));) {
            if (!ts_parse_any(value_of(f, k), f->c->ts, &ns)) continue;
            set_time(f, ns);
            f->consumed[k->at] = true;
            return;
        }
    }
}

static severity severity_from_number(const fill *f, uint64_t v) {
    if (f->gelf && v <= 7) return severity_from_syslog((unsigned)v);
    if (v >= 100 && v <= 600) { /* Monolog */
        static const uint8_t monolog[] = {SEV_DEBUG, SEV_INFO,   SEV_WARN,
                                          SEV_ERROR, SEV_ERROR2, SEV_FATAL};
        if (v == 250) return SEV_INFO2;
        if (v == 550) return SEV_ERROR3;
        return (severity)monolog[v / 100 - 1];
    }
    if (v >= 10 && v < 100) return severity_from_pino((unsigned)v);
    if (v <= 7) return severity_from_syslog((unsigned)v);
    return SEV_NONE;
}

static severity severity_of(const fill *f, const candidate *k, bool *ret_numeric) {
    str v = str_trim(value_of(f, k));
    uint64_t number;
    *ret_numeric = num_u64(v, &number);
    if (!*ret_numeric) {
        return k->role == ROLE_LEVEL_OTEL ? SEV_NONE : severity_from_word(v, true);
    }
    if (k->role == ROLE_LEVEL_WORD) return SEV_NONE;
    if (k->role == ROLE_LEVEL_OTEL) {
        return number >= 1 && number <= SEV_MAX ? (severity)number : SEV_NONE;
    }
    if (k->role == ROLE_PRIORITY) {
        return number <= 7 ? severity_from_syslog((unsigned)number) : SEV_NONE;
    }
    return severity_from_number(f, number);
}

static void take_severity(fill *f) {
    static const field_role order[] = {ROLE_LEVEL, ROLE_LEVEL_OTEL, ROLE_PRIORITY, ROLE_MONGO_LEVEL,
                                       ROLE_LEVEL_WORD};
    if (f->r->severity != SEV_NONE) return;
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        if (order[i] == ROLE_MONGO_LEVEL && !f->mongo) continue;
        for (const candidate *k = NULL; (k = next_best(f, order[i], k));) {
            bool numeric;
            severity s = severity_of(f, k, &numeric);
            if (s == SEV_NONE) continue;
            f->r->severity = (uint8_t)s;
            f->numeric_level = numeric && order[i] == ROLE_LEVEL;
            f->consumed[k->at] = true;
            return;
        }
    }
    if (f->serilog) f->r->severity = SEV_INFO; /* compact form: no @l means information */
    /* klog and logr write no level: V(n) marks information, an err without V an error. */
    const candidate *v = next_best(f, ROLE_VERBOSITY, NULL);
    uint64_t n;
    if (v && next_best(f, ROLE_MESSAGE, NULL) && num_u64(value_of(f, v), &n)) {
        f->r->severity = n >= 4 ? SEV_DEBUG : SEV_INFO;
        f->consumed[v->at] = true;
    } else if (!v && next_best(f, ROLE_ERR, NULL) && next_best(f, ROLE_MESSAGE, NULL)) {
        f->r->severity = SEV_ERROR;
    }
}

/* service=10ms, component=3: a quantity, not a name. Hosts may be addresses, ids anything. */
static bool names_something(field_role role, str v) {
    if (v.n == 0) return false;
    bool digit = v.p[0] >= '0' && v.p[0] <= '9';
    return !digit || role == ROLE_HOST || role == ROLE_TRACE || role == ROLE_SPAN;
}

/* The first candidate with a value, into *field if that is empty. */
static bool take_text(fill *f, field_role role, str *field) {
    if (field->n) return false;
    for (const candidate *k = NULL; (k = next_best(f, role, k));) {
        str v = value_of(f, k);
        if (!names_something(role, v)) continue;
        *field = v;
        f->consumed[k->at] = true;
        return true;
    }
    return false;
}

/* Google Cloud: "projects/P/traces/ID". An id of zeros means none. */
static str clean_id(str id) {
    size_t slash = str_rfind_char(id, '/');
    if (slash != STR_NPOS) id = str_from(id, slash + 1);
    for (size_t i = 0; i < id.n; i++) {
        if (id.p[i] != '0') return id;
    }
    return STR_NONE;
}

static void take_names(fill *f) {
    log_record *r = f->r;
    /* pino and bunyan, told by their numeric level: "name" is the program. */
    if (take_text(f, ROLE_SERVICE, &r->service)) {
        if (str_ends(r->service, S(".service"))) r->service.n -= S(".service").n; /* systemd */
    } else if (f->numeric_level) {
        take_text(f, ROLE_NAME, &r->service);
    }
    if (!take_text(f, ROLE_COMPONENT, &r->component)) {
        if (f->mongo) take_text(f, ROLE_MONGO_COMPONENT, &r->component);
        if (!f->numeric_level) take_text(f, ROLE_NAME, &r->component);
    }
    take_text(f, ROLE_HOST, &r->host);
    if (take_text(f, ROLE_TRACE, &r->trace_id)) r->trace_id = clean_id(r->trace_id);
    if (take_text(f, ROLE_SPAN, &r->span_id)) r->span_id = clean_id(r->span_id);
}

static bool has_attr(const fill *f, str key) {
    for (size_t i = 0; i < f->count; i++) {
        if (str_eq(f->attrs[i].key, key)) return true;
    }
    return false;
}

static void add_attr(fill *f, str key, str val) {
    if (val.n == 0 || has_attr(f, key)) return;
    f->consumed[f->count] = false;
    f->attrs[f->count++] = attribute_text_of(key, val);
}

/* A stack trace, under whatever name, gets its name in the semantic conventions, and its type and
 * message beside it. */
static void take_stack(fill *f) {
    str type, message;
    for (const candidate *k = NULL; (k = next_best(f, ROLE_STACK, k));) {
        if (!trace_exception(value_of(f, k), &type, &message)) continue;
        if (!has_attr(f, S("exception.stacktrace"))) {
            f->attrs[k->at].key = S("exception.stacktrace");
        }
        add_attr(f, S("exception.type"), type);
        add_attr(f, S("exception.message"), message);
        return;
    }
}

/* journalctl -o json writes values that are not UTF-8 as arrays of byte numbers. */
static bool text_of_byte_array(arena *out, str json, str *ret) {
    char *to = arena_try_bytes(out, json.n / 2 + 1, 1);
    if (!to) return false;
    json_reader rd;
    json_init(&rd, json);
    json_tok t;
    size_t n = 0;
    rc code;
    while ((code = json_next(&rd, &t, NULL)) == RC_OK) {
        uint64_t v;
        if (t.kind == JSON_ARRAY_END || (t.kind == JSON_ARRAY_BEGIN && rd.depth == 1)) continue;
        if (t.kind != JSON_NUMBER || !num_u64(t.text, &v) || v > 255) return false;
        to[n++] = (char)v;
    }
    *ret = (str){to, n};
    return code == RC_END && n > 0;
}

bool field_set_body(log_record *r, str text) {
    text = str_trim(text);
    size_t end = str_find_char(text, '\n', 0);
    r->body = end == STR_NPOS ? text : str_trim_right(str_sub(text, 0, end));
    return end != STR_NPOS;
}

static rc take_message(fill *f) {
    log_record *r = f->r;
    const candidate *k = NULL;
    str text = STR_NONE;
    while ((k = next_best(f, ROLE_MESSAGE, k))) {
        text = value_of(f, k);
        if (k->is_bytes && !text_of_byte_array(&f->c->batch->mem, text, &text)) continue;
        if (str_trim(text).n > 0) break;
    }
    if (!k) {
        r->body = str_trim(f->o->whole);
        return RC_OK;
    }
    if (f->o->ret_message) *f->o->ret_message = text;
    bool more_lines = field_set_body(r, text);
    f->consumed[k->at] = !more_lines;
    if (more_lines) {
        f->attrs[k->at].val = text;
        str type, message;
        if (trace_exception(text, &type, &message)) {
            add_attr(f, S("exception.type"), type);
            add_attr(f, S("exception.message"), message);
        }
    }
    if (f->o->nesting >= FIELD_NESTING_MAX) return RC_OK;

    /* An object that states no level wraps a message that may state one (a shipper's envelope); so
     * does a journal entry at the level that says nothing. */
    bool said_nothing = f->o->journal && r->severity == SEV_INFO;
    if (r->severity != SEV_NONE && !said_nothing) return RC_OK;
    uint8_t stated = r->severity;
    r->severity = SEV_NONE;
    rc code = field_inner(f->c, text, f->o->nesting + 1, r);
    if (r->severity == SEV_NONE) r->severity = stated;
    return code;
}

/* A value as attribute text. Arrays and objects keep their JSON text. */
static rc add_member(fill *f, const json_member *m) {
    if (m->val.kind == JSON_NULL) return RC_OK;
    str val;
    if (json_text(&m->val, &f->c->batch->mem, &val, NULL) != RC_OK) return RC_LIMIT;
    size_t at = f->count++;
    f->attrs[at] = attribute_text_of(m->key, val);
    f->consumed[at] = false;

    field_hit hit = field_role_of(m->key);
    if (hit.role == ROLE_NONE || f->cand_count == CANDIDATES_MAX) return RC_OK;
    /* A number is no message: "line":7, "event":42. */
    bool number = m->val.kind == JSON_NUMBER && hit.role != ROLE_MESSAGE;
    bool scalar = m->val.kind == JSON_STRING || number;
    bool is_bytes = m->val.kind == JSON_ARRAY_BEGIN && hit.role == ROLE_MESSAGE;
    if (!scalar && !is_bytes && hit.role != ROLE_ERR) return RC_OK;
    f->cand[f->cand_count++] = (candidate){(uint16_t)at, hit.role, hit.rank, is_bytes};
    if (str_eq_nocase(m->key, S("short_message"))) f->gelf = true;
    if (str_eq(m->key, S("t.$date"))) f->mongo = true;
    if (str_eq(m->key, S("@t"))) f->serilog = true;
    return RC_OK;
}

rc fields_fill(line_ctx *c, const json_member *members, size_t count, const field_opts *o,
               log_record *r) {
    MUST(c && o && r && o->nesting <= FIELD_NESTING_MAX);
    if (count > LINE_ATTRS_MAX) count = LINE_ATTRS_MAX;
    fill f;
    f.c = c, f.r = r, f.o = o;
    f.count = f.cand_count = 0;
    f.gelf = f.mongo = f.serilog = f.numeric_level = false;
    f.attrs = arena_try_new_n(&c->batch->mem, attribute, count + EXCEPTION_ATTRS);
    if (!f.attrs) return RC_LIMIT;
    for (size_t i = 0; i < count; i++) {
        if (add_member(&f, &members[i]) != RC_OK) return RC_LIMIT;
    }
    take_time(&f);
    take_severity(&f);
    take_names(&f);
    take_stack(&f);

    /* The message may be an object itself, whose attributes then join r->attrs: last. */
    attribute *own = f.attrs;
    rc code = take_message(&f);
    if (code != RC_OK) return code;
    size_t kept = 0;
    for (size_t i = 0; i < f.count; i++) {
        if (!f.consumed[i]) own[kept++] = own[i];
    }
    if (r->attr_count > 0) {
        attribute *all = arena_try_new_n(&c->batch->mem, attribute, kept + r->attr_count);
        if (!all) return RC_LIMIT;
        memcpy(all, r->attrs, r->attr_count * sizeof(*all));
        if (kept) memcpy(all + r->attr_count, own, kept * sizeof(*all));
        own = all;
        kept += r->attr_count;
    }
    r->attrs = kept ? own : NULL;
    r->attr_count = (uint32_t)kept;
    return RC_OK;
}

rc field_inner(line_ctx *c, str text, unsigned nesting, log_record *r) {
    str t = str_trim(text);
    if (nesting <= FIELD_NESTING_MAX && t.n > 2 && t.p[0] == '{' && t.p[t.n - 1] == '}') {
        json_member members[LINE_ATTRS_MAX];
        size_t total, used;
        const json_flat_opts opts = {.raw_controls = true};
        rc code = json_flat(t, &opts, &c->batch->mem, members, LINE_ATTRS_MAX, &total, &used, NULL);
        if (code == RC_LIMIT) return code;
        if (code == RC_OK && used == t.n && total > 0) {
            const field_opts o = {.whole = t, .nesting = nesting};
            return fields_fill(c, members, MIN(total, LINE_ATTRS_MAX), &o, r);
        }
    }
    if (nesting <= FIELD_NESTING_MAX && logfmt_looks_like(t)) {
        return logfmt_fill(c, t, nesting, r);
    }
    field_set_body(r, text);
    if (c->inner_parse) IGNORE(c->inner_parse(c->inner, c, r->body, r)); /* none: body stands */
    return RC_OK;
}
