/* Files of every format version that was ever written open, are read, merged and verified.
 *
 *     test_store_versions TESTS_DATA          checks each TESTS_DATA/store-v*
 *     test_store_versions TESTS_DATA make N   writes TESTS_DATA/store-vN (once, when a version is
 * new)
 *
 * A fixture holds records 0..RECORDS-1: a cold day, a segment, a sealed journal, and one that a
 * kill left without its end record. */
#include "files_test.h"

#include "sys/fs_sim.h"

enum { RECORDS = 60, FILE_MAX = 1 << 20 };

static test_clock now;
static sys_clock ticking;
static const char *data_dir;

static store *open_sim(const sys_fs *fs, bool read_only) {
    store_opts o = opts_at(S("/data"), fs);
    o.clock = &ticking;
    o.read_only = read_only;
    store *s = NULL;
    err e = {0};
    if (store_open(&o, &s, &e)) fail_msg("open: %s", e.msg);
    MUST(s);
    return s;
}

typedef struct copying {
    const sys_fs *from, *to;
    str from_dir, to_dir;
} copying;

static void copy_tree(const sys_fs *from, str from_dir, const sys_fs *to, str to_dir);

static void copy_entry(void *ctx, str name) {
    const copying *c = ctx;
    file_path a = path_join(c->from_dir, name), b = path_join(c->to_dir, name);
    sys_stat st;
    assert_rc(c->from->ops->stat(c->from->ctx, path_str(&a), &st, NULL), RC_OK);
    if (st.is_dir) {
        copy_tree(c->from, path_str(&a), c->to, path_str(&b));
        return;
    }
    if (!str_ends(name, S(".journal")) && !str_ends(name, S(".segment"))) return;
    buf bytes;
    buf_init(&bytes, FILE_MAX);
    assert_rc(sys_read_file(c->from, path_str(&a), FILE_MAX, &bytes, NULL), RC_OK);
    assert_rc(sys_write_file(c->to, path_str(&b), buf_str(&bytes), NULL), RC_OK);
    buf_release(&bytes);
}

static void copy_tree(const sys_fs *from, str from_dir, const sys_fs *to, str to_dir) {
    assert_rc(to->ops->mkdir(to->ctx, to_dir, NULL), RC_OK);
    copying c = {from, to, from_dir, to_dir};
    assert_rc(from->ops->list(from->ctx, from_dir, copy_entry, &c, NULL), RC_OK);
}

static void start_clock(void) {
    atomic_store(&now.wall, TEST_START_NS);
    atomic_store(&now.mono, 1000000000);
    ticking = test_clock_ops(&now);
}

static int make(const char *version) {
    start_clock();
    sys_sim *sim = sys_sim_new();
    sys_fs fs = sys_sim_fs(sim);
    store *s = open_sim(&fs, false);
    for (unsigned i = 0; i < 20; i += 5) assert_rc(put(s, i, 5, 30), RC_OK);
    atomic_fetch_add(&now.wall, 31 * TEST_DAY_NS);
    for (unsigned i = 20; i < 40; i += 5) assert_rc(put(s, i, 5, 30), RC_OK);
    assert_rc(s->ops->compact(s, NULL, NULL), RC_OK);
    assert_rc(retention_run(embedded_of(s), atomic_load(&now.wall), NULL), RC_OK);
    assert_rc(put(s, 40, 10, 30), RC_OK);
    writer_seal(embedded_of(s));
    assert_rc(put(s, 50, 10, 30), RC_OK);
    sys_sim_power_off_at(sim, 1, 33); /* and a few bytes of one that was never acknowledged */
    assert_rc(put(s, 60, 10, 30), RC_IO);
    store_close(s);
    sys_sim_kill(sim);
    char to[512];
    snprintf(to, sizeof to, "%s/store-v%s", data_dir, version);
    copy_tree(&fs, S("/data"), &SYS_FS_REAL, str_c(to));
    sys_sim_free(sim);
    return 0;
}

static void check_version(void *ctx, str name) {
    unsigned *count = ctx;
    if (!str_starts(name, S("store-v"))) return;
    ++*count;
    start_clock();
    atomic_fetch_add(&now.wall, 31 * TEST_DAY_NS);
    sys_sim *sim = sys_sim_new();
    sys_fs fs = sys_sim_fs(sim);
    file_path from = path_join(str_c(data_dir), name);
    copy_tree(&SYS_FS_REAL, path_str(&from), &fs, S("/data"));
    store *s = open_sim(&fs, true);
    check_exactly(s, 0, RECORDS);
    store_close(s);
    s = open_sim(&fs, false);
    check_exactly(s, 0, RECORDS);
    assert_rc(s->ops->compact(s, NULL, NULL), RC_OK);
    check_exactly(s, 0, RECORDS);
    assert_rc(put(s, RECORDS, 5, 0), RC_OK);
    store_close(s);
    s = open_sim(&fs, false);
    check_exactly(s, 0, RECORDS + 5);
    err e = {0};
    assert_rc(s->ops->fsck(s, false, NULL, NULL, NULL, &e), RC_OK);
    store_close(s);
    sys_sim_free(sim);
}

static void every_version_opens(void **state) {
    (void)state;
    unsigned count = 0;
    err e = {0};
    assert_rc(SYS_FS_REAL.ops->list(NULL, str_c(data_dir), check_version, &count, &e), RC_OK);
    assert_int_equal(count, FORMAT_VERSION);
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    data_dir = argv[1];
    if (argc == 4) return make(argv[3]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_version_opens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
