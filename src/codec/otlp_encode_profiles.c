/* otlp_encode_profiles.c - profiles back into OTLP. The other tables of the dictionary stand in the
 * model with their indices; the string table is gathered while profiles and tables are written, and
 * goes last. */
#include "codec/otlp_int.h"

static uint64_t index_of(buf *out, intern *strings, str s) {
    uint32_t i = intern_put(strings, s);
    if (i == INTERN_NONE) out->full = true;
    return i;
}

static void put_text(buf *out, uint32_t field, intern *strings, str s) {
    pb_put_varint_set(out, field, index_of(out, strings, s));
}

static void put_indices(buf *out, uint32_t field, const uint32_t *v, uint32_t n) {
    if (n == 0) return;
    size_t mark = pb_begin(out, field);
    for (uint32_t i = 0; i < n; i++) IGNORE(!buf_varint(out, v[i]));
    pb_end(out, mark);
}

static void put_value_type(buf *out, uint32_t field, intern *strings, str type, str unit) {
    if (!type.n && !unit.n) return;
    size_t mark = pb_begin(out, field);
    put_text(out, 1, strings, type);
    put_text(out, 2, strings, unit);
    pb_end(out, mark);
}

static void put_sample(buf *out, const profile_sample *s) {
    size_t mark = pb_begin(out, 2);
    pb_put_varint_set(out, 1, s->stack);
    put_indices(out, 2, s->attrs, s->attr_count);
    pb_put_varint_set(out, 3, s->link);
    if (s->value_count) {
        size_t values = pb_begin(out, 4);
        for (uint32_t i = 0; i < s->value_count; i++) {
            IGNORE(!buf_varint(out, (uint64_t)s->values[i]));
        }
        pb_end(out, values);
    }
    if (s->timestamp_count) {
        size_t times = pb_begin(out, 5);
        for (uint32_t i = 0; i < s->timestamp_count; i++) {
            IGNORE(!buf_le64(out, (uint64_t)s->timestamps_ns[i]));
        }
        pb_end(out, times);
    }
    pb_end(out, mark);
}

void otlp_put_profile(buf *out, const profile *p, intern *strings) {
    put_value_type(out, 1, strings, p->type, p->unit);
    for (uint32_t i = 0; i < p->sample_count && !out->full; i++) put_sample(out, &p->samples[i]);
    pb_put_fixed64_set(out, 3, (uint64_t)p->ts_ns);
    pb_put_varint_set(out, 4, p->duration_ns);
    put_value_type(out, 5, strings, p->period_type, p->period_unit);
    pb_put_varint_set(out, 6, (uint64_t)p->period);
    pb_put_bytes_set(out, 7, p->profile_id);
    pb_put_varint_set(out, 8, p->dropped_attrs);
    pb_put_bytes_set(out, 9, p->payload_format);
    pb_put_bytes_set(out, 10, p->payload);
    put_indices(out, 11, p->attrs, p->attr_count);
}

static void put_mapping(buf *out, const profile_mapping *m, intern *strings) {
    size_t mark = pb_begin(out, 1);
    pb_put_varint_set(out, 1, m->start);
    pb_put_varint_set(out, 2, m->limit);
    pb_put_varint_set(out, 3, m->file_offset);
    put_text(out, 4, strings, m->file);
    put_indices(out, 5, m->attrs, m->attr_count);
    pb_end(out, mark);
}

static void put_location(buf *out, const profile_location *l) {
    size_t mark = pb_begin(out, 2);
    pb_put_varint_set(out, 1, l->mapping);
    pb_put_varint_set(out, 2, l->address);
    for (uint32_t i = 0; i < l->line_count; i++) {
        size_t line = pb_begin(out, 3);
        pb_put_varint_set(out, 1, l->lines[i].function);
        pb_put_varint_set(out, 2, (uint64_t)l->lines[i].line);
        pb_put_varint_set(out, 3, (uint64_t)l->lines[i].column);
        pb_end(out, line);
    }
    put_indices(out, 4, l->attrs, l->attr_count);
    pb_end(out, mark);
}

static void put_function(buf *out, const profile_function *f, intern *strings) {
    size_t mark = pb_begin(out, 3);
    put_text(out, 1, strings, f->name);
    put_text(out, 2, strings, f->system_name);
    put_text(out, 3, strings, f->file);
    pb_put_varint_set(out, 4, (uint64_t)f->start_line);
    pb_end(out, mark);
}

static void put_attr(buf *out, const profile_attr *a, intern *strings) {
    size_t mark = pb_begin(out, 6);
    put_text(out, 1, strings, a->attr.key);
    if (a->attr.type != ATTR_EMPTY) {
        size_t value = pb_begin(out, 2);
        otlp_put_value(out, &a->attr);
        pb_end(out, value);
    }
    put_text(out, 3, strings, a->unit);
    pb_end(out, mark);
}

void otlp_put_dictionary(buf *out, const profile_batch *b, intern *strings) {
    size_t mark = pb_begin(out, 2);
    for (uint32_t i = 0; i < b->mapping_count; i++) put_mapping(out, &b->mappings[i], strings);
    for (uint32_t i = 0; i < b->location_count; i++) put_location(out, &b->locations[i]);
    for (uint32_t i = 0; i < b->function_count; i++) put_function(out, &b->functions[i], strings);
    for (uint32_t i = 0; i < b->link_count; i++) {
        size_t link = pb_begin(out, 4);
        pb_put_bytes_set(out, 1, b->links[i].trace_id);
        pb_put_bytes_set(out, 2, b->links[i].span_id);
        pb_end(out, link);
    }
    for (uint32_t i = 0; i < b->attr_count; i++) put_attr(out, &b->attrs[i], strings);
    for (uint32_t i = 0; i < b->stack_count; i++) {
        size_t stack = pb_begin(out, 7);
        put_indices(out, 1, b->stacks[i].locations, b->stacks[i].count);
        pb_end(out, stack);
    }
    for (uint32_t i = 0; i < strings->count && !out->full; i++) {
        pb_put_bytes(out, 5, intern_str(strings, i));
    }
    pb_end(out, mark);
}
