/* Bytes that changed on the disk: found, named, counted; everything beside them is served. And what
 * fsck does about them. */
#include "files_test.h"

#include "sys/fs_fault.h"
#include "sys/fs_sim.h"

enum { RECORDS = 100, EACH = 4, BATCHES = 6 };

static test_clock now;
static sys_clock ticking;

static store *try_open(const sys_fs *fs, bool read_only, err *e) {
    store_opts o = opts_at(S("/data"), fs);
    o.clock = &ticking;
    o.read_only = read_only;
    store *s = NULL;
    return store_open(&o, &s, e) ? NULL : s;
}

static store *must_open(const sys_fs *fs, bool read_only) {
    err e = {0};
    store *s = try_open(fs, read_only, &e);
    if (!s) fail_msg("open: %s", e.msg);
    MUST(s);
    return s;
}

/* One closed journal, as a journal or as a segment of as many blocks (kept as they are), or merged.
 */
typedef enum form { AS_JOURNAL, AS_BLOCKS, MERGED } form;

static void copy_to_segment(store *base) {
    embedded *s = embedded_of(base);
    static const volatile int never = 0;
    writer_seal(s);
    store_file *file = s->list.parts.v[0]->files.v[0];
    sys_lock_take(s->job_lock);
    IGNORE(file_ref(file) == NULL);
    err e = {0};
    assert_rc(compact_files(s,
                            &(compact_job){.part = s->list.parts.v[0],
                                           .in = &file,
                                           .count = 1,
                                           .copy = true,
                                           .cancel = &never},
                            &e),
              RC_OK);
    file_unref(file);
    sys_lock_give(s->job_lock);
}

/* The path of the one file. */
static str build(sys_sim *sim, form f, char path[128]) {
    atomic_store(&now.wall, TEST_START_NS);
    atomic_store(&now.mono, 1000000000);
    ticking = test_clock_ops(&now);
    sys_fs fs = sys_sim_fs(sim);
    store *s = must_open(&fs, false);
    for (unsigned i = 0; i < BATCHES; i++) assert_rc(put(s, i * EACH, EACH, 20), RC_OK);
    err e = {0};
    if (f == AS_BLOCKS) copy_to_segment(s);
    if (f == MERGED) assert_rc(s->ops->compact(s, NULL, &e), RC_OK);
    store_close(s);
    int n = snprintf(path, 128, "/data/hot/2024-10-04/%s",
                     f == AS_JOURNAL ? "000001.journal" : "000001-000001.segment");
    return str_make(path, (size_t)n);
}

typedef struct found {
    unsigned count;
    uint64_t records;
    str path; /* that every finding names, unless empty */
    char text[300];
} found;

static void on_finding(void *ctx, const fsck_finding *f) {
    found *to = ctx;
    to->count++;
    to->records += f->records_lost;
    if (to->path.n) assert_true(str_starts(f->file, to->path));
    assert_true(f->what.n > 0);
    snprintf(to->text, sizeof to->text, "%.*s", STR_ARG(f->what));
}

/* Records that are there; none twice. */
static unsigned records_left(store *s, unsigned *times) {
    select_stats st = {0};
    count_records(s, times, RECORDS, &st);
    unsigned left = 0;
    for (unsigned i = 0; i < RECORDS; i++) {
        assert_true(times[i] <= 1);
        left += times[i];
    }
    return left;
}

/* Bytes that no checksum covers: padding behind payloads. */
static size_t padding_of(store *s) {
    const store_file *f = embedded_of(s)->list.parts.v[0]->files.v[0];
    size_t n = 0;
    for (size_t i = 0; i < f->blocks.n; i++)
        n += (size_t)(format_padded(f->blocks.v[i].e.info.bytes) - f->blocks.v[i].e.info.bytes);
    return n;
}

static void every_flip_is_found(form f, unsigned cost_max) {
    sys_sim *sim = sys_sim_new();
    sys_fs fs = sys_sim_fs(sim);
    char text[128];
    str path = build(sim, f, text);
    store *s = must_open(&fs, true);
    size_t padding = padding_of(s);
    store_close(s);
    size_t n, unnoticed = 0;
    IGNORE(sys_sim_bytes(sim, path, &n) == NULL);
    for (size_t i = 0; i < n; i++) {
        char *bytes = sys_sim_bytes(sim, path, &n);
        bytes[i] = (char)(bytes[i] ^ 1 << i % 8);
        err e = {0};
        s = try_open(&fs, true, &e);
        if (s) {
            unsigned times[RECORDS];
            unsigned left = records_left(s, times);
            found to = {.path = path};
            rc code = s->ops->fsck(s, false, on_finding, &to, NULL, &e);
            if (left < EACH * BATCHES && code != RC_CORRUPT)
                fail_msg("byte %zu: %u records left and nothing found", i, left);
            if (left + cost_max < EACH * BATCHES)
                fail_msg("byte %zu: only %u records left: %s", i, left, to.text);
            assert_int_equal(code == RC_CORRUPT, to.count > 0);
            if (code == RC_OK) unnoticed++;
            store_close(s);
        } else {
            fail_msg("byte %zu: %s", i, e.msg);
        }
        bytes = sys_sim_bytes(sim, path, &n);
        bytes[i] = (char)(bytes[i] ^ 1 << i % 8);
    }
    assert_int_equal(unnoticed, padding);
    s = must_open(&fs, true);
    unsigned times[RECORDS];
    assert_int_equal(records_left(s, times), EACH * BATCHES);
    store_close(s);
    sys_sim_free(sim);
}

static void flips_in_a_journal_are_found(void **state) {
    (void)state;
    every_flip_is_found(AS_JOURNAL, EACH);
}
static void flips_in_a_segment_are_found(void **state) {
    (void)state;
    every_flip_is_found(AS_BLOCKS, EACH);
    every_flip_is_found(MERGED, EACH * BATCHES);
}

/* The last commit of a journal that nobody sealed, all its bytes there: it was acknowledged, or the
 * power failed. Any flip in it is counted and named, now and at every later start, until it is
 * repaired; the bytes stay, so that the commit is back when the flip is undone. */
static void flips_in_the_last_commit_are_no_torn_tail(void **state) {
    (void)state;
    size_t n = 1, first = 0, unnoticed = 0;
    for (size_t i = 0; first == 0 || i < n; i++) {
        sys_sim *sim = sys_sim_new();
        sys_fs fs = sys_sim_fs(sim);
        char text[128];
        str path = build(sim, AS_JOURNAL, text);
        int fd;
        IGNORE(sys_sim_bytes(sim, path, &n) == NULL);
        n -= COMMIT_HEADER_BYTES;
        assert_rc(fs.ops->open(fs.ctx, path, SYS_READ_WRITE, &fd, NULL), RC_OK);
        assert_rc(fs.ops->truncate(fs.ctx, fd, n, NULL), RC_OK);
        assert_rc(fs.ops->close(fs.ctx, fd, NULL), RC_OK);
        char *bytes = sys_sim_bytes(sim, path, &n);
        if (first == 0) { /* where the last commit begins: they are of one length */
            for (size_t at = n - 8; first == 0; at -= 8)
                if (memcmp(bytes + at, "FLcommt\n", 8) == 0) first = at;
            i = first;
        }
        bytes[i] = (char)(bytes[i] ^ 1 << i % 8);
        for (unsigned start = 0; start < 2; start++) {
            store *s = must_open(&fs, false);
            unsigned times[RECORDS];
            store_stats st;
            s->ops->stats(s, &st);
            if (start == 0) unnoticed += st.damaged_blocks == 0;
            bool padding = st.damaged_blocks == 0;
            unsigned left = records_left(s, times);
            if (left != (padding ? EACH * BATCHES : EACH * (BATCHES - 1)))
                fail_msg("byte %zu: %u records left, %u damages", i - first, left,
                         (unsigned)st.damaged_blocks);
            found to = {0};
            rc code = s->ops->fsck(s, false, on_finding, &to, NULL, NULL);
            if (code != (padding ? RC_OK : RC_CORRUPT)) fail_msg("byte %zu: fsck", i - first);
            store_close(s);
        }
        bytes = sys_sim_bytes(sim, path, &n);
        bytes[i] = (char)(bytes[i] ^ 1 << i % 8);
        n -= COMMIT_HEADER_BYTES; /* the end record */
        store *s = must_open(&fs, false);
        check_exactly(s, 0, EACH * BATCHES);
        assert_rc(s->ops->fsck(s, false, on_finding, &(found){0}, NULL, NULL), RC_OK);
        store_close(s);
        sys_sim_free(sim);
    }
    assert_true(unnoticed < 8); /* behind the payload */
}

/* Damage, then a life with compaction and repair: what was readable stays, and in the end
 * everything verifies. */
static void live_on(sys_sim *sim, bool compact_first, bool may_be_a_crash) {
    sys_fs fs = sys_sim_fs(sim);
    store *s = must_open(&fs, false);
    unsigned times[RECORDS], after[RECORDS];
    unsigned left = records_left(s, times);
    err e = {0};
    assert_rc(put(s, 50, 5, 0), RC_OK);
    if (compact_first) {
        assert_rc(s->ops->compact(s, NULL, &e), RC_OK);
        assert_int_equal(records_left(s, after), left + 5);
    }
    found to = {0};
    rc code = s->ops->fsck(s, true, on_finding, &to, NULL, &e);
    assert_int_equal(code, to.count ? RC_CORRUPT : RC_OK);
    if (left < EACH * BATCHES && !may_be_a_crash) assert_true(to.count > 0);
    to = (found){0};
    assert_rc(s->ops->fsck(s, false, on_finding, &to, NULL, &e), RC_OK);
    assert_int_equal(to.count, 0);
    assert_int_equal(records_left(s, after), left + 5);
    store_close(s);
    s = must_open(&fs, false);
    assert_int_equal(records_left(s, after), left + 5);
    for (unsigned i = 0; i < EACH * BATCHES; i++) assert_int_equal(after[i], times[i]);
    store_stats st;
    s->ops->stats(s, &st);
    assert_int_equal(st.damaged_blocks, 0);
    store_close(s);
}

static void damage_is_lived_with_and_repaired(void **state) {
    (void)state;
    for (unsigned f = AS_JOURNAL; f <= MERGED; f++) {
        size_t n = 1;
        for (size_t i = 0; i < n; i += 13) {
            sys_sim *sim = sys_sim_new();
            char text[128];
            str path = build(sim, (form)f, text);
            char *bytes = sys_sim_bytes(sim, path, &n);
            bytes[i] = (char)(bytes[i] ^ 0x10);
            live_on(sim, i % 2, false);
            sys_sim_free(sim);
        }
    }
}

/* Killed, or without power, at any change that a repair makes: what was readable stays, once. */
static void repairs_stop_anywhere(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("repairs"));
    for (unsigned f = AS_JOURNAL; f <= AS_BLOCKS; f++) {
        bool ended = false;
        for (unsigned n = 1; !ended; n++) {
            for (unsigned power = 0; power < 2; power++) {
                sys_sim *sim = sys_sim_new();
                sys_fs fs = sys_sim_fs(sim);
                char text[128];
                size_t bytes;
                str path = build(sim, (form)f, text);
                char *p = sys_sim_bytes(sim, path, &bytes);
                p[bytes / 2] = (char)(p[bytes / 2] ^ 0x10);
                store *s = must_open(&fs, false);
                unsigned times[RECORDS];
                unsigned left = records_left(s, times);
                sys_sim_power_off_at(sim, n, n % 7);
                found to = {0};
                IGNORE(s->ops->fsck(s, true, on_finding, &to, NULL, NULL)); /* it is cut off */
                ended = !sys_sim_is_off(sim);
                store_close(s);
                if (power)
                    sys_sim_power_failure(sim, &r);
                else
                    sys_sim_kill(sim);
                s = must_open(&fs, false);
                /* Without power the flip may go, too: it was never written. */
                unsigned after = records_left(s, times);
                assert_true(after == left || (power && after > left));
                left = after;
                IGNORE(s->ops->fsck(s, true, on_finding, &to, NULL, NULL)); /* there may be none */
                assert_rc(s->ops->fsck(s, false, on_finding, &to, NULL, NULL), RC_OK);
                assert_int_equal(records_left(s, times), left);
                store_close(s);
                sys_sim_free(sim);
            }
        }
    }
}

static void whole_regions_may_be_gone(void **state) {
    (void)state;
    for (unsigned f = AS_JOURNAL; f <= MERGED; f++) {
        size_t n = 1;
        for (size_t i = 0; i < n; i += 56) {
            for (unsigned how = 0; how < 3; how++) { /* zeros; zeros to the end; cut */
                sys_sim *sim = sys_sim_new();
                sys_fs fs = sys_sim_fs(sim);
                char text[128];
                str path = build(sim, (form)f, text);
                char *bytes = sys_sim_bytes(sim, path, &n);
                if (how < 2) {
                    memset(bytes + i, 0, how ? n - i : MIN(n - i, (size_t)200));
                } else {
                    int fd;
                    assert_rc(fs.ops->open(fs.ctx, path, SYS_READ_WRITE, &fd, NULL), RC_OK);
                    assert_rc(fs.ops->truncate(fs.ctx, fd, i, NULL), RC_OK);
                    assert_rc(fs.ops->close(fs.ctx, fd, NULL), RC_OK);
                }
                store *s = must_open(&fs, true);
                unsigned times[RECORDS];
                IGNORE(records_left(s, times) > RECORDS);
                found to = {0};
                IGNORE(s->ops->fsck(s, false, on_finding, &to, NULL, NULL));
                store_close(s);
                /* A journal that ends early looks like one that a crash ended. */
                live_on(sim, i % 3 == 0, f == AS_JOURNAL);
                sys_sim_free(sim);
            }
        }
    }
}

static void compaction_sets_damage_aside(void **state) {
    (void)state;
    sys_sim *sim = sys_sim_new();
    sys_fs fs = sys_sim_fs(sim);
    char text[128];
    str path = build(sim, AS_JOURNAL, text);
    store *s = must_open(&fs, false);
    const store_file *f = embedded_of(s)->list.parts.v[0]->files.v[0];
    uint64_t at = f->blocks.v[2].e.offset + 5;
    size_t n;
    sys_sim_bytes(sim, path, &n)[at] ^= 1;
    err e = {0};
    assert_rc(s->ops->compact(s, NULL, &e), RC_OK);
    unsigned times[RECORDS];
    assert_int_equal(records_left(s, times), EACH * (BATCHES - 1));
    store_stats st;
    s->ops->stats(s, &st);
    assert_int_equal(st.damaged_blocks, 1);
    sys_stat file;
    assert_rc(fs.ops->stat(fs.ctx, S("/data/hot/2024-10-04/000001.journal.damaged"), &file, &e),
              RC_OK);
    assert_rc(fs.ops->stat(fs.ctx, path, &file, &e), RC_NOT_FOUND);
    found to = {.path = S("/data/hot/2024-10-04/000001.journal.damaged")};
    assert_rc(s->ops->fsck(s, false, on_finding, &to, NULL, &e), RC_CORRUPT);
    assert_int_equal(to.count, 1);
    store_close(s);
    sys_sim_free(sim);
}

/* Reading a damaged block: the answer is partial and says so; the damage is counted once. */
static void queries_say_what_is_missing(void **state) {
    (void)state;
    sys_sim *sim = sys_sim_new();
    sys_fs fs = sys_sim_fs(sim);
    char text[128];
    str path = build(sim, AS_JOURNAL, text);
    store *s = must_open(&fs, true);
    const store_file *f = embedded_of(s)->list.parts.v[0]->files.v[0];
    size_t n;
    sys_sim_bytes(sim, path, &n)[f->blocks.v[1].e.offset + 9] ^= 4;
    unsigned times[RECORDS];
    for (unsigned round = 0; round < 3; round++) {
        select_stats stats = {0};
        assert_int_equal(count_records(s, times, RECORDS, &stats), EACH * (BATCHES - 1));
        assert_int_equal(stats.damaged_blocks, 1);
        assert_int_equal(stats.blocks, BATCHES);
        assert_true(stats.partial && str_has(str_c(stats.reason), S("damaged")));
    }
    store_stats st;
    s->ops->stats(s, &st);
    assert_int_equal(st.damaged_blocks, 1);
    assert_true(st.last_error[0]);
    store_close(s);
    sys_sim_free(sim);
}

/* A read that fails is told, and is not taken for damage for ever. */
static void unreadable_files_keep_their_place(void **state) {
    (void)state;
    sys_sim *sim = sys_sim_new();
    sys_fault fault = {.under = sys_sim_fs(sim)};
    sys_fs fs = sys_fault_fs(&fault), under = sys_sim_fs(sim);
    char text[128];
    IGNORE(build(sim, AS_JOURNAL, text).n == 0);
    store *s = must_open(&under, false);
    assert_rc(put(s, 30, 5, 0), RC_OK);
    store_close(s);
    bool seen = false, ended = false;
    for (unsigned at = 1; !ended; at++) {
        atomic_store(&fault.calls, 0);
        atomic_store(&fault.fail_at, at);
        err e = {0};
        s = try_open(&fs, false, &e);
        ended = atomic_load(&fault.calls) < at;
        atomic_store(&fault.fail_at, 0);
        if (!s) continue;
        unsigned times[RECORDS];
        unsigned left = records_left(s, times);
        store_stats st;
        s->ops->stats(s, &st);
        if (left < EACH * BATCHES + 5) {
            assert_true(st.damaged_blocks > 0);
            seen = true;
        }
        assert_rc(s->ops->compact(s, NULL, &e), RC_OK);
        store_close(s);
        s = must_open(&under, false);
        assert_int_equal(records_left(s, times), EACH * BATCHES + 5);
        store_close(s);
    }
    assert_true(seen);
    sys_sim_free(sim);
}

static void newer_versions_are_refused(void **state) {
    (void)state;
    sys_sim *sim = sys_sim_new();
    sys_fs fs = sys_sim_fs(sim);
    char text[128], head[FILE_HEADER_BYTES];
    str path = build(sim, AS_JOURNAL, text);
    size_t n;
    IGNORE(format_put_file_header(head, &(file_header){.kind = FILE_JOURNAL,
                                                       .version = FORMAT_VERSION + 1,
                                                       .first = 1,
                                                       .last = 1}) == 0);
    memcpy(sys_sim_bytes(sim, path, &n), head, sizeof head);
    for (unsigned i = 0; i < 2; i++) {
        err e = {0};
        store_opts o = opts_at(S("/data"), &fs);
        o.clock = &ticking;
        o.read_only = i;
        store *s;
        assert_rc(store_open(&o, &s, &e), RC_UNSUPPORTED);
        assert_true(str_has(str_c(e.msg), S("version 2")));
    }
    sys_sim_free(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flips_in_a_journal_are_found),
        cmocka_unit_test(flips_in_a_segment_are_found),
        cmocka_unit_test(flips_in_the_last_commit_are_no_torn_tail),
        cmocka_unit_test(damage_is_lived_with_and_repaired),
        cmocka_unit_test(repairs_stop_anywhere),
        cmocka_unit_test(whole_regions_may_be_gone),
        cmocka_unit_test(compaction_sets_damage_aside),
        cmocka_unit_test(queries_say_what_is_missing),
        cmocka_unit_test(unreadable_files_keep_their_place),
        cmocka_unit_test(newer_versions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
