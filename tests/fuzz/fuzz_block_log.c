/* fuzz_block_log - payloads of log blocks: whole rows, and through the view that queries use. The
 * first byte chooses: the bytes as they are; a head with the right checksum in front (level 0); a
 * level-1 block whose header is what follows up to the length in the next two bytes and whose parts
 * are the rest. */
#include "base/mem.h"
#include "store/logselect_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16 };

static uint64_t touch(str s) { return s.n ? str_hash(s) : 0; }

static void walk_rows(str payload) {
    arena a;
    arena_init(&a, "fuzz", 512 << 20);
    lb_rows r;
    uint64_t h = 0;
    if (lb_get_rows(payload, &a, &r, NULL) == RC_OK) {
        buf body;
        buf_init(&body, 1 << 24);
        for (size_t i = 0; i < r.n; i++) {
            const lb_kind *k = &r.t.kinds[r.kind[i]];
            log_row row = {.t = &r.t, .kind = k, .cells = r.cells + r.first_cell[i]};
            str text;
            if (log_row_body(&row, &body, &text)) h ^= touch(text);
            for (uint32_t c = 0; c < k->cells; c++) {
                if (!lb_cell_is_num(k, &r.t.schemas[k->schema], c)) h ^= touch(row.cells[c]);
            }
            h ^= touch(r.t.metas[r.meta[i]].event_name) ^ r.t.resources[r.res[i]].hash;
        }
        buf_release(&body);
    }
    MUST(h != 1); /* so that it is computed */
    arena_release(&a);
}

static void ask(str payload, const log_select *q) {
    block_ref ref = {.info = {.kind = BLOCK_LOGS, .bytes = payload.n},
                     .io = {.memory = payload, .id = 1}};
    lb_head head;
    if (lb_get_head(payload, &head, NULL)) return;
    ref.info.level = head.level;
    select_stats st = {0};
    log_query *lq;
    MUST(lq_new(q, &lq, NULL) == RC_OK);
    lq_worker w;
    lq_worker_init(&w, lq);
    /* The count of rows stands beside the block: whatever the block says is right here. */
    for (int attempt = 0; attempt < 2; attempt++) {
        log_view v;
        rc code = lv_open(&v, &ref, NULL, &st, NULL);
        if (code && attempt == 0 && v.n && v.n <= BLOCK_ROWS_MAX) {
            ref.info.rows = (uint32_t)v.n;
            lv_close(&v);
            continue;
        }
        const uint64_t *bits = NULL;
        size_t count = 0;
        if (!code) code = log_match(&v, &w, &bits, &count, NULL);
        bool few;
        if (!code) code = log_few_rows(&v, bits, count, &few, NULL);
        log_batch b;
        log_batch_init(&b);
        for (size_t i = 0; !code && count && i < v.n && b.count < 100; i++) {
            if (bits) i = bitset_next(bits, v.n, i);
            if (i < v.n) code = log_put_row(&v, i, LOG_WANT_ALL, &b, NULL);
        }
        log_batch_release(&b);
        lv_close(&v);
        break;
    }
    lq_worker_release(&w);
    lq_free(lq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3 || size > INPUT_MAX) return 0;
    str in = {(const char *)data + 3, size - 3};
    char *made = mem_alloc(in.n + LB_HEAD_BYTES);
    str payload = {made, in.n + LB_HEAD_BYTES};
    memcpy(made + LB_HEAD_BYTES, in.p ? in.p : "", in.n);
    size_t n = MIN((size_t)(data[1] | data[2] << 8), in.n);
    if (data[0] % 3 == 0)
        payload = in;
    else if (data[0] % 3 == 1)
        lb_put_head(made, 0, in.n, 0, in);
    else
        lb_put_head(made, 1, n, 0, str_sub(in, 0, n));
    walk_rows(payload);
    log_select all = {.want = LOG_WANT_ALL};
    ask(payload, &all);
    label_match m = {.name = S("service_name"), .value = S("checkout"), .op = MATCH_NE};
    line_filter l[2] = {{.text = S("order"), .op = LINE_HAS},
                        {.text = S("o.*[0-9]+ "), .op = LINE_RE}};
    log_select some = {
        .c = {.match = &m, .match_count = 1}, .lines = l, .line_count = 2, .want = LOG_WANT_ALL};
    ask(payload, &some);
    log_select ids = {.trace_id = S("0123456789abcdef"), .want = LOG_WANT_ALL};
    ask(payload, &ids);
    mem_free(made);
    return 0;
}
