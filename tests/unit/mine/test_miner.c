#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/rng.h"
#include "mine/mine.h"

static miner *new_miner(const miner_opts *o) {
    miner *m;
    err e = {0};
    assert_int_equal(miner_new(o, &m, &e), RC_OK);
    return m;
}

static uint64_t add(miner *m, const char *line) { return miner_add(m, str_c(line), NULL, 0, NULL); }

static bool together(miner *m, const char *a, const char *b) {
    uint64_t x = add(m, a), y = add(m, b);
    miner_group(m);
    uint64_t tx = miner_template_of(m, x), ty = miner_template_of(m, y);
    assert_true(tx != 0 && ty != 0);
    return tx == ty;
}

static void assert_text(miner *m, const char *line, const char *want) {
    uint64_t id = add(m, line);
    miner_group(m);
    template_info t;
    assert_int_equal(miner_template(m, id, &t), RC_OK);
    if (t.text.n != strlen(want) || memcmp(t.text.p, want, t.text.n) != 0) {
        fail_msg("text is '%.*s', not '%s'", STR_ARG(t.text), want);
    }
}

/* The message, put together again from the shape and the values, must be the message. */
static void assert_renders(miner *m, str line) {
    log_slot slots[SLOTS_MAX];
    uint32_t n;
    uint64_t id = miner_add(m, line, slots, SLOTS_MAX, &n);
    str values[SLOTS_MAX];
    size_t end = 0;
    for (uint32_t k = 0; k < n; k++) {
        assert_true(slots[k].offset >= end && slots[k].bytes > 0);
        end = slots[k].offset + (size_t)slots[k].bytes;
        assert_true(end <= line.n && slots[k].type < SLOT_TYPE_COUNT);
        values[k] = str_sub(line, slots[k].offset, slots[k].bytes);
    }
    buf out;
    buf_init(&out, line.n + 1);
    err e = {0};
    assert_int_equal(miner_render(m, id, values, n, &out, &e), RC_OK);
    assert_int_equal(out.n, line.n);
    if (line.n) assert_memory_equal(out.p, line.p, line.n);
    buf_release(&out);
}

static void opposites_stay_apart(void **state) {
    (void)state;
    miner *m = new_miner(NULL);
    assert_false(together(m, "[instance: 0a1b2c3d] VM Started (Lifecycle Event)",
                          "[instance: 99aabbcc] VM Paused (Lifecycle Event)"));
    assert_false(together(m, "link eth0 is up", "link eth0 is down"));
    assert_false(together(m, "Accepted password for root from 10.0.0.1 port 22",
                          "Failed password for root from 10.0.0.1 port 22"));
    assert_true(together(m, "took 12 ms for /a/b", "took 7 ms for /c/d/e"));
    miner_free(m);
}

static void values_of_several_words_meet(void **state) {
    (void)state;
    miner *m = new_miner(NULL);
    assert_true(together(m, "asked 10.0.0.1:80 to delete blk_1 blk_2 blk_3",
                         "asked 10.0.0.2:80 to delete blk_7"));
    assert_true(together(m, "closed, 651 bytes sent, lifetime <1 sec",
                         "closed, 1190 bytes (1.16 KB) sent, lifetime 00:17"));
    miner_free(m);
}

static void words_that_vary_become_one_template(void **state) {
    (void)state;
    static const char *const users[] = {"ann",   "bob",  "carl", "dora", "emil",
                                        "fritz", "gerd", "hans", "ida"};
    miner *m = new_miner(NULL);
    char line[100];
    uint64_t first = 0;
    for (size_t i = 0; i < 9; i++) {
        snprintf(line, sizeof(line), "Refused key of %s from 10.1.2.%zu", users[i], i);
        uint64_t id = add(m, line);
        if (!first) first = id;
    }
    miner_group(m);
    template_info t;
    assert_int_equal(miner_template(m, first, &t), RC_OK);
    assert_int_equal(t.count, 9);
    assert_int_equal(t.shapes, 9);
    assert_true(str_eq(t.text, S("Refused key of <*> from <*>")));
    miner_free(m);
}

static void every_line_renders_exactly(void **state) {
    (void)state;
    static const char *const lines[] = {
        "",
        " ",
        "plain words only",
        "Served block blk_-26 to /10.2.7.5:50010 in 12 ms",
        "  odd   spacing\tand tabs 12  ",
        "connection from 10.0.0.1 () at Fri Jun 17 07:07:00 2005",
        "{\"level\":\"info\",\"msg\":\"took 12 ms\",\"user\":\"bob\",\"n\":5}",
        "level=info msg=\"request done\" path=/x dur=12ms id=\"a b c\"",
        "用户 张三 登录失败 3 次, 订单12345成功",
        "path:/var/log/x[1]=a:b_c/d end",
        "C:\\Windows\\System32\\x.dll loaded",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
        "https://example.com/a?b=c&d=1#x, then",
        "trailing slash /a/b/ and dots......... 0",
    };
    miner *m = new_miner(NULL);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_renders(m, str_c(lines[i]));
    /* Random bytes, biased to the ones that matter. */
    static const char alphabet[] = "aB0.:/-_=\"' ,()[]{}<>\\%@+$~\t\n\x01\x80\xe4 12:3410.0.0.1";
    rng r;
    rng_init(&r, 7);
    char bytes[400];
    for (int i = 0; i < 20000; i++) {
        size_t n = rng_below(&r, sizeof(bytes));
        for (size_t k = 0; k < n; k++) {
            bytes[k] = rng_below(&r, 20) ? alphabet[rng_below(&r, sizeof(alphabet) - 1)]
                                         : (char)rng_below(&r, 256);
        }
        assert_renders(m, str_make(bytes, n));
    }
    miner_free(m);
}

static void texts_follow_the_conventions(void **state) {
    (void)state;
    miner *m = new_miner(NULL);
    assert_text(m, "generating core.2275", "generating core.<*>");
    assert_text(m, "Accepted key for ann port 99 ssh2", "Accepted key for ann port <*> ssh2");
    assert_text(m, "ready=true, name = null, (null)", "ready=<*>, name = <*>, (<*>)");
    assert_text(m, "from 10.0.0.1 at Fri Jun 17 07:07:00 2005 on", "from <*> at <*> on");
    miner_free(m);
}

static void slots_are_named(void **state) {
    (void)state;
    miner *m = new_miner(NULL);
    uint64_t id = add(m, "took 12 ms, size=5 \"user\": 7 id:9");
    const char *want[] = {"took", "size", "user", "id"};
    for (uint32_t k = 0; k < 4; k++) {
        str name = miner_slot_name(m, id, k);
        if (!str_eq(name, str_c(want[k]))) fail_msg("slot %u is '%.*s'", k, STR_ARG(name));
    }
    assert_int_equal(miner_slot_name(m, id, 4).n, 0);
    miner_free(m);
}

static void words_after_slots(void **state) {
    (void)state;
    miner *m = new_miner(NULL);
    uint64_t id =
        add(m, "returned 3 rows in 8 ms, 9 milliseconds, 12.5 MB/s (97 %) size 7. next 5=17 end 9");
    const char *want[] = {"rows", "", "milliseconds", "MB/s", "%", "", "", "end", ""};
    assert_int_equal(miner_slot_count(m, id), ARRAY_LEN(want));
    for (uint32_t k = 0; k < ARRAY_LEN(want); k++) {
        str word = miner_slot_after(m, id, k);
        if (!str_eq(word, str_c(want[k]))) fail_msg("after slot %u: '%.*s'", k, STR_ARG(word));
    }
    assert_int_equal(miner_slot_after(m, id, 99).n, 0);
    assert_int_equal(miner_slot_after(m, id + 1, 0).n, 0);
    miner_free(m);
}

static void counts_add_up_within_bounds(void **state) {
    (void)state;
    miner *m = new_miner(&(miner_opts){.max_shapes = 50});
    char line[64];
    for (int i = 0; i < 5000; i++) {
        /* unlike each other in every word */
        snprintf(line, sizeof(line), "w%cx%cy z%c%cq %c", 'a' + i % 26, 'a' + i / 26 % 26,
                 'a' + i / 7 % 26, 'a' + i % 11, 'a' + i / 676 % 26);
        add(m, line);
        add(m, "the one that comes back");
    }
    miner_group(m);
    miner_counts c;
    miner_count(m, &c);
    assert_int_equal(c.lines, 10000);
    assert_true(c.shapes <= 50);
    assert_true(c.evicted > 0 && c.overflow > 0);
    uint64_t sum = c.overflow;
    template_info t;
    uint64_t best = 0;
    for (size_t i = 0; miner_template_at(m, i, &t) == RC_OK; i++) {
        sum += t.count;
        if (t.count > best) best = t.count;
    }
    assert_int_equal(sum, c.lines);
    assert_int_equal(best, 5000); /* what repeats is never pushed out */
    miner_free(m);
}

/* Two statements whose values are the same few words: neither has many of them. */
static void values_shared_by_two_statements_meet(void **state) {
    (void)state;
    miner *m = new_miner(NULL);
    static const char *const users[] = {"ann", "bob", "carl"};
    char line[100];
    uint64_t open[3], shut[3];
    for (int i = 0; i < 3; i++) {
        snprintf(line, sizeof(line), "session opened for user %s by uid 0", users[i]);
        open[i] = add(m, line);
        snprintf(line, sizeof(line), "session closed for user %s", users[i]);
        shut[i] = add(m, line);
    }
    miner_group(m);
    uint64_t a = miner_template_of(m, open[0]), b = miner_template_of(m, shut[0]);
    assert_true(a && b && a != b);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(miner_template_of(m, open[i]), a);
        assert_int_equal(miner_template_of(m, shut[i]), b);
    }
    miner_free(m);
}

static void json_and_logfmt_keep_their_keys(void **state) {
    (void)state;
    miner *m = new_miner(NULL);
    assert_true(
        together(m, "{\"level\":\"info\",\"msg\":\"order placed\",\"user\":\"ann\",\"id\":1}",
                 "{\"level\":\"info\",\"msg\":\"order placed\",\"user\":\"bob b\",\"id\":22}"));
    assert_false(together(m, "{\"level\":\"info\",\"msg\":\"order placed\",\"id\":1}",
                          "{\"level\":\"info\",\"msg\":\"order refused\",\"id\":1}"));
    assert_true(together(m, "level=info msg=\"got it\" tag=\"a b\" dur=1ms",
                         "level=info msg=\"got it\" tag=\"c\" dur=20ms"));
    assert_false(together(m, "level=info msg=\"got it\" tag=\"a b\" dur=1ms",
                          "level=info msg=\"lost it\" tag=\"a b\" dur=1ms"));
    miner_free(m);
}

static void chinese_words_are_words(void **state) {
    (void)state;
    miner *m = new_miner(NULL);
    assert_true(together(m, "订单12345处理成功 耗时30毫秒", "订单777处理成功 耗时4毫秒"));
    assert_false(together(m, "订单12345处理成功", "订单12345处理失败"));
    assert_text(m, "货物12345 已发出", "货物<*> 已发出");
    miner_free(m);
}

/* ---- properties over a made-up log ---- */

enum { LOG_LINES = 4000 };

static str log_line(rng *r, char *out, size_t cap) {
    static const char *const users[] = {"ann",  "bob",  "carl", "dora", "emil", "fay",
                                        "gerd", "hans", "ida",  "jon",  "kim",  "lea"};
    const char *u = users[rng_below(r, 12)];
    unsigned n = (unsigned)rng_below(r, 100000);
    int len = 0;
    switch (rng_below(r, 9)) {
    case 0:
        len = snprintf(out, cap, "session opened for user %s by (uid=%u)", u, n);
        break;
    case 1:
        len = snprintf(out, cap, "session closed for user %s", u);
        break;
    case 2:
        len = snprintf(out, cap, "read %u bytes from /var/data/%u.bin in %u ms", n, n, n % 90);
        break;
    case 3:
        len = snprintf(out, cap, "host%u:%u refused connection from 10.0.%u.7", n % 50, n % 9000,
                       n % 200);
        break;
    case 4:
        len = snprintf(out, cap, "node %s refused connection from 10.0.%u.7", u, n % 200);
        break;
    case 5:
        len = snprintf(out, cap, "core.%u written, ws=%s", n, n % 2 ? "null" : "Source{17}");
        break;
    case 6:
        len = snprintf(out, cap, "state=%s at 12:%02u:07", n % 3 ? "up" : "down", n % 60);
        break;
    case 7:
        len = snprintf(out, cap, "%u.%u KB free%s", n % 77, n % 9, n % 5 ? "" : " (low)");
        break;
    default:
        len = snprintf(out, cap, "disk %s%u full", n % 2 ? "sda" : "nvme", n % 4);
        break;
    }
    return str_make(out, (size_t)len);
}

/* Texts, counts and ids of all templates, as one text. */
static str describe(miner *m, arena *out) {
    miner_group(m);
    buf b;
    buf_init(&b, 1 << 20);
    template_info t;
    for (size_t i = 0; miner_template_at(m, i, &t) == RC_OK; i++) {
        assert_true(buf_fmt(&b, "%016llx %llu %u %.*s\n", (unsigned long long)t.id,
                            (unsigned long long)t.count, t.shapes, STR_ARG(t.text)));
    }
    str s = str_dup(out, buf_str(&b));
    buf_release(&b);
    return s;
}

static void order_and_splitting_do_not_matter(void **state) {
    (void)state;
    static char store[LOG_LINES][120];
    static str lines[LOG_LINES];
    arena a;
    arena_init(&a, "test", 16 << 20);
    rng r;
    rng_init(&r, 42);
    for (int i = 0; i < LOG_LINES; i++) lines[i] = log_line(&r, store[i], sizeof(store[i]));
    miner *whole = new_miner(NULL);
    for (int i = 0; i < LOG_LINES; i++) miner_add(whole, lines[i], NULL, 0, NULL);
    str want = describe(whole, &a);
    assert_true(want.n > 0);
    for (int trial = 0; trial < 5; trial++) {
        for (size_t i = LOG_LINES - 1; i > 0; i--) {
            size_t j = rng_below(&r, i + 1);
            str t = lines[i];
            lines[i] = lines[j];
            lines[j] = t;
        }
        miner *part[3];
        for (int p = 0; p < 3; p++) part[p] = new_miner(NULL);
        for (int i = 0; i < LOG_LINES; i++) {
            miner_add(part[rng_below(&r, 3)], lines[i], NULL, 0, NULL);
            if (i % 1000 == 500) miner_group(part[0]); /* grouping on the way changes nothing */
        }
        err e = {0};
        assert_int_equal(miner_merge(part[2], part[0], &e), RC_OK);
        assert_int_equal(miner_merge(part[2], part[1], &e), RC_OK);
        str got = describe(part[2], &a);
        if (!str_eq(got, want))
            fail_msg("trial %d:\n%.*s\nnot\n%.*s", trial, STR_ARG(got), STR_ARG(want));
        for (int p = 0; p < 3; p++) miner_free(part[p]);
    }
    miner_free(whole);
    arena_release(&a);
}

static void a_saved_state_loads_to_the_same(void **state) {
    (void)state;
    arena a;
    arena_init(&a, "test", 16 << 20);
    rng r;
    rng_init(&r, 43);
    char line[120];
    miner *m = new_miner(NULL);
    for (int i = 0; i < LOG_LINES; i++)
        miner_add(m, log_line(&r, line, sizeof(line)), NULL, 0, NULL);
    buf b;
    buf_init(&b, 1 << 24);
    err e = {0};
    assert_int_equal(miner_save(m, &b, &e), RC_OK);
    miner *back = new_miner(NULL);
    assert_int_equal(miner_load(back, buf_str(&b), &e), RC_OK);
    assert_true(str_eq(describe(m, &a), describe(back, &a)));
    miner_counts x, y;
    miner_count(m, &x);
    miner_count(back, &y);
    assert_int_equal(x.lines, y.lines);
    assert_int_equal(x.folded, y.folded);
    /* Loading again adds: every count doubles. */
    assert_int_equal(miner_load(back, buf_str(&b), &e), RC_OK);
    miner_group(back);
    miner_count(back, &y);
    assert_int_equal(y.lines, 2 * x.lines);
    assert_int_equal(y.shapes, x.shapes);
    miner_free(back);

    /* Any damaged byte and any cut is noticed, and nothing is taken over. */
    for (int i = 0; i < 300; i++) {
        size_t at = rng_below(&r, b.n);
        b.p[at] ^= (char)(1 + rng_below(&r, 255));
        char kept = b.p[at];
        miner *n = new_miner(NULL);
        rc code = miner_load(n, buf_str(&b), &e);
        assert_true(code == RC_CORRUPT || code == RC_UNSUPPORTED || code == RC_INVALID);
        assert_true(miner_load(n, str_sub(buf_str(&b), 0, at), &e) == RC_CORRUPT);
        miner_count(n, &y);
        assert_int_equal(y.lines, 0);
        assert_int_equal(y.shapes, 0);
        miner_free(n);
        assert_int_equal(b.p[at], kept);
        buf fresh;
        buf_init(&fresh, 1 << 24);
        assert_int_equal(miner_save(m, &fresh, &e), RC_OK);
        b.p[at] = fresh.p[at];
        buf_release(&fresh);
    }
    miner *other = new_miner(&(miner_opts){.delimiters = S("/")});
    assert_int_equal(miner_load(other, buf_str(&b), &e), RC_INVALID);
    assert_int_equal(miner_merge(other, m, &e), RC_INVALID);
    miner_free(other);
    buf_release(&b);
    miner_free(m);
    arena_release(&a);
}

static void ids_handed_out_stay_valid(void **state) {
    (void)state;
    rng r;
    rng_init(&r, 44);
    char line[120];
    miner *m = new_miner(NULL);
    uint64_t early[200];
    size_t n = 0;
    for (int i = 0; i < 2000; i++) {
        uint64_t id = miner_add(m, log_line(&r, line, sizeof(line)), NULL, 0, NULL);
        if (i % 10 == 0) {
            miner_group(m);
            early[n++] = miner_template_of(m, id);
        }
    }
    miner_group(m);
    for (size_t i = 0; i < n; i++) {
        uint64_t now = miner_resolve(m, early[i]);
        template_info t;
        assert_true(now != 0);
        assert_int_equal(miner_resolve(m, now), now);
        assert_int_equal(miner_template(m, early[i], &t), RC_OK);
        assert_int_equal(t.id, now);
    }
    assert_int_equal(miner_resolve(m, 12345), 0);
    miner_free(m);
}

/* A variable word with far more values than shapes fit: no line is lost, old ids lead to the
 * template. */
static void dropped_values_keep_their_template(void **state) {
    (void)state;
    miner *m = new_miner(&(miner_opts){.max_shapes = 64});
    char line[100];
    uint64_t first = 0;
    for (int i = 0; i < 5000; i++) {
        char name[5] = {(char)('a' + i % 26), (char)('a' + i / 26 % 26), (char)('a' + i / 676),
                        (char)('a' + i % 7), 0};
        snprintf(line, sizeof(line), "invalid login of %s from host", name);
        uint64_t id = add(m, line);
        if (!first) first = id;
    }
    miner_group(m);
    miner_counts c;
    miner_count(m, &c);
    assert_true(c.shapes <= 64);
    assert_int_equal(c.lines, 5000);
    template_info t;
    assert_int_equal(miner_template_at(m, 0, &t), RC_OK);
    assert_true(str_eq(t.text, S("invalid login of <*> from host")));
    assert_true(t.count + c.overflow == 5000);
    assert_true(t.count > 4500);
    assert_int_equal(miner_resolve(m, first), t.id);
    miner_free(m);
}

static void a_batch_gets_shapes_times_and_severities(void **state) {
    (void)state;
    log_batch b;
    log_batch_init(&b);
    static const char *const lines[] = {"took 5 ms", "took 90 ms", "disk full"};
    for (int i = 0; i < 3; i++) {
        log_record *r = log_batch_add(&b);
        assert_non_null(r);
        r->body = str_c(lines[i]);
        r->ts_ns = 1000 - 10 * i;
        r->ref = (log_ref){.offset = (uint64_t)i * 100, .line = (uint64_t)i + 1};
        r->severity = i == 1 ? SEV_ERROR : SEV_INFO;
    }
    b.rec[2].ts_ns = TS_NONE;
    miner *m = new_miner(NULL);
    err e = {0};
    assert_int_equal(miner_batch(m, &b, &e), RC_OK);
    assert_int_equal(b.rec[0].shape, b.rec[1].shape);
    assert_int_equal(b.rec[1].slot_count, 1);
    assert_int_equal(b.rec[1].slots[0].type, SLOT_UNIT);
    assert_int_equal(b.rec[1].slots[0].offset, 5);
    assert_int_equal(b.rec[1].slots[0].bytes, 5);
    assert_int_equal(b.rec[2].slot_count, 0);
    miner_group(m);
    template_info t;
    assert_int_equal(miner_template(m, b.rec[0].shape, &t), RC_OK);
    assert_int_equal(t.first_ns, 990);
    assert_int_equal(t.last_ns, 1000);
    assert_int_equal(t.first_ref.line, 1);
    assert_int_equal(t.max_severity, SEV_ERROR);
    assert_int_equal(t.error_count, 1);
    assert_int_equal(miner_template(m, b.rec[2].shape, &t), RC_OK);
    assert_true(t.first_ns == TS_NONE && t.last_ns == TS_NONE);
    miner_free(m);
    log_batch_release(&b);
}

static void masks_and_delimiters_are_obeyed(void **state) {
    (void)state;
    mine_mask mask = {S("colour"), S("red|green|blue")};
    miner *m = new_miner(&(miner_opts){.masks = &mask, .mask_count = 1});
    assert_true(together(m, "the red one", "the blue one"));
    assert_false(together(m, "the red one", "a pink pair"));
    assert_text(m, "the blue one", "the <colour> one");
    assert_text(m, "7 of 9 red", "<*> of <*> <colour>");
    assert_renders(m, S("redgreen 12 blue, 7red"));
    miner_free(m);
    mine_mask bad = {S("broken"), S("a(b")};
    err e = {0};
    miner *none;
    assert_int_equal(miner_new(&(miner_opts){.masks = &bad, .mask_count = 1}, &none, &e),
                     RC_INVALID);
    assert_non_null(strstr(e.msg, "broken"));
    m = new_miner(&(miner_opts){.delimiters = S("_")});
    log_slot slots[8];
    uint32_t n;
    (void)miner_add(m, S("alpha_12_beta"), slots, 8, &n);
    assert_int_equal(n, 1);
    assert_int_equal(slots[0].bytes, 2);
    miner_free(m);
}

static void long_and_crowded_lines_stay_bounded(void **state) {
    (void)state;
    enum { BIG = 1 << 20 };
    char *big = malloc(BIG);
    assert_non_null(big);
    static const char *const fill[] = {"x",  "1 ",   "a ",           "ab1 ",    "=\"",
                                       ":/", "\x01", "\xe4\xb8\xad", "a.b:c/1 "};
    miner *m = new_miner(NULL);
    for (size_t f = 0; f < sizeof(fill) / sizeof(fill[0]); f++) {
        size_t k = strlen(fill[f]);
        for (size_t i = 0; i < BIG; i++) big[i] = fill[f][i % k];
        assert_renders(m, str_make(big, BIG));
        assert_renders(m, str_make(big, BIG - 7));
    }
    miner_group(m);
    template_info t;
    for (size_t i = 0; miner_template_at(m, i, &t) == RC_OK; i++) assert_true(t.text.n < 1 << 16);
    miner_free(m);
    free(big);
}

static void near_identical_lines_are_counted(void **state) {
    (void)state;
    miner *m = new_miner(NULL);
    add(m, "retry 1");
    add(m, "retry 2");
    add(m, "retry 3");
    add(m, "gave up");
    add(m, "retry 1");
    miner_counts c;
    miner_count(m, &c);
    assert_int_equal(c.folded, 2);
    miner_free(m);
}

/* Few words are values where values stand, several places of a line at once. */
static void test_values_places(void **state) {
    (void)state;
    static const char *const zone[] = {"api", "login", "search", "static", "admin"};
    static const char *const queue[] = {"mail", "audit", "billing", "import"};
    miner *m = new_miner(NULL);
    char line[128];
    for (size_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < 4; k++) {
            (void)snprintf(line, sizeof(line), "limit of zone '%s' hit, queue=%s", zone[i],
                           queue[k]);
            add(m, line);
        }
        (void)snprintf(line, sizeof(line), "cluster [%s] is well", zone[i]);
        add(m, line);
        (void)snprintf(line, sizeof(line), "%s0: link up", zone[i]);
        add(m, line);
    }
    assert_true(together(m, "limit of zone 'api' hit, queue=mail",
                         "limit of zone 'search' hit, queue=import"));
    assert_text(m, "limit of zone 'api' hit, queue=mail", "limit of zone '<*>' hit, queue=<*>");
    assert_true(together(m, "cluster [api] is well", "cluster [login] is well"));
    assert_true(together(m, "api0: link up", "login0: link up"));
    /* What happened is no value, wherever it stands. */
    add(m, "node 3 state=up");
    add(m, "node 3 state=down");
    add(m, "node 3 state=lost");
    add(m, "node 3 state=new");
    assert_false(together(m, "node 3 state=up", "node 3 state=down"));
    miner_free(m);
}

/* Two rare values in one line: no other line is equal but for one word. */
static void test_two_rare_values(void **state) {
    (void)state;
    static const char *const user[] = {"ann", "bob",  "eve",  "dan",  "ivy",
                                       "joe", "kate", "leon", "mona", "nick"};
    miner *m = new_miner(NULL);
    char line[96];
    for (size_t i = 0; i < 10; i++) {
        (void)snprintf(line, sizeof(line), "job %zu given by %s to queue short", i, user[i]);
        add(m, line);
        (void)snprintf(line, sizeof(line), "job %zu given by ann to queue q%c", i, (char)('a' + i));
        add(m, line);
    }
    assert_true(
        together(m, "job 77 given by zoe to queue huge", "job 5 given by ann to queue short"));
    assert_false(
        together(m, "job 77 given by zoe to node huge", "job 5 given by ann to queue short"));
    miner_free(m);
}

/* What happened is no value, however many things happen to however many. */
static void test_many_opposites(void **state) {
    (void)state;
    static const char *const what[] = {"created", "started", "paused", "resumed", "stopped",
                                       "killed",  "removed", "lost",   "renamed", "found"};
    static const char *const who[] = {"volume", "container", "network", "image", "plugin",
                                      "secret", "service",   "node",    "task",  "config"};
    miner *m = new_miner(NULL);
    char line[64];
    for (size_t i = 0; i < 10; i++) {
        for (size_t k = 0; k < 10; k++) {
            (void)snprintf(line, sizeof(line), "the %s was %s by request", who[i], what[k]);
            add(m, line);
        }
    }
    assert_false(
        together(m, "the volume was started by request", "the volume was stopped by request"));
    assert_false(together(m, "the volume was lost by request", "the volume was found by request"));
    assert_true(
        together(m, "the volume was started by request", "the node was started by request"));
    miner_free(m);
}

/* Brackets around a value that varies stay, whatever stands before them. */
static void test_brackets_stay(void **state) {
    (void)state;
    static const char *const name[] = {"pay", "auth", "order", "cart", "search"};
    miner *m = new_miner(NULL);
    char line[64];
    for (size_t i = 0; i < 5; i++) {
        (void)snprintf(line, sizeof(line), "kill pid %zu [%s] (x %zu)", i, name[i], i);
        add(m, line);
    }
    assert_text(m, "kill pid 5 [pay] (x 3)", "kill pid <*> [<*>] (x <*>)");
    miner_free(m);
}

/* Three users do three things: the things must not become a value because each user does them. */
static void test_grid_of_opposites(void **state) {
    (void)state;
    static const char *const user[] = {"alice", "bob", "carol", "dave"};
    miner *m = new_miner(NULL);
    char line[128];
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(line, sizeof(line), "session of %s was opened here", user[i]);
        add(m, line);
        (void)snprintf(line, sizeof(line), "session of %s was closed here", user[i]);
        add(m, line);
        (void)snprintf(line, sizeof(line), "session of %s was refused here", user[i]);
        add(m, line);
    }
    assert_false(
        together(m, "session of alice was opened here", "session of alice was closed here"));
    assert_true(together(m, "session of alice was opened here", "session of dave was opened here"));
    miner_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_places),
        cmocka_unit_test(test_two_rare_values),
        cmocka_unit_test(test_many_opposites),
        cmocka_unit_test(test_brackets_stay),
        cmocka_unit_test(test_grid_of_opposites),
        cmocka_unit_test(opposites_stay_apart),
        cmocka_unit_test(values_of_several_words_meet),
        cmocka_unit_test(words_that_vary_become_one_template),
        cmocka_unit_test(every_line_renders_exactly),
        cmocka_unit_test(texts_follow_the_conventions),
        cmocka_unit_test(slots_are_named),
        cmocka_unit_test(words_after_slots),
        cmocka_unit_test(counts_add_up_within_bounds),
        cmocka_unit_test(values_shared_by_two_statements_meet),
        cmocka_unit_test(json_and_logfmt_keep_their_keys),
        cmocka_unit_test(chinese_words_are_words),
        cmocka_unit_test(order_and_splitting_do_not_matter),
        cmocka_unit_test(a_saved_state_loads_to_the_same),
        cmocka_unit_test(ids_handed_out_stay_valid),
        cmocka_unit_test(dropped_values_keep_their_template),
        cmocka_unit_test(a_batch_gets_shapes_times_and_severities),
        cmocka_unit_test(masks_and_delimiters_are_obeyed),
        cmocka_unit_test(long_and_crowded_lines_stay_bounded),
        cmocka_unit_test(near_identical_lines_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
