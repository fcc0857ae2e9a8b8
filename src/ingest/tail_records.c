/* tail_records.c - records that logformat found in a file, as OpenTelemetry has them.
 *
 *     service, host       resource (service.name, host.name); one for each pair in a batch
 *     component           scope name: the logger is the instrumentation scope
 *     trace_id, span_id   16 and 8 bytes; of another form they are attributes
 *     body                of a record of several lines: all of it from where the message begins, so
 *                         that a stack trace is searched and given back
 *     log.file.path       attribute
 *     no UTF-8            U+FFFD in the body, the bytes in log.record.original */
#include "ingest/tail_int.h"

#include "base/utf8.h"
#include "codec/otlp.h"

enum { SHARED_MAX = 4096, EXTRA_ATTRS = 4, TRACE_BYTES = 16, SPAN_BYTES = 8 };

typedef struct finisher {
    telemetry *t;
    const tail_source *src;
    map64 resources, scopes; /* hash of the names -> pointer */
} finisher;

static const resource *resource_for(finisher *f, const log_record *r) {
    uint64_t key = str_hash_seed(r->host, str_hash(r->service));
    uint64_t *slot = map64_put(&f->resources, key, NULL);
    const resource *seen = slot ? (const resource *)(uintptr_t)*slot : NULL;
    if (seen && str_eq(seen->host, r->host) && str_eq(seen->service, r->service)) return seen;
    resource *fresh = arena_try_new(&f->t->mem, resource);
    attribute *attrs = arena_try_new_n(&f->t->mem, attribute, 2);
    if (!fresh || !attrs) return NULL;
    uint32_t n = 0;
    if (r->service.n) attrs[n++] = attribute_text_of(S("service.name"), r->service);
    if (r->host.n) attrs[n++] = attribute_text_of(S("host.name"), r->host);
    fresh->attrs = attrs;
    fresh->attr_count = n;
    resource_finish(fresh);
    if (slot) *slot = (uint64_t)(uintptr_t)fresh;
    return fresh;
}

static const scope *scope_for(finisher *f, str name) {
    uint64_t *slot = map64_put(&f->scopes, str_hash(name), NULL);
    const scope *seen = slot ? (const scope *)(uintptr_t)*slot : NULL;
    if (seen && str_eq(seen->name, name)) return seen;
    scope *fresh = arena_try_new(&f->t->mem, scope);
    if (!fresh) return NULL;
    fresh->name = name;
    scope_finish(fresh);
    if (slot) *slot = (uint64_t)(uintptr_t)fresh;
    return fresh;
}

/* Hex of the right length to bytes; otherwise an attribute keeps it. */
static bool take_id(finisher *f, str hex, str key, size_t bytes, str *ret, attribute *a,
                    uint32_t *n) {
    if (hex.n == 0) return true;
    uint8_t *p = arena_try_raw(&f->t->mem, bytes, 1);
    if (!p) return false;
    if (hex_to_bytes(hex, p, bytes))
        *ret = str_make((char *)p, bytes);
    else
        a[(*n)++] = attribute_text_of(key, hex);
    return true;
}

static bool inside(str part, str whole) {
    return part.n > 0 && part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

static bool repair(finisher *f, str *s, bool *ret_broken) {
    if (utf8_valid(*s)) return true;
    *ret_broken = true;
    *s = utf8_repaired(*s, &f->t->mem);
    return s->p != NULL;
}

static bool finish(finisher *f, log_record *r) {
    attribute *a = arena_try_new_n(&f->t->mem, attribute, (size_t)r->attr_count + EXTRA_ATTRS);
    if (!a) return false;
    uint32_t n = r->attr_count;
    bool broken = false;
    if (n) memcpy(a, r->attrs, n * sizeof *a);
    for (uint32_t i = 0; i < n; i++)
        if (!repair(f, &a[i].key, &broken) || !repair(f, &a[i].val, &broken)) return false;
    if (r->line_count > 1 && inside(r->body, r->raw))
        r->body = str_from(r->raw, (size_t)(r->body.p - r->raw.p));
    if (r->service.n == 0) r->service = f->src->service;
    if (!repair(f, &r->body, &broken) || !repair(f, &r->service, &broken) ||
        !repair(f, &r->host, &broken) || !repair(f, &r->component, &broken) ||
        !repair(f, &r->trace_id, &broken) || !repair(f, &r->span_id, &broken) ||
        !repair(f, &r->severity_text, &broken) || !repair(f, &r->event_name, &broken))
        return false;
    if (!take_id(f, r->trace_id, S("trace_id"), TRACE_BYTES, &r->trace_bin, a, &n) ||
        !take_id(f, r->span_id, S("span_id"), SPAN_BYTES, &r->span_bin, a, &n))
        return false;
    r->trace_id = r->span_id = STR_NONE; /* the binary ones, or attributes */
    a[n++] = attribute_text_of(S("log.file.path"), f->src->path);
    if (broken) {
        a[n] = attribute_text_of(S("log.record.original"), r->raw);
        a[n++].type = ATTR_BYTES;
    }
    r->attrs = a;
    r->attr_count = n;
    r->observed_ns = f->t->arrival_ns;
    if (!r->resource && !(r->resource = resource_for(f, r))) return false;
    if (!r->scope && r->component.n && !(r->scope = scope_for(f, r->component))) return false;
    return true;
}

rc tail_records_finish(telemetry *t, const tail_source *src, err *e) {
    finisher f = {.t = t};
    tail_source own = {.path = utf8_repaired(src->path, &t->mem),
                       .service = utf8_repaired(src->service, &t->mem)};
    f.src = &own;
    bool ok = own.path.p && own.service.p;
    map64_init(&f.resources, SHARED_MAX);
    map64_init(&f.scopes, SHARED_MAX);
    for (size_t i = 0; i < t->logs.count && ok; i++) ok = finish(&f, &t->logs.rec[i]);
    map64_release(&f.resources);
    map64_release(&f.scopes);
    return ok ? RC_OK : FAIL(e, RC_LIMIT, "records of a file do not fit their memory");
}
