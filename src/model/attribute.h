/* attribute.h - key and typed value, and the resource and scope that records share: OTLP's
 * AnyValue, KeyValue, Resource and InstrumentationScope.
 *
 * Values without loss: text and bytes as they are, numbers in `num`, lists and nested maps as the
 * protobuf encoding of their ArrayValue or KeyValueList message (however they came in), so that
 * they are stored and given back bit for bit. A zeroed attribute is an empty text. Readers of text
 * (files) fill `val` of every kind; decoders of OTLP leave `val` of numbers and booleans empty:
 * attribute_text (codec/otlp.h) gives the text of any. */
#ifndef FL_MODEL_ATTRIBUTE_H
#define FL_MODEL_ATTRIBUTE_H

#include "base/arena.h"
#include "base/str.h"

/* The order is the on-disk order: only append. */
typedef enum attribute_type {
    ATTR_STR = 0,
    ATTR_INT,    /* num: int64_t */
    ATTR_DOUBLE, /* num: the bits of a double */
    ATTR_BOOL,   /* num: 0 or 1 */
    ATTR_BYTES,  /* val: the bytes */
    ATTR_ARRAY,  /* val: protobuf ArrayValue */
    ATTR_KVLIST, /* val: protobuf KeyValueList */
    ATTR_EMPTY   /* an AnyValue without a value */
} attribute_type;

typedef struct attribute {
    str key, val; /* val: text as found (numbers and booleans as their text, unquoted, unescaped) */
    int64_t num;
    uint8_t type; /* attribute_type */
} attribute;

static inline attribute attribute_text_of(str key, str val) {
    return (attribute){.key = key, .val = val};
}

/* What many records share. Owned by the arena of their batch. */
typedef struct resource {
    const attribute *attrs; /* as sent, in order */
    uint32_t attr_count, dropped_attrs;
    str schema_url;  /* of the ResourceLogs / ResourceSpans / ... */
    str entity_refs; /* the EntityRef fields (resource.proto field 3) as protobuf bytes; mostly
                        empty */
    str service;     /* service.name; empty when not stated */
    str host;        /* host.name; empty when not stated */
    uint64_t hash; /* of everything above but service and host: equal resources are merged by it */
} resource;

typedef struct scope {
    str name, version, schema_url;
    const attribute *attrs;
    uint32_t attr_count, dropped_attrs;
    uint64_t hash;
} scope;

#endif
