/* otlp_schema.h - the messages of OTLP as tables, for the way between JSON and protobuf: number,
 * JSON name and type of each field. The protobuf decoder does not use them: it is written out by
 * hand (otlp_pb.c). Source: opentelemetry-proto 1.11. */
#ifndef FL_CODEC_OTLP_SCHEMA_H
#define FL_CODEC_OTLP_SCHEMA_H

#include "base/str.h"

typedef enum otlp_type {
    T_STRING = 0,
    T_BYTES, /* JSON: base64 */
    T_ID,    /* JSON: hex */
    T_BOOL,
    T_INT32,
    T_INT64,
    T_UINT32,
    T_UINT64,
    T_SINT32,
    T_ENUM,
    T_FIXED32,
    T_FIXED64,
    T_SFIXED64,
    T_DOUBLE,
    T_MESSAGE
} otlp_type;

enum { F_REPEATED = 1, F_ONEOF = 2 };

typedef enum otlp_message {
    M_NONE = 0,
    M_ANY,
    M_ARRAY,
    M_KVLIST,
    M_KEY_VALUE,
    M_SCOPE,
    M_ENTITY_REF,
    M_RESOURCE,
    M_LOGS,
    M_RESOURCE_LOGS,
    M_SCOPE_LOGS,
    M_LOG_RECORD,
    M_TRACES,
    M_RESOURCE_SPANS,
    M_SCOPE_SPANS,
    M_SPAN,
    M_SPAN_EVENT,
    M_SPAN_LINK,
    M_SPAN_STATUS,
    M_METRICS,
    M_RESOURCE_METRICS,
    M_SCOPE_METRICS,
    M_METRIC,
    M_GAUGE,
    M_SUM,
    M_HISTOGRAM,
    M_EXP_HISTOGRAM,
    M_SUMMARY,
    M_NUMBER_POINT,
    M_HISTOGRAM_POINT,
    M_EXP_HISTOGRAM_POINT,
    M_BUCKETS,
    M_SUMMARY_POINT,
    M_QUANTILE,
    M_EXEMPLAR,
    M_PROFILES,
    M_RESOURCE_PROFILES,
    M_SCOPE_PROFILES,
    M_PROFILE,
    M_DICTIONARY,
    M_VALUE_TYPE,
    M_SAMPLE,
    M_MAPPING,
    M_LOCATION,
    M_LINE,
    M_FUNCTION,
    M_PROFILE_LINK,
    M_STACK,
    M_KEY_VALUE_UNIT,
    M_LOGS_RESPONSE,
    M_LOGS_PARTIAL,
    M_TRACES_RESPONSE,
    M_TRACES_PARTIAL,
    M_METRICS_RESPONSE,
    M_METRICS_PARTIAL,
    M_PROFILES_RESPONSE,
    M_PROFILES_PARTIAL,
    M_COUNT
} otlp_message;

enum { OTLP_FIELDS_MAX = 16 };

typedef struct otlp_field {
    str name; /* empty ends the table */
    uint8_t number, type, flags, message;
} otlp_field;

/* The fields of a message; an empty name ends them. At most OTLP_FIELDS_MAX. */
extern const otlp_field *const otlp_schema[M_COUNT];

#endif
