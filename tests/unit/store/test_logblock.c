/* Log blocks without files: merging keeps every row, whatever was merged before; a hash that two
 * skeletons share changes no byte; what cannot be mined comes back. */
#include "telemetry_gen.h"

#include "base/mem.h"
#include "base/vec.h"
#include "mine/mine.h"
#include "store/logview_int.h"

enum { MERGE_BYTES = 32 << 20 };

static const int64_t BASE = 1785542400000000000;

static log_record *add(telemetry *t, int64_t ts, str body) {
    log_record *r = log_batch_add_over(&t->logs);
    assert_non_null(r);
    r->ts_ns = ts;
    r->body = body;
    return r;
}

static str payload_of(const block_list *l, size_t i) {
    return (str){l->bytes[i] + sizeof(block_io), l->info[i].bytes};
}

/* Sum over rows of a hash of everything a row is, so that order does not matter. */
static uint64_t rows_sum(const block_list *l, size_t from, size_t *ret_rows) {
    uint64_t sum = 0;
    *ret_rows = 0;
    for (size_t b = from; b < l->count; b++) {
        arena a;
        arena_init(&a, "rows", 1 << 28);
        lb_rows r;
        err e = {0};
        rc code = lb_get_rows(payload_of(l, b), &a, &r, &e);
        if (code) fail_msg("block %zu: %s", b, e.msg);
        assert_rc(lb_verify(&l->io[b], &l->info[b], &e), RC_OK);
        *ret_rows += r.n;
        buf body;
        buf_init(&body, 1 << 24);
        for (size_t i = 0; i < r.n; i++) {
            const lb_kind *k = &r.t.kinds[r.kind[i]];
            const lb_schema *s = &r.t.schemas[k->schema];
            log_row row = {.t = &r.t, .kind = k, .cells = r.cells + r.first_cell[i]};
            str text;
            assert_true(log_row_body(&row, &body, &text));
            uint64_t h = str_hash(text) ^ mix64((uint64_t)r.time[i]) ^ k->shape ^ k->body_type;
            for (uint32_t c = k->slots; c < k->cells; c++) {
                str cell = row.cells[c];
                h = mix64(h ^ (lb_cell_is_num(k, s, c) ? cell.n : str_hash(cell)));
            }
            const lb_meta *m = &r.t.metas[r.meta[i]];
            h = mix64(h ^ m->severity ^ str_hash(m->event_name) ^ (uint64_t)m->flags << 32);
            h = mix64(h ^ r.t.resources[r.res[i]].hash ^ (uint64_t)r.observed[i] ^ r.bits[i]);
            sum += h;
        }
        buf_release(&body);
        arena_release(&a);
    }
    return sum;
}

static telemetry *random_telemetry(rng *r, miner *m, size_t rows, int64_t *now) {
    telemetry *t = telemetry_new();
    t->arrival_ns = *now;
    for (size_t i = 0; i < rows; i++) {
        arena *a = &t->logs.mem;
        unsigned n = (unsigned)rng_below(r, 1000000);
        *now += (int64_t)rng_below(r, 1000000);
        str body;
        switch (rng_below(r, 7)) {
        case 0:
            body = str_fmt(a, "GET /items/%u took %u.%03u ms", n, n % 90, n % 999);
            break;
        case 1:
            body = str_fmt(a, "user %s.%u changed role", n & 1 ? "ana" : "bo", n % 5000);
            break;
        case 2:
            body = str_fmt(a, "job w%c-sweep done, %u rows", 'a' + (char)(n % 26), n);
            break;
        case 3:
            body = str_fmt(a, "id %08x%08x stored at 10.0.%u.%u", n * 77u, n * 13u, n % 4, n % 250);
            break;
        case 4:
            body = gen_text(a, r);
            break;
        case 5:
            body = str_fmt(a, "-%04u +0%u 0x%X", n % 10000, n, n);
            break;
        default:
            body = S("done");
            break;
        }
        log_record *x = add(t, rng_below(r, 30) ? *now : TS_NONE, body);
        x->resource = gen_resource(&t->mem, r);
        x->severity = (uint8_t)rng_below(r, 25);
        if (rng_below(r, 50) == 0) x->observed_ns = *now + 5;
        attribute *attrs = arena_try_new_n(a, attribute, 6);
        x->attr_count = (uint32_t)rng_below(r, 3);
        for (uint32_t k = 0; k < x->attr_count; k++) attrs[k] = gen_attr(&t->mem, r);
        attrs[x->attr_count++] =
            (attribute){.key = S("seq"), .num = (int64_t)(i % 16), .type = ATTR_INT};
        x->attrs = attrs;
    }
    err e = {0};
    assert_rc(miner_batch(m, &t->logs, &e), RC_OK);
    return t;
}

static void merged_rows_are_those_given(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("merge"));
    miner *m;
    assert_rc(miner_new(NULL, &m, NULL), RC_OK);
    for (int round = 0; round < 12; round++) {
        static block_list l0, l1, l2;
        l0.count = l1.count = l2.count = 0;
        int64_t now = BASE;
        size_t blocks = 2 + rng_below(&r, 12), want = 0, rows = 0;
        for (size_t i = 0; i < blocks; i++) {
            size_t n = 1 + rng_below(&r, i == 0 ? 3000 : 300);
            if (rng_below(&r, 4) == 0) now = BASE; /* overlaps */
            telemetry *t = random_telemetry(&r, m, n, &now);
            assert_rc(LOG_BLOCKS.encode(&t, 1, block_list_put, &l0, NULL), RC_OK);
            telemetry_free(t);
            want += n;
        }
        uint64_t sum = rows_sum(&l0, 0, &rows);
        assert_int_equal(rows, want);
        size_t bad, half = l0.count / 2;
        assert_rc(LOG_BLOCKS.merge(l0.io, l0.info, half, MERGE_BYTES, block_list_put, &l1, NULL,
                                   &bad, NULL),
                  RC_OK);
        for (size_t i = half; i < l0.count; i++) /* the rest at level 0 */
            assert_rc(block_list_put(&l1, &l0.info[i], payload_of(&l0, i), NULL), RC_OK);
        assert_true(rows_sum(&l1, 0, &rows) == sum);
        /* Little memory: more blocks, the same rows. */
        size_t memory = round % 2 ? MERGE_BYTES : 200000;
        assert_rc(LOG_BLOCKS.merge(l1.io, l1.info, l1.count, memory, block_list_put, &l2, NULL,
                                   &bad, NULL),
                  RC_OK);
        assert_true(rows_sum(&l2, 0, &rows) == sum);
        assert_int_equal(rows, want);
        for (size_t i = 0; i < l2.count; i++) assert_int_equal(l2.info[i].level, 1);
        /* Damage names the block. */
        if (l1.count) {
            size_t at = l1.count - 1;
            l1.bytes[at][sizeof(block_io) + l1.info[at].bytes / 2] ^= 1;
            static block_list l3;
            l3.count = 0;
            err e = {0};
            bad = SIZE_MAX;
            rc code = LOG_BLOCKS.merge(l1.io, l1.info, l1.count, MERGE_BYTES, block_list_put, &l3,
                                       NULL, &bad, &e);
            assert_rc(code, RC_CORRUPT);
            assert_int_equal(bad, at);
            assert_rc(LOG_BLOCKS.verify(&l1.io[at], &l1.info[at], &e), RC_CORRUPT);
            block_list_release(&l3);
        }
        block_list_release(&l0);
        block_list_release(&l1);
        block_list_release(&l2);
    }
    miner_free(m);
}

/* Row i of a block read as a whole is the row that was read alone. */
static void assert_same_row(const lb_rows *r, size_t i, const log_row *got) {
    const lb_kind *k = &r->t.kinds[r->kind[i]];
    assert_int_equal(got->kind - got->t->kinds, r->kind[i]);
    assert_int_equal(got->meta - got->t->metas, r->meta[i]);
    assert_int_equal(got->res - got->t->resources, r->res[i]);
    assert_int_equal(got->time, r->time[i]);
    assert_int_equal(got->observed, r->observed[i]);
    assert_int_equal(got->bits, r->bits[i]);
    size_t ids = (r->bits[i] & ROW_TRACE ? 16u : 0u) + (r->bits[i] & ROW_SPAN ? 8u : 0u);
    assert_true(ids == 0 || memcmp(got->ids, r->ids[i], ids) == 0);
    for (uint32_t c = 0; c < k->cells; c++) {
        str want = r->cells[r->first_cell[i] + c];
        if (lb_cell_is_num(k, &r->t.schemas[k->schema], c))
            assert_true(got->cells[c].n == want.n);
        else
            assert_text(got->cells[c], want);
    }
}

static void few_rows_are_those_of_the_block(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("few"));
    miner *m;
    assert_rc(miner_new(NULL, &m, NULL), RC_OK);
    for (int round = 0; round < 4; round++) {
        static block_list l0, l1;
        l0.count = l1.count = 0;
        int64_t now = BASE;
        size_t want = round == 0 ? LB_PAGE : 1000 + rng_below(&r, 24000), rows = 0, bad;
        char traces[64][24];
        for (size_t i = 0; i < sizeof traces; i++) traces[i / 24][i % 24] = (char)rng_u64(&r);
        while (rows < want) {
            size_t n = MIN(want - rows, 1 + rng_below(&r, 5000));
            telemetry *t = random_telemetry(&r, m, n, &now);
            for (size_t i = 0; i < n && round != 2; i++) {
                char *id = traces[rng_below(&r, (rows + i) / 300 % 64 + 1)];
                if (rng_below(&r, 3)) t->logs.rec[i].trace_bin = (str){id, 16};
                if (rng_below(&r, 3)) t->logs.rec[i].span_bin = (str){id + 16, 8};
            }
            assert_rc(LOG_BLOCKS.encode(&t, 1, block_list_put, &l0, NULL), RC_OK);
            telemetry_free(t);
            rows += n;
        }
        assert_rc(LOG_BLOCKS.merge(l0.io, l0.info, l0.count, MERGE_BYTES, block_list_put, &l1, NULL,
                                   &bad, NULL),
                  RC_OK);
        assert_int_equal(l1.count, 1);
        arena a;
        arena_init(&a, "rows", 1 << 28);
        lb_rows all;
        assert_rc(lb_get_rows(payload_of(&l1, 0), &a, &all, NULL), RC_OK);
        block_ref ref = {l1.info[0], l1.io[0]};
        select_stats st = {0};
        for (int k = 0; k < 60; k++) {
            log_view v;
            assert_rc(lv_open(&v, &ref, NULL, &st, NULL), RC_OK);
            uint32_t at[LV_FEW_ROWS];
            size_t n = 0, row = rng_below(&r, 2) ? rng_below(&r, v.n) : 0;
            for (; row < v.n && n < LV_FEW_ROWS; row += 1 + rng_below(&r, k % 2 ? 4 : 3000))
                at[n++] = (uint32_t)row;
            assert_rc(lv_need_few(&v, at, n, NULL), RC_OK);
            for (size_t i = 0; i < n; i++) {
                const log_row *got = lv_few_at(&v, at[i]);
                assert_non_null(got);
                assert_same_row(&all, at[i], got);
            }
            assert_null(lv_few_at(&v, v.n));
            const char *id = traces[rng_below(&r, 64)];
            size_t found = 0, next = 0;
            assert_rc(lv_trace_rows(&v, id, at, LV_FEW_ROWS, &found, NULL), RC_OK);
            for (size_t i = 0; i < v.n; i++) {
                if (!(all.bits[i] & ROW_TRACE) || memcmp(all.ids[i], id, 16) != 0) continue;
                if (next < LV_FEW_ROWS) assert_int_equal(at[next], i);
                next++;
            }
            assert_int_equal(found, MIN(next, (size_t)LV_FEW_ROWS + 1));
            lv_close(&v);
        }
        arena_release(&a);
        block_list_release(&l0);
        block_list_release(&l1);
    }
    miner_free(m);
}

/* Reads the only block back as bodies in order. */
static void check_bodies(const block_list *l, const str *want, size_t n) {
    arena a;
    arena_init(&a, "rows", 1 << 28);
    lb_rows r;
    assert_rc(lb_get_rows(payload_of(l, 0), &a, &r, NULL), RC_OK);
    assert_int_equal(r.n, n);
    buf body;
    buf_init(&body, 64 << 20);
    for (size_t i = 0; i < n; i++) {
        log_row row = {
            .t = &r.t, .kind = &r.t.kinds[r.kind[i]], .cells = r.cells + r.first_cell[i]};
        str text;
        assert_true(log_row_body(&row, &body, &text));
        assert_text(text, want[i]);
    }
    buf_release(&body);
    arena_release(&a);
}

static void same_shape_with_other_constants(void **state) {
    (void)state;
    telemetry *t = telemetry_new();
    static const log_slot slot = {5, 2, SLOT_INT}, late = {6, 2, SLOT_INT},
                          wrong = {3, 200, SLOT_INT};
    const str bodies[] = {S("took 12 ms"),  S("TOOK 13 MS"),    S("took 14 ms"),
                          S("took  15 ms"), S("\x01ook 16 ms"), S("took 17 ms")};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        log_record *r = add(t, BASE + (int64_t)i, bodies[i]);
        r->shape = 4711; /* as if all skeletons had one hash */
        r->slots = i == 3 ? &late : i == 5 ? &wrong : &slot;
        r->slot_count = 1;
    }
    static block_list l0, l1;
    l0.count = l1.count = 0;
    size_t bad;
    assert_rc(LOG_BLOCKS.encode(&t, 1, block_list_put, &l0, NULL), RC_OK);
    check_bodies(&l0, bodies, ARRAY_LEN(bodies));
    assert_rc(
        LOG_BLOCKS.merge(l0.io, l0.info, 1, MERGE_BYTES, block_list_put, &l1, NULL, &bad, NULL),
        RC_OK);
    check_bodies(&l1, bodies, ARRAY_LEN(bodies));
    block_list_release(&l0);
    block_list_release(&l1);
    telemetry_free(t);
}

static void large_and_odd_bodies(void **state) {
    (void)state;
    telemetry *t = telemetry_new();
    size_t big = 16 << 20;
    char *p = arena_bytes(&t->mem, big, 1);
    for (size_t i = 0; i < big; i++) p[i] = (char)(i * 2654435761u >> 24);
    const str bodies[] = {{p, big}, S(""), {"\0\0", 2}, S("\xff\xfe bad"), {p, 70000}, S("plain")};
    miner *m;
    assert_rc(miner_new(NULL, &m, NULL), RC_OK);
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) add(t, BASE + (int64_t)i, bodies[i]);
    assert_rc(miner_batch(m, &t->logs, NULL), RC_OK);
    static block_list l0, l1;
    l0.count = l1.count = 0;
    size_t bad;
    assert_rc(LOG_BLOCKS.encode(&t, 1, block_list_put, &l0, NULL), RC_OK);
    check_bodies(&l0, bodies, ARRAY_LEN(bodies));
    assert_rc(
        LOG_BLOCKS.merge(l0.io, l0.info, 1, MERGE_BYTES, block_list_put, &l1, NULL, &bad, NULL),
        RC_OK);
    check_bodies(&l1, bodies, ARRAY_LEN(bodies));
    block_list_release(&l0);
    block_list_release(&l1);
    miner_free(m);
    telemetry_free(t);
}

static void literals_of_expressions(void **state) {
    (void)state;
    static const struct {
        const char *re, *want; /* joined by '|' */
    } cases[] = {
        {"order .* total 1\\d+\\.", "order | total 1|."},
        {"blk_.* size \\d+", "blk_| size "},
        {"abc", "abc"},
        {"abc?d", "ab|d"},
        {"ab+c", "ab|c"},
        {"a{2,3}b", "b"},
        {"a(b|c)d", "a|d"},
        {"a|b", ""},
        {"(?i)abc", ""},
        {"x[ab]]y", "x|]y"},
        {"\\Qa.b\\E", ""},
        {"caf\xc3\xa9?s", "caf|s"},
        {"^GET /(\\w+)/\\d+$", "GET /|/"},
        {"a\\|b", "a|b"},
        {"(unclosed", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        arena a;
        arena_init(&a, "re", 1 << 20);
        str got[8];
        size_t n = regex_literals(str_c(cases[i].re), &a, got, 8);
        char joined[200] = "";
        for (size_t k = 0; k < n; k++) {
            size_t at = strlen(joined);
            snprintf(joined + at, sizeof joined - at, "%s%.*s", k ? "|" : "", STR_ARG(got[k]));
        }
        assert_text(str_c(joined), str_c(cases[i].want));
        arena_release(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merged_rows_are_those_given),
        cmocka_unit_test(few_rows_are_those_of_the_block),
        cmocka_unit_test(same_shape_with_other_constants),
        cmocka_unit_test(large_and_odd_bodies),
        cmocka_unit_test(literals_of_expressions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
