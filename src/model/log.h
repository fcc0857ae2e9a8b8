/* log.h - log records in OpenTelemetry's terms, and the batch they travel in.
 *
 * A batch is what a reader hands on: up to BATCH_RECORDS records that borrow from the batch's own
 * bytes (more only when one line holds many, see log_batch_add_over). Everything in it is valid
 * until the batch is released or reset; a consumer that keeps text copies it.
 *
 * log_ref names a record so that a person can open it: input file number, byte offset, line number.
 */
#ifndef FL_MODEL_LOG_H
#define FL_MODEL_LOG_H

#include "base/arena.h"
#include "base/str.h"
#include "model/attribute.h"
#include "model/severity.h"

#define TS_NONE INT64_MIN /* the record carries no time (OTLP: 0; stored and given back as 0) */

typedef struct log_ref {
    uint64_t offset; /* of the record's first byte in the (decompressed) input */
    uint64_t line;   /* 1-based number of the record's first line */
    uint32_t file;   /* index in the source's list of inputs */
    uint32_t bytes;  /* length of the record, without its final newline; cut at UINT32_MAX */
} log_ref;

/* What a variable part of a message is. The order is the on-disk order: only append. */
typedef enum slot_type {
    SLOT_TEXT = 0, /* a word that varies, or several */
    SLOT_INT,      /* 42, -7 */
    SLOT_FLOAT,    /* 0.25, 1e9 */
    SLOT_UNIT,     /* number with a unit: 12ms, 4.5MB, 80% */
    SLOT_HEX,      /* 0x7f.., deadbeef */
    SLOT_ID,       /* uuid, mixed letters and digits: blk_123, req-7f3a */
    SLOT_IP,       /* IPv4/IPv6 address, with or without port */
    SLOT_HOST,     /* host name, host:port, MAC address */
    SLOT_PATH,     /* file path, URL */
    SLOT_TIME,     /* date, time of day, timestamp */
    SLOT_QUOTED,   /* a quoted piece of text */
    SLOT_TYPE_COUNT
} slot_type;

typedef struct log_slot {
    uint32_t offset, bytes; /* of the value in the message (log_record.body) */
    uint8_t type;           /* slot_type */
} log_slot;

typedef struct log_record {
    int64_t ts_ns; /* UTC, or TS_NONE */
    log_ref ref;
    str raw;       /* the whole record as found: header and continuation lines, no final newline */
    str body;      /* the message: what is mined. First line only unless multi-line is meant */
    str service;   /* service.name when stated (resource, program, container, compose prefix); else
                      empty: the source's default is used */
    str component; /* logger, class, module, thread-free unit within the service; may be empty */
    str host;      /* may be empty */
    str trace_id, span_id;  /* hex as found; may be empty */
    const attribute *attrs; /* further fields: JSON members, logfmt pairs, header columns */
    uint32_t attr_count;
    uint32_t line_count;    /* lines this record spans */
    uint8_t severity;       /* severity number as stated; SEV_NONE when not stated */
    int32_t severity_other; /* OTLP: a number outside 0..SEV_MAX as sent (enums are open); severity
                               is then SEV_NONE */
    /* What OTLP carries beyond that; zero in records of text files, which use the members above. */
    const resource *resource; /* NULL: none. Its attributes are not repeated in attrs */
    const scope *scope;       /* NULL: none */
    int64_t observed_ns;      /* 0 = not stated */
    int64_t kept_ns; /* from a store, or on the way to it: the time the record is kept under (its
                        own, else observed, else that of its arrival); 0 = not said */
    str severity_text, event_name;
    str trace_bin, span_bin; /* 16 and 8 bytes, or empty; trace_id and span_id are then empty until
                                log_record_hex_ids (codec/otlp.h) */
    uint32_t flags, dropped_attrs;
    uint8_t
        body_type;    /* attribute_type of the body. Of another than text, body is its text (JSON of
                         lists and maps) and body_any the value's bytes as in attribute.val/num */
    str body_any;     /* ATTR_ARRAY, ATTR_KVLIST, ATTR_BYTES: as attribute.val */
    int64_t body_num; /* ATTR_INT, ATTR_DOUBLE, ATTR_BOOL: as attribute.num */
    /* Filled by mine: */
    uint64_t shape; /* content hash of the shape, 0 = not mined */
    const log_slot *slots;
    uint32_t slot_count;
} log_record;

enum { BATCH_RECORDS = 8192, BATCH_RECORDS_MAX = 1 << 22 };

typedef struct log_batch {
    arena mem; /* owns records, attributes, slots and unescaped text */
    log_record *rec;
    size_t count, cap;
    str text;      /* the bytes that records borrow from; owned by whoever made the batch */
    uint64_t seq;  /* orders the batches of an input: grows with the offset, gaps are normal */
    uint32_t file; /* of the first record: merged batches mix files, see ref.file */
    uint64_t lines, bytes; /* of input covered, including what was not a record */
} log_batch;

enum { BATCH_ARENA_MAX = 256 << 20 };

void log_batch_init(log_batch *b);
void log_batch_release(log_batch *b);
void log_batch_reset(log_batch *b);
/* Appends a zeroed record (ts_ns = TS_NONE). NULL when the batch is full: BATCH_RECORDS, or the
 * arena limit. May move the records added before. */
log_record *log_batch_add(log_batch *b);
/* As log_batch_add, but up to BATCH_RECORDS_MAX: for the further records of one line that holds
 * many (an OTLP request), which cannot be split over two batches. */
log_record *log_batch_add_over(log_batch *b);
/* Room for `more` records in one piece, so that adding them moves nothing. False when the batch
 * cannot hold as many (BATCH_RECORDS_MAX, or the arena limit). */
MUST_CHECK bool log_batch_reserve(log_batch *b, size_t more);

#endif
