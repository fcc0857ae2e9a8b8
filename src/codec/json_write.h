/* json_write.h - a small streaming JSON writer on a buf: commas, nesting and indentation are its
 * business.
 *
 *     json_writer w; json_write_init(&w, &b, 2);
 *     json_write_object(&w);
 *       json_write_key(&w, S("name"));  json_write_str(&w, name);
 *       json_write_key(&w, S("ids"));   json_write_array(&w); ... json_write_array_end(&w);
 *     json_write_object_end(&w);
 *     if (b.full) ...
 *
 * Misuse (a value without a key in an object, a wrong end) is a bug and aborts. What can go wrong
 * with data is only that the buf is full: check b.full once at the end. NaN and infinities, which
 * JSON lacks, are written as null. Text with invalid UTF-8 gets U+FFFD (buf_json). */
#ifndef FL_CODEC_JSON_WRITE_H
#define FL_CODEC_JSON_WRITE_H

#include "base/buf.h"

enum { JSON_WRITE_DEPTH_MAX = 320 };

typedef struct json_writer {
    buf *out;                                      /* borrowed */
    unsigned indent;                               /* spaces a level; 0 = all on one line */
    unsigned depth;                                /* open objects and arrays */
    uint64_t is_object[JSON_WRITE_DEPTH_MAX / 64]; /* bit per level */
    bool has_items;                                /* the innermost level has a member already */
    bool after_key, done; /* a key waits for its value; the one top value is complete */
} json_writer;

void json_write_init(json_writer *w, buf *out, unsigned indent);
void json_write_object(json_writer *w);
void json_write_object_end(json_writer *w);
void json_write_array(json_writer *w);
void json_write_array_end(json_writer *w);
void json_write_key(json_writer *w, str key);
/* The same for a key that is JSON text already, without its quotes (from json_tok). */
void json_write_key_raw(json_writer *w, str key);
void json_write_str(json_writer *w, str s);
void json_write_i64(json_writer *w, int64_t v);
void json_write_u64(json_writer *w, uint64_t v);
void json_write_double(json_writer *w, double v); /* NaN, infinity: null */
void json_write_bool(json_writer *w, bool v);
void json_write_null(json_writer *w);
/* A value that is JSON text already (from json_tok, say); written as it is. */
void json_write_raw(json_writer *w, str json);
/* key and value in one call */
void json_write_kv(json_writer *w, str key, str s);
void json_write_kv_i64(json_writer *w, str key, int64_t v);
void json_write_kv_double(json_writer *w, str key, double v);
void json_write_kv_bool(json_writer *w, str key, bool v);

#endif
