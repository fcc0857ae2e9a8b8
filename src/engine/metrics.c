/* metrics.c - the figures in Prometheus' text format, version 0.0.4: names faultline_* with unit
 * and _total as its conventions want, process_* as its client libraries have them. */
#include "engine/figures.h"

static const char *const SIGNALS[SIGNAL_COUNT] = {"logs", "spans", "metrics", "profiles"};

static void head(buf *out, const char *name, const char *type, const char *help) {
    buf_fmt(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one_u64(buf *out, const char *name, const char *type, const char *help, uint64_t v) {
    head(out, name, type, help);
    buf_fmt(out, "%s %" PRIu64 "\n", name, v);
}

static void one_f64(buf *out, const char *name, const char *type, const char *help, double v) {
    head(out, name, type, help);
    buf_fmt(out, "%s ", name);
    buf_double(out, v);
    buf_putc(out, '\n');
}

static void labelled(buf *out, const char *name, const char *labels, uint64_t v) {
    buf_fmt(out, "%s{%s} %" PRIu64 "\n", name, labels, v);
}

#define COUNTER "counter"
#define GAUGE   "gauge"

typedef struct receiver_row {
    const char *name, *help;
    size_t offset;
} receiver_row;

static void put_receivers(buf *out, const engine_figures *f) {
    static const receiver_row ROWS[] = {
        {"faultline_receiver_requests_total", "Requests, datagrams or reads taken in",
         offsetof(receiver_counts, requests)},
        {"faultline_receiver_bytes_total", "Bytes taken in, after decompression",
         offsetof(receiver_counts, bytes)},
        {"faultline_receiver_records_total", "Records decoded", offsetof(receiver_counts, records)},
        {"faultline_receiver_accepted_records_total", "Records durable and acknowledged",
         offsetof(receiver_counts, accepted)},
        {"faultline_receiver_rejected_records_total",
         "Records refused one by one (partial success)", offsetof(receiver_counts, rejected)},
        {"faultline_receiver_refused_records_total", "Records of requests answered with a failure",
         offsetof(receiver_counts, refused)},
        {"faultline_receiver_invalid_requests_total", "Requests that could not be decoded",
         offsetof(receiver_counts, invalid_requests)},
        {"faultline_receiver_dropped_records_total",
         "Records of protocols without an answer that "
         "found no room",
         offsetof(receiver_counts, dropped)}};
    for (size_t r = 0; r < ARRAY_LEN(ROWS); r++) {
        head(out, ROWS[r].name, COUNTER, ROWS[r].help);
        for (size_t i = 0; i < f->receiver_count; i++) {
            uint64_t v;
            memcpy(&v, (const char *)&f->receivers[i].n + ROWS[r].offset, sizeof v);
            buf_fmt(out, "%s{receiver=\"%s\"} %" PRIu64 "\n", ROWS[r].name, f->receivers[i].name,
                    v);
        }
    }
}

static void put_intake(buf *out, const engine_figures *f) {
    const intake_counts *n = &f->intake;
    head(out, "faultline_ingest_records_total", COUNTER, "Records durable and acknowledged");
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        buf_fmt(out, "faultline_ingest_records_total{signal=\"%s\"} %" PRIu64 "\n", SIGNALS[i],
                n->records[i]);
    one_u64(out, "faultline_ingest_requests_total", COUNTER, "Telemetry batches acknowledged",
            n->requests);
    one_u64(out, "faultline_ingest_bytes_total", COUNTER, "Bytes of their bodies", n->bytes);
    head(out, "faultline_ingest_refused_total", COUNTER, "Telemetry batches refused, by reason");
    labelled(out, "faultline_ingest_refused_total", "reason=\"memory\"", n->refused_memory);
    labelled(out, "faultline_ingest_refused_total", "reason=\"queue\"", n->refused_queue);
    labelled(out, "faultline_ingest_refused_total", "reason=\"stopping\"", n->refused_closed);
    labelled(out, "faultline_ingest_refused_total", "reason=\"too_large\"", n->refused_large);
    labelled(out, "faultline_ingest_refused_total", "reason=\"store\"", n->failed);
    one_u64(out, "faultline_ingest_refused_records_total", COUNTER, "Records of refused batches",
            n->records_refused);
    one_u64(out, "faultline_ingest_memory_bytes", GAUGE, "Telemetry decoded and not stored yet",
            n->memory_bytes);
    one_u64(out, "faultline_ingest_memory_max_bytes", GAUGE, "Its maximum (limits.memory)",
            n->memory_max_bytes);
    one_u64(out, "faultline_ingest_waiting", GAUGE, "Telemetry batches on their way", n->waiting);
    head(out, "faultline_ingest_ack_seconds", "summary", "Time from decoded to durable");
    buf_put(out, S("faultline_ingest_ack_seconds_sum "));
    buf_double(out, (double)n->ack_sum_ns / 1e9);
    buf_fmt(out, "\nfaultline_ingest_ack_seconds_count %" PRIu64 "\n", n->acks);
    one_f64(out, "faultline_ingest_ack_max_seconds", GAUGE, "The longest such time since start",
            (double)n->ack_max_ns / 1e9);
    one_u64(out, "faultline_services", GAUGE, "Different service names since start, at least",
            n->services);
    one_u64(out, "faultline_mine_shapes", GAUGE, "Log shapes kept by the miners", n->shapes);
    one_u64(out, "faultline_mine_evicted_total", COUNTER,
            "Log shapes dropped to stay within bounds", n->evicted);
    one_u64(out, "faultline_mine_overflow_records_total", COUNTER,
            "Log records whose shape the miners did not keep (the records are stored with it)",
            n->overflow);
    one_u64(out, "faultline_mine_skipped_records_total", COUNTER,
            "Log records stored without a shape", n->not_mined);
}

static void put_store(buf *out, const engine_figures *f) {
    const store_stats *s = &f->store;
    static const struct {
        const char *name, *help;
        size_t offset;
    } ROWS[] = {
        {"faultline_store_records", "Records in the store", offsetof(store_signal_stats, records)},
        {"faultline_store_journal_records", "Records not compacted yet",
         offsetof(store_signal_stats, records_journal)},
        {"faultline_store_blocks", "Blocks", offsetof(store_signal_stats, blocks)},
        {"faultline_store_signal_bytes", "Bytes on disk",
         offsetof(store_signal_stats, bytes_on_disk)},
        {"faultline_store_raw_bytes", "Bytes of the records as received",
         offsetof(store_signal_stats, raw_bytes)}};
    for (size_t r = 0; r < ARRAY_LEN(ROWS); r++) {
        head(out, ROWS[r].name, GAUGE, ROWS[r].help);
        for (size_t i = 0; i < SIGNAL_COUNT; i++) {
            uint64_t v;
            memcpy(&v, (const char *)&s->signal[i] + ROWS[r].offset, sizeof v);
            buf_fmt(out, "%s{signal=\"%s\"} %" PRIu64 "\n", ROWS[r].name, SIGNALS[i], v);
        }
    }
    one_u64(out, "faultline_store_series", GAUGE, "Different metric series, at least",
            s->signal[SIGNAL_METRICS].series);
    one_u64(out, "faultline_store_appended_total", COUNTER, "Batches given to the store",
            s->appended);
    one_u64(out, "faultline_store_acknowledged_total", COUNTER, "Batches durable", s->acknowledged);
    one_u64(out, "faultline_store_failed_total", COUNTER, "Batches that could not be written",
            s->failed);
    one_u64(out, "faultline_store_refused_total", COUNTER, "Batches refused by a full queue",
            s->refused);
    one_u64(out, "faultline_store_commits_total", COUNTER, "Commits of the journal", s->commits);
    one_u64(out, "faultline_store_syncs_total", COUNTER, "Syncs of the disk", s->syncs);
    one_u64(out, "faultline_store_commit_bytes_total", COUNTER, "Bytes written by commits",
            s->commit_bytes);
    one_u64(out, "faultline_store_queue_batches", GAUGE, "Batches waiting for the writer",
            s->queue_depth);
    one_u64(out, "faultline_store_queue_bytes", GAUGE, "Their bytes", s->queue_bytes);
    one_u64(out, "faultline_store_queue_max_bytes", GAUGE, "Their maximum (store.queue)",
            s->queue_max_bytes);
    one_u64(out, "faultline_store_compactions_total", COUNTER, "Compactions done", s->compactions);
    one_u64(out, "faultline_store_compaction_backlog_bytes", GAUGE,
            "Journals waiting for compaction", s->compaction_backlog_bytes);
    one_u64(out, "faultline_store_expired_partitions_total", COUNTER,
            "Partitions deleted by retention", s->expired_partitions);
    one_u64(out, "faultline_store_damaged_blocks", GAUGE, "Blocks found damaged",
            s->damaged_blocks);
    one_u64(out, "faultline_store_disk_bytes", GAUGE, "Bytes of all files", s->disk_bytes);
    one_u64(out, "faultline_store_disk_free_bytes", GAUGE, "Free bytes of the disk",
            s->disk_free_bytes);
    one_u64(out, "faultline_store_disk_full", GAUGE,
            "1 when the disk refused a write for lack of room", s->disk_full);
    one_u64(out, "faultline_store_cache_bytes", GAUGE, "Decoded columns kept for queries",
            s->cache_bytes);
}

static void put_net(buf *out, const engine_figures *f) {
    const net_counts *n = &f->net;
    one_u64(out, "faultline_net_connections_total", COUNTER, "Connections accepted",
            n->connections);
    one_u64(out, "faultline_net_connections_open", GAUGE, "Connections open", n->connections_open);
    one_u64(out, "faultline_net_requests_total", COUNTER, "Requests", n->requests);
    one_u64(out, "faultline_net_requests_open", GAUGE, "Requests without their answer yet",
            n->requests_open);
    one_u64(out, "faultline_net_received_bytes_total", COUNTER, "Bytes received", n->bytes_in);
    one_u64(out, "faultline_net_sent_bytes_total", COUNTER, "Bytes sent", n->bytes_out);
    one_u64(out, "faultline_net_inflight_bytes", GAUGE, "Bytes of request bodies held",
            n->inflight_bytes);
    head(out, "faultline_net_refused_total", COUNTER, "Requests or connections refused, by reason");
    labelled(out, "faultline_net_refused_total", "reason=\"limit\"", n->refused_limit);
    labelled(out, "faultline_net_refused_total", "reason=\"auth\"", n->refused_auth);
    labelled(out, "faultline_net_refused_total", "reason=\"bad_request\"", n->bad_requests);
    labelled(out, "faultline_net_refused_total", "reason=\"timeout\"", n->timeouts);
    labelled(out, "faultline_net_refused_total", "reason=\"tls\"", n->tls_failures);
    labelled(out, "faultline_net_refused_total", "reason=\"h2_flood\"", n->h2_floods);
}

static void put_pool(buf *out, const char *name, const char *type, const char *help,
                     uint64_t decode, uint64_t query) {
    head(out, name, type, help);
    buf_fmt(out, "%s{pool=\"decode\"} %" PRIu64 "\n%s{pool=\"query\"} %" PRIu64 "\n", name, decode,
            name, query);
}

static void put_engine(buf *out, const engine_figures *f) {
    const workers_counts *d = &f->decode, *q = &f->query;
    put_pool(out, "faultline_workers_threads", GAUGE, "Threads of the pool", d->threads,
             q->threads);
    put_pool(out, "faultline_workers_busy", GAUGE, "Threads at work", d->busy, q->busy);
    put_pool(out, "faultline_workers_queue", GAUGE, "Jobs waiting", d->depth, q->depth);
    put_pool(out, "faultline_workers_queue_max", GAUGE, "Jobs that may wait", d->queue_max,
             q->queue_max);
    put_pool(out, "faultline_workers_jobs_total", COUNTER, "Jobs done", d->jobs, q->jobs);
    put_pool(out, "faultline_workers_refused_total", COUNTER, "Jobs refused by a full queue",
             d->refused, q->refused);
    one_u64(out, "faultline_tail_followers", GAUGE, "Clients that follow", f->taps.taps);
    one_u64(out, "faultline_tail_dropped_batches_total", COUNTER,
            "Batches that followers were too slow for", f->taps.dropped);
    head(out, "faultline_self_records_total", COUNTER, "Own log lines and spans kept");
    labelled(out, "faultline_self_records_total", "signal=\"logs\"", f->self.logs);
    labelled(out, "faultline_self_records_total", "signal=\"spans\"", f->self.spans);
    one_u64(out, "faultline_self_dropped_total", COUNTER, "Own log lines and spans not kept",
            f->self.dropped);
    head(out, "faultline_build_info", GAUGE, "Version of the program");
    buf_fmt(out, "faultline_build_info{version=\"%.*s\"} 1\n", STR_ARG(f->version));
    one_f64(out, "faultline_start_seconds", GAUGE, "Time from start to ready",
            (double)f->start_took_ns / 1e9);
    one_u64(out, "faultline_ready", GAUGE, "1 when the server takes input",
            f->state == ENGINE_READY && !f->store.disk_full);
}

static void put_memory(buf *out, const engine_figures *f) {
    const sys_process_stats *p = &f->process;
    head(out, "faultline_memory_bytes", GAUGE, "Memory by what holds it");
    labelled(out, "faultline_memory_bytes", "area=\"telemetry\"", f->intake.memory_bytes);
    labelled(out, "faultline_memory_bytes", "area=\"miners\"", f->intake.miner_bytes);
    labelled(out, "faultline_memory_bytes", "area=\"store_queue\"", f->store.queue_bytes);
    labelled(out, "faultline_memory_bytes", "area=\"store_cache\"", f->store.cache_bytes);
    labelled(out, "faultline_memory_bytes", "area=\"request_bodies\"", f->net.inflight_bytes);
    labelled(out, "faultline_memory_bytes", "area=\"heap_used\"", p->heap_used_bytes);
    labelled(out, "faultline_memory_bytes", "area=\"heap_free\"", p->heap_free_bytes);
    labelled(out, "faultline_memory_bytes", "area=\"heap_mapped\"", p->heap_mapped_bytes);
    one_f64(out, "process_cpu_seconds_total", COUNTER, "Processor time, user and system",
            p->cpu_user_s + p->cpu_system_s);
    one_u64(out, "process_resident_memory_bytes", GAUGE, "Resident memory", p->rss_bytes);
    one_u64(out, "process_resident_memory_max_bytes", GAUGE, "Resident memory at its highest",
            p->peak_rss_bytes);
    one_u64(out, "process_virtual_memory_bytes", GAUGE, "Virtual memory", p->virtual_bytes);
    one_f64(out, "process_start_time_seconds", GAUGE, "Start, seconds since 1970",
            (double)p->start_ns / 1e9);
    one_u64(out, "process_open_fds", GAUGE, "Open files", p->open_files);
    one_u64(out, "process_max_fds", GAUGE, "Files that may be open", p->max_files);
    one_u64(out, "process_threads", GAUGE, "Threads", p->threads);
}

bool engine_put_metrics(engine *g, buf *out) {
    engine_figures f;
    engine_figure(g, &f);
    put_engine(out, &f);
    put_receivers(out, &f);
    put_intake(out, &f);
    put_store(out, &f);
    put_net(out, &f);
    put_memory(out, &f);
    return !out->full;
}
