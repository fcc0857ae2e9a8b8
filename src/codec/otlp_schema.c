/* otlp_schema.c - the tables. Order: of the .proto files, which is the order members are written
 * in. */
#include "codec/otlp_schema.h"

#define ONE(number, name, type)                                                                    \
    { S_INIT(name), number, T_##type, 0, M_NONE }
#define MANY(number, name, type)                                                                   \
    { S_INIT(name), number, T_##type, F_REPEATED, M_NONE }
#define UNION(number, name, type)                                                                  \
    { S_INIT(name), number, T_##type, F_ONEOF, M_NONE }
#define ONE_OF(number, name, message)                                                              \
    { S_INIT(name), number, T_MESSAGE, 0, M_##message }
#define MANY_OF(number, name, message)                                                             \
    { S_INIT(name), number, T_MESSAGE, F_REPEATED, M_##message }
#define UNION_OF(number, name, message)                                                            \
    { S_INIT(name), number, T_MESSAGE, F_ONEOF, M_##message }
#define END                                                                                        \
    { {NULL, 0}, 0, 0, 0, 0 }

/* clang-format off */
static const otlp_field ANY[] = {
    UNION(1, "stringValue", STRING), UNION(2, "boolValue", BOOL), UNION(3, "intValue", INT64),
    UNION(4, "doubleValue", DOUBLE), UNION_OF(5, "arrayValue", ARRAY),
    UNION_OF(6, "kvlistValue", KVLIST), UNION(7, "bytesValue", BYTES),
    UNION(8, "stringValueStrindex", INT32), END};
static const otlp_field ARRAY[] = {
    MANY_OF(1, "values", ANY), END};
static const otlp_field KVLIST[] = {
    MANY_OF(1, "values", KEY_VALUE), END};
static const otlp_field KEY_VALUE[] = {
    ONE(1, "key", STRING), ONE_OF(2, "value", ANY), ONE(3, "keyStrindex", INT32), END};
static const otlp_field SCOPE[] = {
    ONE(1, "name", STRING), ONE(2, "version", STRING), MANY_OF(3, "attributes", KEY_VALUE),
    ONE(4, "droppedAttributesCount", UINT32), END};
static const otlp_field ENTITY_REF[] = {
    ONE(1, "schemaUrl", STRING), ONE(2, "type", STRING), MANY(3, "idKeys", STRING),
    MANY(4, "descriptionKeys", STRING), END};
static const otlp_field RESOURCE[] = {
    MANY_OF(1, "attributes", KEY_VALUE), ONE(2, "droppedAttributesCount", UINT32),
    MANY_OF(3, "entityRefs", ENTITY_REF), END};
static const otlp_field LOGS[] = {
    MANY_OF(1, "resourceLogs", RESOURCE_LOGS), END};
static const otlp_field RESOURCE_LOGS[] = {
    ONE_OF(1, "resource", RESOURCE), MANY_OF(2, "scopeLogs", SCOPE_LOGS),
    ONE(3, "schemaUrl", STRING), END};
static const otlp_field SCOPE_LOGS[] = {
    ONE_OF(1, "scope", SCOPE), MANY_OF(2, "logRecords", LOG_RECORD), ONE(3, "schemaUrl", STRING),
    END};
static const otlp_field LOG_RECORD[] = {
    ONE(1, "timeUnixNano", FIXED64), ONE(11, "observedTimeUnixNano", FIXED64),
    ONE(2, "severityNumber", ENUM), ONE(3, "severityText", STRING), ONE_OF(5, "body", ANY),
    MANY_OF(6, "attributes", KEY_VALUE), ONE(7, "droppedAttributesCount", UINT32),
    ONE(8, "flags", FIXED32), ONE(9, "traceId", ID), ONE(10, "spanId", ID),
    ONE(12, "eventName", STRING), END};
static const otlp_field TRACES[] = {
    MANY_OF(1, "resourceSpans", RESOURCE_SPANS), END};
static const otlp_field RESOURCE_SPANS[] = {
    ONE_OF(1, "resource", RESOURCE), MANY_OF(2, "scopeSpans", SCOPE_SPANS),
    ONE(3, "schemaUrl", STRING), END};
static const otlp_field SCOPE_SPANS[] = {
    ONE_OF(1, "scope", SCOPE), MANY_OF(2, "spans", SPAN), ONE(3, "schemaUrl", STRING), END};
static const otlp_field SPAN[] = {
    ONE(1, "traceId", ID), ONE(2, "spanId", ID), ONE(3, "traceState", STRING),
    ONE(4, "parentSpanId", ID), ONE(16, "flags", FIXED32), ONE(5, "name", STRING),
    ONE(6, "kind", ENUM), ONE(7, "startTimeUnixNano", FIXED64),
    ONE(8, "endTimeUnixNano", FIXED64), MANY_OF(9, "attributes", KEY_VALUE),
    ONE(10, "droppedAttributesCount", UINT32), MANY_OF(11, "events", SPAN_EVENT),
    ONE(12, "droppedEventsCount", UINT32), MANY_OF(13, "links", SPAN_LINK),
    ONE(14, "droppedLinksCount", UINT32), ONE_OF(15, "status", SPAN_STATUS), END};
static const otlp_field SPAN_EVENT[] = {
    ONE(1, "timeUnixNano", FIXED64), ONE(2, "name", STRING), MANY_OF(3, "attributes", KEY_VALUE),
    ONE(4, "droppedAttributesCount", UINT32), END};
static const otlp_field SPAN_LINK[] = {
    ONE(1, "traceId", ID), ONE(2, "spanId", ID), ONE(3, "traceState", STRING),
    MANY_OF(4, "attributes", KEY_VALUE), ONE(5, "droppedAttributesCount", UINT32),
    ONE(6, "flags", FIXED32), END};
static const otlp_field SPAN_STATUS[] = {
    ONE(2, "message", STRING), ONE(3, "code", ENUM), END};
static const otlp_field METRICS[] = {
    MANY_OF(1, "resourceMetrics", RESOURCE_METRICS), END};
static const otlp_field RESOURCE_METRICS[] = {
    ONE_OF(1, "resource", RESOURCE), MANY_OF(2, "scopeMetrics", SCOPE_METRICS),
    ONE(3, "schemaUrl", STRING), END};
static const otlp_field SCOPE_METRICS[] = {
    ONE_OF(1, "scope", SCOPE), MANY_OF(2, "metrics", METRIC), ONE(3, "schemaUrl", STRING), END};
static const otlp_field METRIC[] = {
    ONE(1, "name", STRING), ONE(2, "description", STRING), ONE(3, "unit", STRING),
    UNION_OF(5, "gauge", GAUGE), UNION_OF(7, "sum", SUM), UNION_OF(9, "histogram", HISTOGRAM),
    UNION_OF(10, "exponentialHistogram", EXP_HISTOGRAM), UNION_OF(11, "summary", SUMMARY),
    MANY_OF(12, "metadata", KEY_VALUE), END};
static const otlp_field GAUGE[] = {
    MANY_OF(1, "dataPoints", NUMBER_POINT), END};
static const otlp_field SUM[] = {
    MANY_OF(1, "dataPoints", NUMBER_POINT), ONE(2, "aggregationTemporality", ENUM),
    ONE(3, "isMonotonic", BOOL), END};
static const otlp_field HISTOGRAM[] = {
    MANY_OF(1, "dataPoints", HISTOGRAM_POINT), ONE(2, "aggregationTemporality", ENUM), END};
static const otlp_field EXP_HISTOGRAM[] = {
    MANY_OF(1, "dataPoints", EXP_HISTOGRAM_POINT), ONE(2, "aggregationTemporality", ENUM), END};
static const otlp_field SUMMARY[] = {
    MANY_OF(1, "dataPoints", SUMMARY_POINT), END};
static const otlp_field NUMBER_POINT[] = {
    MANY_OF(7, "attributes", KEY_VALUE), ONE(2, "startTimeUnixNano", FIXED64),
    ONE(3, "timeUnixNano", FIXED64), UNION(4, "asDouble", DOUBLE), UNION(6, "asInt", SFIXED64),
    MANY_OF(5, "exemplars", EXEMPLAR), ONE(8, "flags", UINT32), END};
static const otlp_field HISTOGRAM_POINT[] = {
    MANY_OF(9, "attributes", KEY_VALUE), ONE(2, "startTimeUnixNano", FIXED64),
    ONE(3, "timeUnixNano", FIXED64), ONE(4, "count", FIXED64), ONE(5, "sum", DOUBLE),
    MANY(6, "bucketCounts", FIXED64), MANY(7, "explicitBounds", DOUBLE),
    MANY_OF(8, "exemplars", EXEMPLAR), ONE(10, "flags", UINT32), ONE(11, "min", DOUBLE),
    ONE(12, "max", DOUBLE), END};
static const otlp_field BUCKETS[] = {
    ONE(1, "offset", SINT32), MANY(2, "bucketCounts", UINT64), END};
static const otlp_field EXP_HISTOGRAM_POINT[] = {
    MANY_OF(1, "attributes", KEY_VALUE), ONE(2, "startTimeUnixNano", FIXED64),
    ONE(3, "timeUnixNano", FIXED64), ONE(4, "count", FIXED64), ONE(5, "sum", DOUBLE),
    ONE(6, "scale", SINT32), ONE(7, "zeroCount", FIXED64), ONE_OF(8, "positive", BUCKETS),
    ONE_OF(9, "negative", BUCKETS), ONE(10, "flags", UINT32), MANY_OF(11, "exemplars", EXEMPLAR),
    ONE(12, "min", DOUBLE), ONE(13, "max", DOUBLE), ONE(14, "zeroThreshold", DOUBLE), END};
static const otlp_field QUANTILE[] = {
    ONE(1, "quantile", DOUBLE), ONE(2, "value", DOUBLE), END};
static const otlp_field SUMMARY_POINT[] = {
    MANY_OF(7, "attributes", KEY_VALUE), ONE(2, "startTimeUnixNano", FIXED64),
    ONE(3, "timeUnixNano", FIXED64), ONE(4, "count", FIXED64), ONE(5, "sum", DOUBLE),
    MANY_OF(6, "quantileValues", QUANTILE), ONE(8, "flags", UINT32), END};
static const otlp_field EXEMPLAR[] = {
    MANY_OF(7, "filteredAttributes", KEY_VALUE), ONE(2, "timeUnixNano", FIXED64),
    UNION(3, "asDouble", DOUBLE), UNION(6, "asInt", SFIXED64), ONE(4, "spanId", ID),
    ONE(5, "traceId", ID), END};
static const otlp_field PROFILES[] = {
    MANY_OF(1, "resourceProfiles", RESOURCE_PROFILES), ONE_OF(2, "dictionary", DICTIONARY), END};
static const otlp_field RESOURCE_PROFILES[] = {
    ONE_OF(1, "resource", RESOURCE), MANY_OF(2, "scopeProfiles", SCOPE_PROFILES),
    ONE(3, "schemaUrl", STRING), END};
static const otlp_field SCOPE_PROFILES[] = {
    ONE_OF(1, "scope", SCOPE), MANY_OF(2, "profiles", PROFILE), ONE(3, "schemaUrl", STRING), END};
static const otlp_field PROFILE[] = {
    ONE_OF(1, "sampleType", VALUE_TYPE), MANY_OF(2, "samples", SAMPLE),
    ONE(3, "timeUnixNano", FIXED64), ONE(4, "durationNano", UINT64),
    ONE_OF(5, "periodType", VALUE_TYPE), ONE(6, "period", INT64), ONE(7, "profileId", BYTES),
    ONE(8, "droppedAttributesCount", UINT32), ONE(9, "originalPayloadFormat", STRING),
    ONE(10, "originalPayload", BYTES), MANY(11, "attributeIndices", INT32), END};
static const otlp_field DICTIONARY[] = {
    MANY_OF(1, "mappingTable", MAPPING), MANY_OF(2, "locationTable", LOCATION),
    MANY_OF(3, "functionTable", FUNCTION), MANY_OF(4, "linkTable", PROFILE_LINK),
    MANY(5, "stringTable", STRING), MANY_OF(6, "attributeTable", KEY_VALUE_UNIT),
    MANY_OF(7, "stackTable", STACK), END};
static const otlp_field VALUE_TYPE[] = {
    ONE(1, "typeStrindex", INT32), ONE(2, "unitStrindex", INT32), END};
static const otlp_field SAMPLE[] = {
    ONE(1, "stackIndex", INT32), MANY(2, "attributeIndices", INT32), ONE(3, "linkIndex", INT32),
    MANY(4, "values", INT64), MANY(5, "timestampsUnixNano", FIXED64), END};
static const otlp_field MAPPING[] = {
    ONE(1, "memoryStart", UINT64), ONE(2, "memoryLimit", UINT64), ONE(3, "fileOffset", UINT64),
    ONE(4, "filenameStrindex", INT32), MANY(5, "attributeIndices", INT32), END};
static const otlp_field LOCATION[] = {
    ONE(1, "mappingIndex", INT32), ONE(2, "address", UINT64), MANY_OF(3, "lines", LINE),
    MANY(4, "attributeIndices", INT32), END};
static const otlp_field LINE[] = {
    ONE(1, "functionIndex", INT32), ONE(2, "line", INT64), ONE(3, "column", INT64), END};
static const otlp_field FUNCTION[] = {
    ONE(1, "nameStrindex", INT32), ONE(2, "systemNameStrindex", INT32),
    ONE(3, "filenameStrindex", INT32), ONE(4, "startLine", INT64), END};
static const otlp_field PROFILE_LINK[] = {
    ONE(1, "traceId", ID), ONE(2, "spanId", ID), END};
static const otlp_field STACK[] = {
    MANY(1, "locationIndices", INT32), END};
static const otlp_field KEY_VALUE_UNIT[] = {
    ONE(1, "keyStrindex", INT32), ONE_OF(2, "value", ANY), ONE(3, "unitStrindex", INT32), END};
static const otlp_field LOGS_RESPONSE[] = {
    ONE_OF(1, "partialSuccess", LOGS_PARTIAL), END};
static const otlp_field LOGS_PARTIAL[] = {
    ONE(1, "rejectedLogRecords", INT64), ONE(2, "errorMessage", STRING), END};
static const otlp_field TRACES_RESPONSE[] = {
    ONE_OF(1, "partialSuccess", TRACES_PARTIAL), END};
static const otlp_field TRACES_PARTIAL[] = {
    ONE(1, "rejectedSpans", INT64), ONE(2, "errorMessage", STRING), END};
static const otlp_field METRICS_RESPONSE[] = {
    ONE_OF(1, "partialSuccess", METRICS_PARTIAL), END};
static const otlp_field METRICS_PARTIAL[] = {
    ONE(1, "rejectedDataPoints", INT64), ONE(2, "errorMessage", STRING), END};
static const otlp_field PROFILES_RESPONSE[] = {
    ONE_OF(1, "partialSuccess", PROFILES_PARTIAL), END};
static const otlp_field PROFILES_PARTIAL[] = {
    ONE(1, "rejectedProfiles", INT64), ONE(2, "errorMessage", STRING), END};
/* clang-format on */

const otlp_field *const otlp_schema[M_COUNT] = {
    [M_ANY] = ANY,
    [M_ARRAY] = ARRAY,
    [M_KVLIST] = KVLIST,
    [M_KEY_VALUE] = KEY_VALUE,
    [M_SCOPE] = SCOPE,
    [M_ENTITY_REF] = ENTITY_REF,
    [M_RESOURCE] = RESOURCE,
    [M_LOGS] = LOGS,
    [M_RESOURCE_LOGS] = RESOURCE_LOGS,
    [M_SCOPE_LOGS] = SCOPE_LOGS,
    [M_LOG_RECORD] = LOG_RECORD,
    [M_TRACES] = TRACES,
    [M_RESOURCE_SPANS] = RESOURCE_SPANS,
    [M_SCOPE_SPANS] = SCOPE_SPANS,
    [M_SPAN] = SPAN,
    [M_SPAN_EVENT] = SPAN_EVENT,
    [M_SPAN_LINK] = SPAN_LINK,
    [M_SPAN_STATUS] = SPAN_STATUS,
    [M_METRICS] = METRICS,
    [M_RESOURCE_METRICS] = RESOURCE_METRICS,
    [M_SCOPE_METRICS] = SCOPE_METRICS,
    [M_METRIC] = METRIC,
    [M_GAUGE] = GAUGE,
    [M_SUM] = SUM,
    [M_HISTOGRAM] = HISTOGRAM,
    [M_EXP_HISTOGRAM] = EXP_HISTOGRAM,
    [M_SUMMARY] = SUMMARY,
    [M_NUMBER_POINT] = NUMBER_POINT,
    [M_HISTOGRAM_POINT] = HISTOGRAM_POINT,
    [M_BUCKETS] = BUCKETS,
    [M_EXP_HISTOGRAM_POINT] = EXP_HISTOGRAM_POINT,
    [M_QUANTILE] = QUANTILE,
    [M_SUMMARY_POINT] = SUMMARY_POINT,
    [M_EXEMPLAR] = EXEMPLAR,
    [M_PROFILES] = PROFILES,
    [M_RESOURCE_PROFILES] = RESOURCE_PROFILES,
    [M_SCOPE_PROFILES] = SCOPE_PROFILES,
    [M_PROFILE] = PROFILE,
    [M_DICTIONARY] = DICTIONARY,
    [M_VALUE_TYPE] = VALUE_TYPE,
    [M_SAMPLE] = SAMPLE,
    [M_MAPPING] = MAPPING,
    [M_LOCATION] = LOCATION,
    [M_LINE] = LINE,
    [M_FUNCTION] = FUNCTION,
    [M_PROFILE_LINK] = PROFILE_LINK,
    [M_STACK] = STACK,
    [M_KEY_VALUE_UNIT] = KEY_VALUE_UNIT,
    [M_LOGS_RESPONSE] = LOGS_RESPONSE,
    [M_LOGS_PARTIAL] = LOGS_PARTIAL,
    [M_TRACES_RESPONSE] = TRACES_RESPONSE,
    [M_TRACES_PARTIAL] = TRACES_PARTIAL,
    [M_METRICS_RESPONSE] = METRICS_RESPONSE,
    [M_METRICS_PARTIAL] = METRICS_PARTIAL,
    [M_PROFILES_RESPONSE] = PROFILES_RESPONSE,
    [M_PROFILES_PARTIAL] = PROFILES_PARTIAL,
};
