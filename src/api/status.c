/* status.c - GET /api/v1/status and /api/v1/partitions: every figure a person asks for first. The
 * ledger of a receiver adds up: records = accepted + rejected + refused (+ dropped). */
#include "api/manage_int.h"
#include "codec/json_write.h"
#include "codec/timestamp.h"
#include "engine/figures.h"

enum { STATUS_BYTES_MAX = 4 << 20 };

static const char *const SIGNALS[SIGNAL_COUNT] = {"logs", "spans", "metrics", "profiles"};

static void key(json_writer *w, const char *name) { json_write_key(w, str_c(name)); }
static void kv(json_writer *w, const char *name, uint64_t v) {
    key(w, name);
    json_write_u64(w, v);
}
static void kv_f(json_writer *w, const char *name, double v) {
    json_write_kv_double(w, str_c(name), v);
}
/* RFC 3339, null for none. */
static void kv_time(json_writer *w, const char *name, int64_t ns) {
    char text[TS_TEXT_BYTES];
    key(w, name);
    if (ns == TS_NONE || ns == 0) {
        json_write_null(w);
        return;
    }
    ts_format(ns, text);
    json_write_str(w, str_c(text));
}
static void open(json_writer *w, const char *name) {
    key(w, name);
    json_write_object(w);
}

static void put_listeners(json_writer *w, engine *g, arena *mem) {
    open(w, "listen");
    for (int l = 0; l < ENGINE_LISTENERS; l++) {
        str address;
        if (!engine_address(g, (engine_listener)l, mem, &address)) continue;
        open(w, engine_listener_name((engine_listener)l));
        json_write_kv(w, S("address"), address);
        json_write_kv_bool(w, S("tls"), engine_listener_tls(g, (engine_listener)l));
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

static void put_rates(json_writer *w, const engine_figures *f) {
    open(w, "rates_1m");
    for (int i = 0; i < SIGNAL_COUNT; i++) kv_f(w, SIGNALS[i], f->rates.records[i]);
    kv_f(w, "bytes", f->rates.bytes);
    kv_f(w, "requests", f->rates.requests);
    json_write_object_end(w);
}

static void put_receivers(json_writer *w, const engine_figures *f) {
    key(w, "receivers");
    json_write_array(w);
    for (size_t i = 0; i < f->receiver_count; i++) {
        const receiver_counts *n = &f->receivers[i].n;
        json_write_object(w);
        json_write_kv(w, S("name"), str_c(f->receivers[i].name));
        kv(w, "requests", n->requests);
        kv(w, "bytes", n->bytes);
        kv(w, "records", n->records);
        kv(w, "accepted", n->accepted);
        kv(w, "rejected", n->rejected);
        kv(w, "refused", n->refused);
        kv(w, "dropped", n->dropped);
        kv(w, "invalid_requests", n->invalid_requests);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void put_ingest(json_writer *w, const engine_figures *f) {
    const intake_counts *n = &f->intake;
    open(w, "ingest");
    open(w, "stored");
    for (int i = 0; i < SIGNAL_COUNT; i++) kv(w, SIGNALS[i], n->records[i]);
    json_write_object_end(w);
    kv(w, "waiting", n->waiting);
    kv(w, "memory_bytes", n->memory_bytes);
    kv(w, "memory_max_bytes", n->memory_max_bytes);
    open(w, "refused_batches");
    kv(w, "memory", n->refused_memory);
    kv(w, "store_queue", n->refused_queue);
    kv(w, "stopping", n->refused_closed);
    kv(w, "too_large", n->refused_large);
    kv(w, "store_failed", n->failed);
    json_write_object_end(w);
    kv(w, "refused_records", n->records_refused);
    kv_f(w, "ack_mean_ms", n->acks ? (double)n->ack_sum_ns / (double)n->acks / 1e6 : 0);
    kv_f(w, "ack_max_ms", (double)n->ack_max_ns / 1e6);
    json_write_object_end(w);
    open(w, "cardinality");
    kv(w, "services", n->services);
    kv(w, "metric_series", f->store.signal[SIGNAL_METRICS].series);
    kv(w, "log_shapes", n->shapes);
    kv(w, "log_shapes_evicted", n->evicted);
    kv(w, "log_records_without_shape", n->not_mined);
    json_write_object_end(w);
}

static void put_pool(json_writer *w, const char *name, const workers_counts *n) {
    open(w, name);
    kv(w, "threads", n->threads);
    kv(w, "busy", n->busy);
    kv(w, "queue", n->depth);
    kv(w, "queue_max", n->queue_max);
    kv(w, "refused", n->refused);
    json_write_object_end(w);
}

static void put_queues(json_writer *w, const engine_figures *f) {
    open(w, "queues");
    put_pool(w, "decode", &f->decode);
    put_pool(w, "query", &f->query);
    open(w, "store");
    kv(w, "batches", f->store.queue_depth);
    kv(w, "bytes", f->store.queue_bytes);
    kv(w, "max_bytes", f->store.queue_max_bytes);
    kv(w, "refused", f->store.refused);
    json_write_object_end(w);
    open(w, "tail");
    kv(w, "followers", f->taps.taps);
    kv(w, "batches", f->taps.waiting);
    kv(w, "dropped_batches", f->taps.dropped);
    json_write_object_end(w);
    json_write_object_end(w);
}

static void put_store(json_writer *w, const engine_figures *f) {
    const store_stats *s = &f->store;
    open(w, "store");
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        const store_signal_stats *x = &s->signal[i];
        open(w, SIGNALS[i]);
        kv(w, "records", x->records);
        kv(w, "records_in_journal", x->records_journal);
        kv(w, "blocks", x->blocks);
        kv(w, "bytes", x->bytes_on_disk);
        kv(w, "raw_bytes", x->raw_bytes);
        kv_f(w, "bytes_per_record", x->records ? (double)x->bytes_on_disk / (double)x->records : 0);
        kv_time(w, "first", x->first_ns);
        kv_time(w, "last", x->last_ns);
        json_write_object_end(w);
    }
    kv(w, "commits", s->commits);
    kv(w, "syncs", s->syncs);
    kv(w, "compactions", s->compactions);
    kv(w, "compaction_backlog_bytes", s->compaction_backlog_bytes);
    kv(w, "expired_partitions", s->expired_partitions);
    kv(w, "damaged_blocks", s->damaged_blocks);
    json_write_kv(w, S("last_error"), str_c(s->last_error));
    json_write_object_end(w);
    open(w, "disk");
    kv(w, "used_bytes", s->disk_bytes);
    kv(w, "free_bytes", s->disk_free_bytes);
    json_write_kv_bool(w, S("full"), s->disk_full);
    json_write_object_end(w);
}

static void put_memory(json_writer *w, const engine_figures *f) {
    const sys_process_stats *p = &f->process;
    open(w, "memory");
    kv(w, "resident_bytes", p->rss_bytes);
    kv(w, "resident_max_bytes", p->peak_rss_bytes);
    kv(w, "telemetry_bytes", f->intake.memory_bytes);
    kv(w, "miners_bytes", f->intake.miner_bytes);
    kv(w, "store_queue_bytes", f->store.queue_bytes);
    kv(w, "store_cache_bytes", f->store.cache_bytes);
    kv(w, "request_bodies_bytes", f->net.inflight_bytes);
    kv(w, "heap_used_bytes", p->heap_used_bytes);
    kv(w, "heap_free_bytes", p->heap_free_bytes);
    kv(w, "heap_mapped_bytes", p->heap_mapped_bytes);
    json_write_object_end(w);
    open(w, "process");
    kv_f(w, "cpu_seconds", p->cpu_user_s + p->cpu_system_s);
    kv(w, "threads", p->threads);
    kv(w, "open_files", p->open_files);
    kv(w, "max_files", p->max_files);
    json_write_object_end(w);
}

static void put_net(json_writer *w, const engine_figures *f) {
    const net_counts *n = &f->net;
    open(w, "net");
    kv(w, "connections_open", n->connections_open);
    kv(w, "connections", n->connections);
    kv(w, "requests_open", n->requests_open);
    kv(w, "requests", n->requests);
    kv(w, "bytes_in", n->bytes_in);
    kv(w, "bytes_out", n->bytes_out);
    open(w, "refused");
    kv(w, "limit", n->refused_limit);
    kv(w, "auth", n->refused_auth);
    kv(w, "bad_request", n->bad_requests);
    kv(w, "timeout", n->timeouts);
    kv(w, "tls", n->tls_failures);
    kv(w, "h2_flood", n->h2_floods);
    json_write_object_end(w);
    json_write_object_end(w);
}

static void reply(net_request *r, buf *out) {
    buf_putc(out, '\n');
    if (out->full)
        api_fail(r, RC_LIMIT, "the answer is longer than %d bytes", STATUS_BYTES_MAX);
    else
        net_reply(r, &(net_reply_opts){.status = 200, .content_type = API_JSON}, buf_str(out));
    buf_release(out);
}

static void status(engine *g, net_request *r) {
    engine_figures f;
    engine_figure(g, &f);
    buf out;
    buf_init(&out, STATUS_BYTES_MAX);
    json_writer w;
    json_write_init(&w, &out, 2);
    json_write_object(&w);
    err why = {0};
    bool ready = engine_ready(g, &why) == RC_OK;
    json_write_kv(&w, S("state"), str_c(engine_state_name(f.state)));
    json_write_kv_bool(&w, S("ready"), ready);
    if (!ready) json_write_kv(&w, S("reason"), str_c(why.msg));
    json_write_kv(&w, S("version"), f.version);
    kv(&w, "pid", (uint64_t)sys_process_id());
    kv_f(&w, "uptime_s", (double)f.uptime_ns / 1e9);
    kv_f(&w, "start_ms", (double)f.start_took_ns / 1e6);
    put_listeners(&w, g, net_arena(r));
    put_rates(&w, &f);
    put_receivers(&w, &f);
    put_ingest(&w, &f);
    put_queues(&w, &f);
    put_store(&w, &f);
    put_memory(&w, &f);
    put_net(&w, &f);
    open(&w, "self");
    kv(&w, "logs", f.self.logs);
    kv(&w, "spans", f.self.spans);
    kv(&w, "dropped", f.self.dropped);
    json_write_object_end(&w);
    json_write_object_end(&w);
    reply(r, &out);
}

void api_status(void *ctx, net_request *r) { api_offload(ctx, r, status); }

static void partitions(engine *g, net_request *r) {
    const store_partition *list;
    size_t n;
    err e = {0};
    store *s = engine_store(g);
    rc code = s->ops->partitions(s, net_arena(r), &list, &n, &e);
    if (code != RC_OK) {
        net_reply_err(r, &e);
        return;
    }
    buf out;
    buf_init(&out, STATUS_BYTES_MAX);
    json_writer w;
    json_write_init(&w, &out, 2);
    json_write_object(&w);
    key(&w, "partitions");
    json_write_array(&w);
    for (size_t i = 0; i < n; i++) {
        const store_partition *p = &list[i];
        json_write_object(&w);
        json_write_kv(&w, S("name"), p->name);
        json_write_kv(&w, S("path"), p->path);
        json_write_kv_bool(&w, S("cold"), p->cold);
        json_write_kv_bool(&w, S("open"), p->open);
        kv(&w, "bytes", p->bytes);
        kv(&w, "files", p->files);
        open(&w, "records");
        for (int k = 0; k < SIGNAL_COUNT; k++) kv(&w, SIGNALS[k], p->records[k]);
        json_write_object_end(&w);
        kv_time(&w, "first", p->first_ns);
        kv_time(&w, "last", p->last_ns);
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    reply(r, &out);
}

void api_partitions(void *ctx, net_request *r) { api_offload(ctx, r, partitions); }
