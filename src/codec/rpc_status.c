/* rpc_status.c - the details of a Status are google.protobuf.Any: in protobuf a type URL with the
 * message's bytes, in JSON the message with its type as a further member. Source: googleapis
 * google/rpc/status.proto, error_details.proto; ProtoJSON for Any and Duration. */
#include "codec/rpc_status.h"

#include <stdio.h>

#include "base/utf8.h"
#include "codec/json_write.h"
#include "codec/pb.h"

enum { MESSAGE_BYTES_MAX = 4096, ROOM_BYTES_MAX = 4 * MESSAGE_BYTES_MAX };

static const int64_t SECOND_NS = 1000000000;

#define BAD_REQUEST_TYPE "type.googleapis.com/google.rpc.BadRequest"
#define RETRY_INFO_TYPE  "type.googleapis.com/google.rpc.RetryInfo"

str rpc_clean_text(str message, buf *room) {
    message = utf8_cut_bytes(message, MESSAGE_BYTES_MAX);
    if (utf8_valid(message)) return message;
    for (size_t at = 0; at < message.n;) {
        char text[4];
        uint32_t cp = utf8_next(message, &at);
        IGNORE(!buf_put(room, str_make(text, utf8_put(text, cp == UTF8_BAD ? 0xfffd : cp))));
    }
    return buf_str(room);
}

static size_t begin_any(buf *out, str type) {
    size_t any = pb_begin(out, 3);
    pb_put_bytes(out, 1, type);
    return any;
}

static void put_pb(int code, str message, int64_t retry_ns, bool bad_request, buf *out) {
    pb_put_varint_set(out, 1, (uint64_t)(int64_t)code);
    pb_put_bytes_set(out, 2, message);
    if (bad_request) {
        size_t any = begin_any(out, S(BAD_REQUEST_TYPE)), value = pb_begin(out, 2);
        size_t violation = pb_begin(out, 1);
        pb_put_bytes_set(out, 2, message);
        pb_end(out, violation);
        pb_end(out, value);
        pb_end(out, any);
    }
    if (retry_ns >= 0) {
        size_t any = begin_any(out, S(RETRY_INFO_TYPE)), value = pb_begin(out, 2);
        size_t delay = pb_begin(out, 1);
        pb_put_varint_set(out, 1, (uint64_t)(retry_ns / SECOND_NS));
        pb_put_varint_set(out, 2, (uint64_t)(retry_ns % SECOND_NS));
        pb_end(out, delay);
        pb_end(out, value);
        pb_end(out, any);
    }
}

static void put_json(int code, str message, int64_t retry_ns, bool bad_request, buf *out) {
    json_writer w;
    json_write_init(&w, out, 0);
    json_write_object(&w);
    json_write_kv_i64(&w, S("code"), code);
    json_write_kv(&w, S("message"), message);
    if (bad_request || retry_ns >= 0) {
        json_write_key(&w, S("details"));
        json_write_array(&w);
        if (bad_request) {
            json_write_object(&w);
            json_write_kv(&w, S("@type"), S(BAD_REQUEST_TYPE));
            json_write_key(&w, S("fieldViolations"));
            json_write_array(&w);
            json_write_object(&w);
            json_write_kv(&w, S("description"), message);
            json_write_object_end(&w);
            json_write_array_end(&w);
            json_write_object_end(&w);
        }
        if (retry_ns >= 0) {
            char text[48];
            int64_t nanos = retry_ns % SECOND_NS;
            int n = snprintf(text, sizeof text, "%" PRId64, retry_ns / SECOND_NS);
            if (nanos) n += snprintf(text + n, sizeof text - (size_t)n, ".%09d", (int)nanos);
            n += snprintf(text + n, sizeof text - (size_t)n, "s");
            json_write_object(&w);
            json_write_kv(&w, S("@type"), S(RETRY_INFO_TYPE));
            json_write_kv(&w, S("retryDelay"), str_make(text, (size_t)n));
            json_write_object_end(&w);
        }
        json_write_array_end(&w);
    }
    json_write_object_end(&w);
}

void rpc_put_status(bool json, int grpc_code, str message, int64_t retry_delay_ns, bool bad_request,
                    buf *out) {
    buf room;
    buf_init(&room, ROOM_BYTES_MAX);
    message = rpc_clean_text(message, &room);
    if (json) {
        put_json(grpc_code, message, retry_delay_ns, bad_request, out);
    } else {
        put_pb(grpc_code, message, retry_delay_ns, bad_request, out);
    }
    buf_release(&room);
}
