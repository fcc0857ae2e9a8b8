#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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
    static const char *const users[] = {"ann", "bob", "carl", "dora", "emil", "fritz", "gerd"};
    miner *m = new_miner(NULL);
    char line[100];
    uint64_t first = 0;
    for (size_t i = 0; i < 7; i++) {
        snprintf(line, sizeof(line), "Refused key of %s from 10.1.2.%zu", users[i], i);
        uint64_t id = add(m, line);
        if (!first) first = id;
    }
    miner_group(m);
    template_info t;
    assert_int_equal(miner_template(m, first, &t), RC_OK);
    assert_int_equal(t.count, 7);
    assert_int_equal(t.shapes, 7);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opposites_stay_apart),
        cmocka_unit_test(values_of_several_words_meet),
        cmocka_unit_test(words_that_vary_become_one_template),
        cmocka_unit_test(every_line_renders_exactly),
        cmocka_unit_test(texts_follow_the_conventions),
        cmocka_unit_test(slots_are_named),
        cmocka_unit_test(counts_add_up_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
