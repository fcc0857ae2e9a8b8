/* otlp.c - the entry of the OTLP decoder, its failures, and resources and scopes that are shared.
 *
 * A failure is noted once, where it happens; the functions return through the messages around it
 * and each puts its name before the field path, so that the message of a request says
 * "resource_logs[0].scope_logs[2].log_records[17].body: ... at byte 1234" at no cost while all is
 * well. */
#include "codec/otlp_int.h"

#include "base/mem.h"

enum { REWRITTEN_BYTES_MAX = 256 << 20 }; /* of a request in JSON */

/* ---- failures ---- */

bool otlp_fail(otlp_dec *d, rc code, const uint8_t *at, const char *what) {
    MUST(code != RC_OK);
    if (d && d->code == RC_OK) {
        d->code = code;
        d->at = at;
        d->what = what;
    }
    return false;
}

bool otlp_broken(otlp_dec *d, const uint8_t *at) {
    return otlp_fail(d, RC_INVALID, at, "broken wire format");
}

bool otlp_bad_text(otlp_dec *d, const uint8_t *at) {
    return otlp_fail(d, RC_INVALID, at, "text is not UTF-8");
}

bool otlp_full(otlp_dec *d) {
    return otlp_fail(d, RC_LIMIT, NULL, "the request holds more than fits into memory");
}

void otlp_path_put(char path[OTLP_PATH_BYTES], str name, size_t index) {
    char number[24];
    size_t digits = 0, old = strlen(path), dot = old > 0;
    if (index != SIZE_MAX) { /* from behind: "]", the digits, "[" */
        number[sizeof number - ++digits] = ']';
        do {
            number[sizeof number - ++digits] = (char)('0' + index % 10);
            index /= 10;
        } while (index);
        number[sizeof number - ++digits] = '[';
    }
    /* A path that grows too long loses its inner part. */
    size_t head = name.n + digits + dot;
    if (head >= OTLP_PATH_BYTES) return;
    old = MIN(old, OTLP_PATH_BYTES - 1 - head);
    memmove(path + head, path, old);
    if (name.n) memcpy(path, name.p, name.n);
    memcpy(path + name.n, number + sizeof number - digits, digits);
    if (dot) path[name.n + digits] = '.';
    path[head + old] = '\0';
}

bool otlp_in(otlp_dec *d, const char *name, size_t index) {
    otlp_path_put(d->path, str_c(name), index);
    return false;
}

void otlp_reject(otlp_dec *d, uint64_t records, const char *reason) {
    if (d->t->rejected == 0) d->t->reject_reason = str_c(reason);
    d->t->rejected += records;
}

void otlp_warn(otlp_dec *d, const char *what) {
    if (d->t->reject_reason.n == 0) d->t->reject_reason = str_c(what);
}

/* ---- the attribute stack ---- */

bool otlp_stack_grow(otlp_dec *d) {
    if (d->stack_cap >= OTLP_STACK_MAX) {
        return otlp_fail(d, RC_LIMIT, NULL, "a record has too many attributes");
    }
    size_t cap = d->stack_cap * 2;
    attribute *more = mem_try_grow_raw(d->stack_heap, cap * sizeof *more);
    if (!more) return otlp_full(d);
    if (!d->stack_heap) memcpy(more, d->stack, d->stack_n * sizeof *more);
    d->stack = d->stack_heap = more;
    d->stack_cap = cap;
    return true;
}

/* ---- resources and scopes ---- */

static uint64_t hash_attrs(const attribute *a, uint32_t count, uint64_t h) {
    for (uint32_t i = 0; i < count; i++) {
        h = str_hash_seed(a[i].key, h ^ a[i].type);
        h = str_hash_seed(a[i].val, h ^ (uint64_t)a[i].num);
    }
    return str_hash_seed(STR_NONE, h ^ count);
}

static bool same_attrs(const attribute *a, const attribute *b, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (a[i].type != b[i].type || a[i].num != b[i].num) return false;
        if (!str_eq(a[i].key, b[i].key) || !str_eq(a[i].val, b[i].val)) return false;
    }
    return true;
}

void resource_finish(resource *r) {
    r->service = r->host = STR_NONE;
    for (uint32_t i = 0; i < r->attr_count; i++) {
        const attribute *a = &r->attrs[i];
        if (a->type != ATTR_STR) continue;
        if (r->service.n == 0 && str_eq(a->key, S("service.name"))) r->service = a->val;
        if (r->host.n == 0 && str_eq(a->key, S("host.name"))) r->host = a->val;
    }
    uint64_t h = hash_attrs(r->attrs, r->attr_count, r->dropped_attrs);
    h = str_hash_seed(r->schema_url, h);
    r->hash = str_hash_seed(r->entity_refs, h);
}

void scope_finish(scope *s) {
    uint64_t h = hash_attrs(s->attrs, s->attr_count, s->dropped_attrs);
    h = str_hash_seed(s->name, h);
    h = str_hash_seed(s->version, h);
    s->hash = str_hash_seed(s->schema_url, h);
}

static bool same_resource(const resource *a, const resource *b) {
    return a->hash == b->hash && a->attr_count == b->attr_count &&
           a->dropped_attrs == b->dropped_attrs && str_eq(a->schema_url, b->schema_url) &&
           str_eq(a->entity_refs, b->entity_refs) && same_attrs(a->attrs, b->attrs, a->attr_count);
}

static bool same_scope(const scope *a, const scope *b) {
    return a->hash == b->hash && a->attr_count == b->attr_count &&
           a->dropped_attrs == b->dropped_attrs && str_eq(a->name, b->name) &&
           str_eq(a->version, b->version) && str_eq(a->schema_url, b->schema_url) &&
           same_attrs(a->attrs, b->attrs, a->attr_count);
}

bool otlp_merge_resource(otlp_dec *d, resource *r, const resource **ret) {
    r->attrs = d->stack;
    r->attr_count = (uint32_t)d->stack_n;
    resource_finish(r);
    uint64_t *known = map64_put(&d->resources, r->hash, NULL);
    if (!known) return otlp_fail(d, RC_LIMIT, NULL, "too many different resources");
    const resource *old = (const resource *)(uintptr_t)*known;
    if (old && same_resource(old, r)) { /* of two with one hash the first stays in the table */
        d->stack_n = 0;
        *ret = old;
        return true;
    }
    resource *own = arena_try_new(d->mem, resource);
    if (!own) return otlp_full(d);
    *own = *r;
    if (!otlp_pop_attrs(d, 0, &own->attrs, &own->attr_count)) return false;
    if (!old) *known = (uintptr_t)own;
    *ret = own;
    return true;
}

bool otlp_merge_scope(otlp_dec *d, scope *s, const scope **ret) {
    s->attrs = d->stack;
    s->attr_count = (uint32_t)d->stack_n;
    if (s->attr_count == 0 && !s->dropped_attrs && !s->name.n && !s->version.n &&
        !s->schema_url.n) {
        *ret = NULL;
        return true;
    }
    scope_finish(s);
    uint64_t *known = map64_put(&d->scopes, s->hash, NULL);
    if (!known) return otlp_fail(d, RC_LIMIT, NULL, "too many different scopes");
    const scope *old = (const scope *)(uintptr_t)*known;
    if (old && same_scope(old, s)) {
        d->stack_n = 0;
        *ret = old;
        return true;
    }
    scope *own = arena_try_new(d->mem, scope);
    if (!own) return otlp_full(d);
    *own = *s;
    if (!otlp_pop_attrs(d, 0, &own->attrs, &own->attr_count)) return false;
    if (!old) *known = (uintptr_t)own;
    *ret = own;
    return true;
}

/* ---- the entry ---- */

#define BIT(field) ((uint32_t)1 << (field))

static const char *const LOG_NAMES[] = {"resource_logs", "scope_logs", "log_records"};
static const char *const SPAN_NAMES[] = {"resource_spans", "scope_spans", "spans"};

static const char *const METRIC_NAMES[] = {"resource_metrics", "scope_metrics", "metrics"};

static const uint32_t RECORDS[] = {BIT(1), BIT(2), BIT(2), 0};
static const uint32_t POINTS[] = {
    BIT(1), BIT(2), BIT(2), BIT(5) | BIT(7) | BIT(9) | BIT(10) | BIT(11), BIT(1), 0};

static bool count_records(otlp_dec *d, str body, const uint32_t *want, size_t *ret) {
    if (!otlp_count(d, body, want, ret)) return false;
    if (*ret <= OTLP_RECORDS_MAX) return true;
    return otlp_fail(d, RC_LIMIT, NULL, "too many records in one request");
}

static bool decode_logs(otlp_dec *d, str body) {
    size_t n;
    if (!count_records(d, body, RECORDS, &n)) return false;
    if (n && !log_batch_reserve(&d->t->logs, n)) return otlp_full(d);
    return otlp_walk(d, body, LOG_NAMES, otlp_read_log);
}

static bool decode_spans(otlp_dec *d, str body) {
    size_t n;
    if (!count_records(d, body, RECORDS, &n)) return false;
    if (n && !telemetry_reserve_spans(d->t, n)) return otlp_full(d);
    return otlp_walk(d, body, SPAN_NAMES, otlp_read_span);
}

static bool decode_metrics(otlp_dec *d, str body) {
    size_t n;
    if (!count_records(d, body, POINTS, &n)) return false;
    if (n && !telemetry_reserve_points(d->t, n)) return otlp_full(d);
    return otlp_walk(d, body, METRIC_NAMES, otlp_read_metric);
}

static rc report(const otlp_dec *d, err *e) {
    const char *path = d->path[0] ? d->path : "request";
    /* Joined pieces of a message lie outside the body. */
    if (!d->at || d->at < d->base || d->at >= d->end)
        return FAIL(e, d->code, "OTLP: %s: %s", path, d->what);
    return FAIL(e, d->code, "OTLP: %s: %s, at byte %zu", path, d->what, (size_t)(d->at - d->base));
}

static rc decode_pb(otlp_signal signal, str body, telemetry *t, bool offsets, err *e) {
    if (body.n == 0) return RC_OK;
    otlp_dec d; /* the first attributes of the stack need no zeroing */
    d.t = t;
    d.mem = signal == OTLP_LOGS ? &t->logs.mem : &t->mem;
    d.base = (const uint8_t *)body.p;
    d.end = offsets ? d.base + body.n : d.base;
    d.stack = d.stack_first;
    d.stack_heap = NULL;
    d.stack_n = 0;
    d.stack_cap = OTLP_STACK_FIRST;
    d.strings = NULL;
    d.string_count = 0;
    d.bad_index = d.bad_dictionary = NULL;
    d.saw_index = false;
    d.code = RC_OK;
    d.path[0] = '\0';
    map64_init(&d.resources, OTLP_RESOURCES_MAX);
    map64_init(&d.scopes, OTLP_RESOURCES_MAX);
    static bool (*const DECODE[OTLP_SIGNALS])(otlp_dec *, str) = {
        [OTLP_LOGS] = decode_logs,
        [OTLP_TRACES] = decode_spans,
        [OTLP_METRICS] = decode_metrics,
        [OTLP_PROFILES] = otlp_read_profiles,
    };
    bool ok = DECODE[signal](&d, body);
    MUST(ok == (d.code == RC_OK));
    map64_release(&d.resources);
    map64_release(&d.scopes);
    mem_free(d.stack_heap);
    return ok ? RC_OK : report(&d, e);
}

static const otlp_message REQUESTS[OTLP_SIGNALS] = {M_LOGS, M_TRACES, M_METRICS, M_PROFILES};

rc otlp_decode(otlp_signal signal, otlp_encoding enc, str body, telemetry *t, err *e) {
    MUST((unsigned)signal < OTLP_SIGNALS && t != NULL);
    if (enc == OTLP_PROTOBUF) return decode_pb(signal, body, t, true, e);
    MUST(!t->body || t->body == body.p);
    buf pb;
    buf_init(&pb, REWRITTEN_BYTES_MAX);
    rc code = otlp_from_json(REQUESTS[signal], body, &pb, e);
    if (code != RC_OK) {
        buf_release(&pb);
        return code;
    }
    /* The records borrow from the rewritten request: it takes the place of the text. */
    mem_free(t->body);
    t->body = pb.p;
    t->body_bytes = pb.n;
    return decode_pb(signal, buf_str(&pb), t, false, e);
}
