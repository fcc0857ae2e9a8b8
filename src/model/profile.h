/* profile.h - profiles in OTLP's terms (v1development): samples over interned stacks. The tables
 * mirror ProfilesDictionary with all indices checked (entry 0 of each is the zero value).
 * Everything borrows from the batch's arena or its request body. */
#ifndef FL_MODEL_PROFILE_H
#define FL_MODEL_PROFILE_H

#include "model/attribute.h"

typedef struct profile_frame_line {
    uint32_t function; /* index in functions */
    int64_t line, column;
} profile_frame_line;

typedef struct profile_function {
    str name, system_name, file;
    int64_t start_line;
} profile_function;

typedef struct profile_mapping {
    uint64_t start, limit, file_offset;
    str file;
    const uint32_t *attrs;
    uint32_t attr_count;
} profile_mapping;

typedef struct profile_location {
    uint32_t mapping;
    uint64_t address;
    const profile_frame_line *lines; /* the first is the innermost inlined function */
    const uint32_t *attrs;           /* indices in attrs */
    uint32_t line_count, attr_count;
} profile_location;

typedef struct profile_stack {
    const uint32_t *locations; /* leaf first */
    uint32_t count;
} profile_stack;

typedef struct profile_attr {
    attribute attr;
    str unit;
} profile_attr;

typedef struct profile_link {
    str trace_id, span_id;
} profile_link;

typedef struct profile_sample {
    uint32_t stack, link;
    const uint32_t *attrs;
    const int64_t *values;
    const int64_t *timestamps_ns;
    uint32_t attr_count, value_count, timestamp_count;
} profile_sample;

typedef struct profile {
    const resource *resource;
    const scope *scope;
    str type, unit;               /* of the sample type */
    str period_type, period_unit; /* empty when not stated */
    int64_t period;
    int64_t ts_ns;
    uint64_t duration_ns;
    str profile_id; /* 16 bytes or empty */
    str payload_format, payload;
    const profile_sample *samples;
    const uint32_t *attrs;
    uint32_t sample_count, attr_count, dropped_attrs;
} profile;

typedef struct profile_batch {
    profile *rec;
    size_t count, cap;
    /* the dictionary of the request */
    const profile_mapping *mappings;
    const profile_location *locations;
    const profile_function *functions;
    const profile_link *links;
    const profile_attr *attrs;
    const profile_stack *stacks;
    uint32_t mapping_count, location_count, function_count, link_count, attr_count, stack_count;
} profile_batch;

#endif
