/* bench_store_append DIR - what a durable commit of 64 KiB costs: blobs in SQLite (write-ahead log,
 * synchronous=FULL) beside the store's journal, and two ways to prepare the file that the journal
 * does not use. Then reading 64 KiB back from random places. Payloads do not compress. */
#include "base/mem.h"
#include "base/rng.h"
#include "store/journal_int.h"
#include "sys/clock.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BLOB = 65536, BLOBS = 2048, GROUP = 8, READS = 8192 };

static char payload[BLOB + 4096];
static char path[4096];
static const char *dir;

typedef struct timing {
    int64_t cpu_ns, wall_ns;
} timing;

static timing start(void) { return (timing){sys_cpu_ns(), SYS_CLOCK_REAL.ops->mono(NULL).ns}; }

static void stop(timing t, const char *what, unsigned blobs) {
    int64_t cpu = sys_cpu_ns() - t.cpu_ns, wall = SYS_CLOCK_REAL.ops->mono(NULL).ns - t.wall_ns;
    printf("%-58s %8.1f us CPU %8.1f us wall, each 64 KiB\n", what, (double)cpu / 1e3 / blobs,
           (double)wall / 1e3 / blobs);
    fflush(stdout);
}

static const char *in_dir(const char *name) {
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static str blob(unsigned i) { return str_make(payload + i * 16 % 4096, BLOB); }

static void die(const char *what) {
    fprintf(stderr, "bench_store_append: %s\n", what);
    exit(1);
}

/* ---- the journal ---- */

static void run_journal(unsigned number, unsigned group, const char *what) {
    journal j;
    err e = {0};
    if (journal_create(&SYS_FS_REAL, str_c(dir), number, 0, &j, &e)) die(e.msg);
    commit c;
    commit_init(&c);
    timing t = start();
    for (unsigned i = 0; i < BLOBS; i += group) {
        commit_reset(&c);
        for (unsigned k = 0; k < group; k++) {
            block_info info = {.kind = BLOCK_LOGS, .rows = 1, .bytes = BLOB};
            if (commit_put(&c, &info, blob(i + k), &e)) die(e.msg);
        }
        journal_state state;
        if (journal_append(&j, &c, 0, &state, &e)) die(e.msg);
    }
    stop(t, what, BLOBS);
    journal_close(&j, false);
    commit_release(&c);
}

static void read_journal(unsigned number, bool check) {
    char name[64];
    snprintf(name, sizeof name, "%06u.journal", number);
    int fd = open(in_dir(name), O_RDONLY);
    if (fd < 0) die("cannot open the journal");
    rng r;
    rng_init(&r, 1);
    char *to = mem_alloc(BLOB);
    uint64_t sum = 0;
    timing t = start();
    for (unsigned i = 0; i < READS; i++) {
        uint64_t at =
            FILE_HEADER_BYTES + rng_below(&r, BLOBS) * (BLOB + COMMIT_HEADER_BYTES + ENTRY_BYTES);
        if (format_read(&SYS_FS_REAL, fd, at + COMMIT_HEADER_BYTES + ENTRY_BYTES, to, BLOB, NULL))
            die("cannot read");
        if (check) sum += format_checksum(to, BLOB);
    }
    stop(t, check ? "journal: read at random, checksum" : "journal: read at random", READS);
    if (sum == 1) puts("");
    mem_free(to);
    close(fd);
}

/* ---- files prepared in other ways ---- */

typedef enum prepare { RESERVED, ZEROED } prepare;

static void run_prepared(prepare how, const char *what) {
    int fd = open(in_dir("prepared"), O_RDWR | O_CREAT | O_TRUNC, 0666);
    off_t size = (off_t)BLOBS * BLOB;
    if (fd < 0) die("cannot make a file");
    if (how == RESERVED && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size)) die("fallocate");
    for (unsigned i = 0; how == ZEROED && i < BLOBS; i++) {
        static const char zeros[BLOB];
        if (pwrite(fd, zeros, BLOB, (off_t)i * BLOB) != BLOB) die("write");
    }
    if (fsync(fd)) die("sync");
    timing t = start();
    for (unsigned i = 0; i < BLOBS; i++) {
        if (pwrite(fd, blob(i).p, BLOB, (off_t)i * BLOB) != BLOB || fdatasync(fd)) die("write");
    }
    stop(t, what, BLOBS);
    close(fd);
    unlink(path);
}

/* ---- SQLite ---- */

static void sql(sqlite3 *db, const char *text) {
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) die(sqlite3_errmsg(db));
}

static void run_sqlite(const char *name, unsigned group, const char *what) {
    sqlite3 *db;
    if (sqlite3_open(in_dir(name), &db) != SQLITE_OK) die("cannot open the database");
    sql(db, "PRAGMA journal_mode=WAL");
    sql(db, "PRAGMA synchronous=FULL");
    sql(db, "CREATE TABLE block(id INTEGER PRIMARY KEY, kind, rows, min_ts, max_ts, data BLOB)");
    sqlite3_stmt *insert;
    if (sqlite3_prepare_v2(db, "INSERT INTO block VALUES(NULL,1,1,0,0,?)", -1, &insert, NULL) !=
        SQLITE_OK)
        die(sqlite3_errmsg(db));
    timing t = start();
    for (unsigned i = 0; i < BLOBS; i += group) {
        sql(db, "BEGIN");
        for (unsigned k = 0; k < group; k++) {
            sqlite3_bind_blob(insert, 1, blob(i + k).p, BLOB, SQLITE_STATIC);
            if (sqlite3_step(insert) != SQLITE_DONE) die(sqlite3_errmsg(db));
            sqlite3_reset(insert);
        }
        sql(db, "COMMIT");
    }
    stop(t, what, BLOBS);
    sqlite3_finalize(insert);
    sqlite3_close(db);
}

static void read_sqlite(const char *name) {
    sqlite3 *db;
    if (sqlite3_open(in_dir(name), &db) != SQLITE_OK) die("cannot open the database");
    sqlite3_blob *b = NULL;
    rng r;
    rng_init(&r, 1);
    char *to = mem_alloc(BLOB);
    timing t = start();
    for (unsigned i = 0; i < READS; i++) {
        sqlite3_int64 row = (sqlite3_int64)rng_below(&r, BLOBS) + 1;
        int code = b ? sqlite3_blob_reopen(b, row)
                     : sqlite3_blob_open(db, "main", "block", "data", row, 0, &b);
        if (code != SQLITE_OK || sqlite3_blob_read(b, to, BLOB, 0) != SQLITE_OK)
            die(sqlite3_errmsg(db));
    }
    stop(t, "SQLite: read at random (incremental blob)", READS);
    sqlite3_blob_close(b);
    sqlite3_close(db);
    mem_free(to);
}

int main(int argc, char **argv) {
    if (argc != 2) die("usage: bench_store_append EMPTY_DIR");
    dir = argv[1];
    rng r;
    rng_init(&r, 7);
    for (size_t i = 0; i < sizeof payload; i++) payload[i] = (char)rng_u64(&r);
    run_journal(1, 1, "journal: one in a commit");
    run_journal(2, GROUP, "journal: eight in a commit");
    run_prepared(RESERVED, "plain file, blocks reserved before (fallocate)");
    run_prepared(ZEROED, "plain file, zeros written before");
    run_sqlite("one.db", 1, "SQLite blobs: one in a transaction");
    run_sqlite("eight.db", GROUP, "SQLite blobs: eight in a transaction");
    read_journal(1, false);
    read_journal(1, true);
    read_sqlite("one.db");
    return 0;
}
