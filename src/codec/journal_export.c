/* journal_export.c - Source: systemd.io/JOURNAL_EXPORT_FORMATS, "Journal Export Format". */
#include "codec/journal_export.h"

#include "codec/fields_int.h"

static bool is_key(str key) {
    if (key.n == 0 || key.n > JOURNAL_KEY_MAX) return false;
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_')) return false;
    }
    return true;
}

rc journal_field(str *rest, str *ret_key, str *ret_val) {
    if (rest->n == 0) return RC_END;
    if (rest->p[0] == '\n') {
        *rest = str_from(*rest, 1);
        return RC_END;
    }
    size_t end = str_find_char(str_sub(*rest, 0, JOURNAL_ENTRY_MAX), '\n', 0);
    size_t equals = str_find_char(str_sub(*rest, 0, JOURNAL_KEY_MAX + 1), '=', 0);
    if (equals != STR_NPOS && equals < end) {
        str key = str_sub(*rest, 0, equals);
        if (!is_key(key)) return RC_INVALID;
        if (end == STR_NPOS) return rest->n < JOURNAL_ENTRY_MAX ? RC_AGAIN : RC_INVALID;
        *ret_key = key;
        *ret_val = str_sub(*rest, equals + 1, end - equals - 1);
        *rest = str_from(*rest, end + 1);
        return RC_OK;
    }
    str key = str_sub(*rest, 0, end);
    if (!is_key(key)) return RC_INVALID;
    if (end == STR_NPOS || rest->n - end - 1 < 8) return RC_AGAIN;
    uint64_t size = 0;
    for (size_t i = 0; i < 8; i++) {
        size |= (uint64_t)(unsigned char)rest->p[end + 1 + i] << (8 * i);
    }
    if (size > JOURNAL_ENTRY_MAX) return RC_INVALID;
    size_t data = end + 9;
    if (rest->n - data <= size) return RC_AGAIN; /* the value and a newline */
    if (rest->p[data + size] != '\n') return RC_INVALID;
    *ret_key = key;
    *ret_val = str_sub(*rest, data, size);
    *rest = str_from(*rest, data + size + 1);
    return RC_OK;
}

/* Behind the next empty line; 0 when there is none yet. */
static size_t resync(str chunk, bool last) {
    size_t at = str_find(chunk, S("\n\n"), 0);
    if (at != STR_NPOS) return at + 2;
    return last ? chunk.n : 0;
}

static size_t next(str chunk, bool last) {
    str rest = chunk, key, val;
    while (rest.n && rest.p[0] == '\n') rest = str_from(rest, 1); /* empty lines before the entry */
    if (rest.n == 0) return chunk.n;
    rc code;
    while ((code = journal_field(&rest, &key, &val)) == RC_OK) {
        if (rest.n == 0 && !last) return 0;
    }
    size_t used = (size_t)(rest.p - chunk.p);
    if (code == RC_END) return used;
    if (code == RC_AGAIN && chunk.n <= JOURNAL_ENTRY_MAX) return last ? chunk.n : 0;
    size_t damaged = resync(str_from(chunk, used), last);
    return damaged ? used + damaged : 0;
}

static rc parse(line_ctx *c, str record, err *e) {
    size_t before = c->batch->count;
    json_member members[LINE_ATTRS_MAX];
    size_t n = 0;
    str rest = record, key, val;
    while (rest.n && rest.p[0] == '\n') rest = str_from(rest, 1);
    str whole = rest;
    rc code;
    while ((code = journal_field(&rest, &key, &val)) == RC_OK) {
        if (n == LINE_ATTRS_MAX) continue;
        members[n++] = (json_member){.key = key, .val = {.kind = JSON_STRING, .text = val}};
    }
    bool cut = code == RC_AGAIN && n > 0; /* the input ends inside a field */
    size_t equals = str_find_char(rest, '=', 0);
    if (cut && equals != STR_NPOS && n < LINE_ATTRS_MAX) { /* which is text: take what there is */
        members[n++] = (json_member){
            .key = str_sub(rest, 0, equals),
            .val = {.kind = JSON_STRING, .text = str_from(rest, equals + 1)},
        };
    }
    if (code != RC_END && !cut) {
        return FAIL(e, RC_INVALID, "line %" PRIu64 ": damaged journal entry", c->line_no);
    }
    if (n == 0) return RC_OK;
    whole = str_trim_right(whole);
    c->stats->unparsed_lines += cut;
    uint64_t offset = c->offset, line_no = c->line_no;
    c->offset += (uint64_t)(whole.p - record.p);
    c->line_no += (uint64_t)(whole.p - record.p); /* the empty lines before it */
    log_record *r = line_record_add(c, whole);
    c->offset = offset;
    c->line_no = line_no;
    const field_opts o = {.whole = whole, .journal = true};
    code = r ? fields_fill(c, members, n, &o, r) : RC_LIMIT;
    if (code != RC_OK) {
        c->batch->count = before;
        return FAIL(e, RC_LIMIT, "line %" PRIu64 ": batch is full", c->line_no);
    }
    for (size_t i = 0; i < whole.n; i++) r->line_count += whole.p[i] == '\n';
    return RC_OK;
}

/* Fields with journal names from the very start, the time of the entry among them. */
static unsigned score(str sample) {
    str rest = sample, key, val;
    while (rest.n && rest.p[0] == '\n') rest = str_from(rest, 1);
    unsigned fields = 0;
    bool cursor = false, time = false;
    while (journal_field(&rest, &key, &val) == RC_OK) {
        fields++;
        cursor |= str_eq(key, S("__CURSOR"));
        time |= str_eq(key, S("__REALTIME_TIMESTAMP"));
    }
    if (time) return 100;
    return cursor && fields > 0 ? 90 : 0;
}

const record_fmt record_fmt_journal_export = {
    .name = "journal-export",
    .score = score,
    .next = next,
    .parse = parse,
};
