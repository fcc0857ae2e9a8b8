/* otlp_int.h - what the files of the OTLP decoder and encoder share. */
#ifndef FL_CODEC_OTLP_INT_H
#define FL_CODEC_OTLP_INT_H

#include "base/map.h"
#include "base/utf8.h"
#include "codec/otlp.h"
#include "codec/otlp_schema.h"
#include "codec/pb.h"

enum {
    OTLP_STACK_FIRST = 64,         /* attributes held without an allocation */
    OTLP_STACK_MAX = 1 << 18,      /* attributes of one record, those of its parts included */
    OTLP_RESOURCES_MAX = 1 << 20,  /* distinct resources, and scopes, of a request */
    OTLP_PATH_BYTES = 160,         /* of a field path in a message */
    OTLP_TEXT_BYTES_MAX = 64 << 20 /* text of one structured value */
};

/* The state of one decoding. Attributes of the message being read are gathered on a stack (parts of
 * a record have attributes of their own, in any order on the wire) and copied to the arena in one
 * piece when the message is complete. */
typedef struct otlp_dec {
    telemetry *t;
    arena *mem;                /* of the records: of t->logs for logs, else t->mem */
    const uint8_t *base, *end; /* the body */
    attribute *stack, *stack_heap;
    size_t stack_n, stack_cap;
    map64 resources, scopes; /* hash -> pointer */
    /* Profiles: texts may be indices into the dictionary's string table; NULL for other signals. */
    const str *strings;
    uint32_t string_count;
    const char *bad_index, *bad_dictionary; /* why profiles that depend on it are rejected */
    bool saw_index;                         /* a list holds such texts */
    /* The first failure: */
    rc code;
    const char *what;
    const uint8_t *at;
    char path[OTLP_PATH_BYTES]; /* "resource_logs[0].scope_logs[2]", built while returning */
    attribute stack_first[OTLP_STACK_FIRST];
} otlp_dec;

/* Failures; all return false; d may be NULL. `at` is the place in the body. */
bool otlp_broken(otlp_dec *d, const uint8_t *at);   /* wire format */
bool otlp_bad_text(otlp_dec *d, const uint8_t *at); /* no UTF-8 */
bool otlp_fail(otlp_dec *d, rc code, const uint8_t *at, const char *what);
bool otlp_full(otlp_dec *d); /* arena */
/* Puts "name[index]" (or "name" with SIZE_MAX) before the path. */
void otlp_path_put(char path[OTLP_PATH_BYTES], str name, size_t index);
bool otlp_in(otlp_dec *d, const char *name, size_t index);
/* Counts a record that cannot be kept; the first reason stays. */
void otlp_reject(otlp_dec *d, uint64_t records, const char *reason);
/* Something of a record that is kept had to be dropped: told to the sender unless a reject is. */
void otlp_warn(otlp_dec *d, const char *what);

/* Text of a field as protobuf demands it: UTF-8. */
FL_INLINE bool otlp_text_ok(str s) { return LIKELY(utf8_is_ascii(s)) || utf8_valid(s); }

/* ---- attributes ---- */

/* KeyValue or AnyValue at s; `depth` counts nested values. */
bool otlp_key_value(otlp_dec *d, str s, attribute *ret);
bool otlp_any_value(otlp_dec *d, str s, unsigned depth, attribute *ret);
/* The same for values that were checked when they came in: what lists hold is not looked at. False
 * on bytes that are no message (a damaged store). */
bool otlp_peek_value(str s, attribute *ret);
bool otlp_peek_key_value(str s, attribute *ret);
/* Profiles: a text of the dictionary; empty, with d->bad_index set, for an index outside it. */
str otlp_string_at(otlp_dec *d, uint64_t index);
/* The value as the fields of an AnyValue message. */
void otlp_put_value(buf *out, const attribute *a);
bool otlp_stack_grow(otlp_dec *d);
FL_INLINE bool otlp_push_attr(otlp_dec *d, str s) {
    if (UNLIKELY(d->stack_n == d->stack_cap) && !otlp_stack_grow(d)) return false;
    if (UNLIKELY(!otlp_key_value(d, s, &d->stack[d->stack_n]))) return false;
    d->stack_n++;
    return true;
}
/* Takes the attributes from `from` on off the stack and into the arena. */
FL_INLINE bool otlp_pop_attrs(otlp_dec *d, size_t from, const attribute **ret, uint32_t *ret_n) {
    size_t n = d->stack_n - from;
    *ret_n = (uint32_t)n;
    *ret = NULL;
    if (n == 0) return true;
    attribute *a = arena_try_raw(d->mem, n * sizeof *a, _Alignof(attribute));
    if (UNLIKELY(!a)) return otlp_full(d);
    memcpy(a, d->stack + from, n * sizeof *a);
    d->stack_n = from;
    *ret = a;
    return true;
}

/* ---- JSON ---- */

bool otlp_put_base64(str s, buf *out);
/* A request in JSON as the same request in protobuf, appended to `out`. What JSON or the mapping do
 * not allow is RC_INVALID, with field path and place in the message; RC_LIMIT: `out` is full. An id
 * that is no hex text becomes one byte: no id, so that the decoder rejects its record alone. */
MUST_CHECK rc otlp_from_json(otlp_message message, str json, buf *out, err *e);
/* And back: a message as JSON. False when `out` is full or the bytes are no such message. */
MUST_CHECK bool otlp_to_json(otlp_message message, str pb, buf *out);

/* ---- profiles: encoding ---- */

enum { OTLP_STRINGS_MAX = 1 << 22 };
void otlp_put_profile(buf *out, const profile *p, intern *strings);
void otlp_put_dictionary(buf *out, const profile_batch *b, intern *strings);

/* ---- envelopes ---- */

typedef struct otlp_envelope { /* of the records being read */
    const resource *resource;
    const scope *scope;
    const char *bad_resource, *bad; /* an index that is outside its table, in the resource; in the
                                       scope, too */
} otlp_envelope;

/* Reads one record (a LogRecord, Span, Metric or Profile). */
typedef bool (*otlp_read_record)(otlp_dec *d, str s, const otlp_envelope *env);
/* Walks ResourceX -> ScopeX -> records of a request. `names`: of the three fields. */
bool otlp_walk(otlp_dec *d, str body, const char *const names[3], otlp_read_record read);
/* Counts what lies below a request, hopping over contents: want[i] has a bit for each field number
 * that is entered (at the last level: counted) at level i; 0 ends the list. */
bool otlp_count(otlp_dec *d, str body, const uint32_t *want, size_t *ret);
/* The one object for all equal resources (scopes) of the request. Takes the attributes off the
 * stack. A scope in which nothing is set is NULL. */
bool otlp_merge_resource(otlp_dec *d, resource *r, const resource **ret);
bool otlp_merge_scope(otlp_dec *d, scope *s, const scope **ret);

bool otlp_read_log(otlp_dec *d, str s, const otlp_envelope *env);
bool otlp_read_span(otlp_dec *d, str s, const otlp_envelope *env);
bool otlp_read_metric(otlp_dec *d, str s, const otlp_envelope *env);
bool otlp_read_profiles(otlp_dec *d, str body);

#define OTLP_BAD_TRACE_ID "trace_id is not 16 bytes, not all of them zero"
#define OTLP_BAD_SPAN_ID  "span_id is not 8 bytes, not all of them zero"
#define OTLP_NO_TRACE_ID  "a trace_id that is not 16 bytes was left out"
#define OTLP_NO_SPAN_ID   "a span_id that is not 8 bytes was left out"

/* An id of the right length; one of all zeros becomes empty. */
FL_INLINE bool otlp_id_ok(str *id, size_t bytes) {
    if (UNLIKELY(id->n != bytes)) return id->n == 0;
    uint64_t any = pb_load64(id->p) | (bytes == 16 ? pb_load64(id->p + 8) : 0);
    if (UNLIKELY(any == 0)) *id = STR_NONE;
    return true;
}

/* An id that its record can do without (logs.proto: a log record with an invalid one SHOULD be
 * taken as not associated with a trace). */
FL_INLINE void otlp_optional_id(otlp_dec *d, str *id, size_t bytes) {
    if (LIKELY(otlp_id_ok(id, bytes))) return;
    *id = STR_NONE;
    otlp_warn(d, bytes == 16 ? OTLP_NO_TRACE_ID : OTLP_NO_SPAN_ID);
}

#endif
