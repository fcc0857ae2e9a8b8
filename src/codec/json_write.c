#include "codec/json_write.h"

#include <math.h>

static bool in_object(const json_writer *w) {
    unsigned level = w->depth - 1;
    return w->depth > 0 && (w->is_object[level / 64] >> (level % 64) & 1);
}

static void newline(json_writer *w) {
    if (!w->indent) return;
    buf_putc(w->out, '\n');
    buf_pad(w->out, ' ', (size_t)w->indent * w->depth);
}

/* What stands before a value: nothing after a key or at the top, else comma and line break. */
static void before_value(json_writer *w) {
    MUST(!w->done);
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    MUST(!in_object(w)); /* a member needs a key */
    if (w->depth == 0) return;
    if (w->has_items) buf_putc(w->out, ',');
    newline(w);
}

static void after_value(json_writer *w) {
    w->has_items = true;
    w->done = w->depth == 0;
}

static void open_level(json_writer *w, bool object) {
    before_value(w);
    MUST(w->depth < JSON_WRITE_DEPTH_MAX);
    buf_putc(w->out, object ? '{' : '[');
    uint64_t bit = (uint64_t)1 << (w->depth % 64), *word = &w->is_object[w->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    w->depth++;
    w->has_items = false;
}

static void close_level(json_writer *w, bool object) {
    MUST(w->depth > 0 && !w->after_key);
    MUST(in_object(w) == object);
    bool had_items = w->has_items;
    w->depth--;
    if (had_items) newline(w);
    buf_putc(w->out, object ? '}' : ']');
    after_value(w);
}

void json_write_init(json_writer *w, buf *out, unsigned indent) {
    MUST(out && indent <= 16);
    *w = (json_writer){.out = out, .indent = indent};
}

void json_write_object(json_writer *w) { open_level(w, true); }
void json_write_object_end(json_writer *w) { close_level(w, true); }
void json_write_array(json_writer *w) { open_level(w, false); }
void json_write_array_end(json_writer *w) { close_level(w, false); }

static void before_key(json_writer *w) {
    MUST(in_object(w) && !w->after_key);
    if (w->has_items) buf_putc(w->out, ',');
    newline(w);
}

static void after_key(json_writer *w) {
    buf_put(w->out, w->indent ? S(": ") : S(":"));
    w->after_key = true;
}

void json_write_key(json_writer *w, str key) {
    before_key(w);
    buf_json(w->out, key);
    after_key(w);
}

void json_write_key_raw(json_writer *w, str key) {
    before_key(w);
    buf_putc(w->out, '"');
    buf_put(w->out, key);
    buf_putc(w->out, '"');
    after_key(w);
}

void json_write_str(json_writer *w, str s) {
    before_value(w);
    buf_json(w->out, s);
    after_value(w);
}

void json_write_i64(json_writer *w, int64_t v) {
    before_value(w);
    buf_i64(w->out, v);
    after_value(w);
}

void json_write_u64(json_writer *w, uint64_t v) {
    before_value(w);
    buf_u64(w->out, v);
    after_value(w);
}

void json_write_double(json_writer *w, double v) {
    before_value(w);
    if (isfinite(v)) {
        buf_double(w->out, v);
    } else {
        buf_put(w->out, S("null"));
    }
    after_value(w);
}

void json_write_raw(json_writer *w, str json) {
    MUST(json.n > 0);
    before_value(w);
    buf_put(w->out, json);
    after_value(w);
}

void json_write_bool(json_writer *w, bool v) { json_write_raw(w, v ? S("true") : S("false")); }
void json_write_null(json_writer *w) { json_write_raw(w, S("null")); }

void json_write_kv(json_writer *w, str key, str s) {
    json_write_key(w, key);
    json_write_str(w, s);
}

void json_write_kv_i64(json_writer *w, str key, int64_t v) {
    json_write_key(w, key);
    json_write_i64(w, v);
}

void json_write_kv_double(json_writer *w, str key, double v) {
    json_write_key(w, key);
    json_write_double(w, v);
}

void json_write_kv_bool(json_writer *w, str key, bool v) {
    json_write_key(w, key);
    json_write_bool(w, v);
}
