"""Small incidents of two invented systems, through the whole program: who failed first, and of what.

Each system has its background of ordinary lines and each incident its first failure, its victims and how they tell
of it. What is asserted: the entity that failed first (or one of the equally right names) and the rule that explains it.
"""
import datetime as dt
import json
import math
import os
import random
import subprocess
import tempfile
import unittest

import harness

T0 = dt.datetime(2026, 5, 4, 12, 0, 0, tzinfo=dt.timezone.utc).timestamp()
END = T0 + 5400


def stamp(t, form):
    return dt.datetime.fromtimestamp(t, dt.timezone.utc).strftime(form)


def millis(t, mark):
    return "%s%03d" % (mark, int(t % 1 * 1000))


class Logs:
    """Records per service; every service has its own format."""

    def __init__(self, seed):
        self.r, self.files = random.Random(seed), {}

    def put(self, name, t, line):
        self.files.setdefault(name, []).append((t, line))

    def js(self, name, t, level, msg, **more):
        self.put(name, t, json.dumps({"ts": stamp(t, "%Y-%m-%dT%H:%M:%S") + millis(t, ".") + "Z", "level": level, "msg": msg, **more}))

    def py(self, name, t, level, logger, msg):
        self.put(name, t, "%s%s %s %s: %s" % (stamp(t, "%Y-%m-%d %H:%M:%S"), millis(t, ","), level, logger, msg))

    def java(self, name, t, level, logger, msg):
        self.put(name, t, "%s%s %-5s [exec-%d] %s : %s" % (
            stamp(t, "%Y-%m-%d %H:%M:%S"), millis(t, "."), level, self.r.randint(1, 50), logger, msg))

    def sys(self, name, t, host, program, msg):
        self.put(name, t, "%s %s %s: %s" % (stamp(t, "%b %e %H:%M:%S"), host, program, msg))

    def access(self, t, path, status, seconds):
        self.put("gateway", t, '10.0.%d.%d - - [%s] "POST %s HTTP/1.1" %d %d "-" "okhttp/4.12" %.3f' % (
            self.r.randint(0, 255), self.r.randint(1, 254), stamp(t, "%d/%b/%Y:%H:%M:%S +0000"), path, status, self.r.randint(100, 900), seconds))

    def mysql(self, t, level, msg):
        self.put("mysql", t, "%s%sZ %d [%s] [MY-012345] [InnoDB] %s" % (
            stamp(t, "%Y-%m-%dT%H:%M:%S"), ".%06d" % int(t % 1 * 1e6), self.r.randint(10, 900), level, msg))

    def times(self, start, end, per_s):
        t = start
        while True:
            t += self.r.expovariate(per_s)
            if t >= end:
                return
            yield t

    def took(self):
        return int(math.exp(self.r.gauss(3, .5)))

    def write(self, folder):
        os.makedirs(folder)
        for name, rows in self.files.items():
            rows.sort(key=lambda row: row[0])
            with open(os.path.join(folder, name + ".log"), "w", encoding="utf-8") as f:
                f.writelines(line + "\n" for _, line in rows)


def shop(x):
    """web -> api, users, search; billing beside them."""
    for t in x.times(T0, END, 2):
        x.js("web", t, "info", "request done", path=x.r.choice(["/", "/login", "/cart", "/search"]), ms=x.took())
    for t in x.times(T0, END, 1.5):
        x.py("users", t, "INFO", "users.api", "profile %d loaded in %d ms" % (x.r.randint(1, 9999), x.took()))
    for t in x.times(T0, END, 1.5):
        x.js("api", t, "info", "order accepted", order=x.r.randint(1, 10**7), ms=x.took())
    for t in x.times(T0, END, 1):
        x.py("search", t, "INFO", "search.index", "query took %d ms, %d hits" % (x.took(), x.r.randint(0, 200)))
    for t in x.times(T0, END, .5):
        x.js("billing", t, "info", "invoice sent", id=x.r.randint(1, 10**6))
    for t in x.times(T0, END, .05):
        x.py("users", t, "WARNING", "users.api", "slow client, user %d" % x.r.randint(1, 9999))


def store(x):
    """gateway -> order-service -> inventory-service, payment-service, mysql."""
    for t in x.times(T0, END, 2):
        order = x.r.randint(10**7, 10**8)
        x.java("order-service", t, "INFO", "c.s.order.OrderService", "Order %d placed, took %d ms" % (order, x.took()))
        x.put("inventory-service", t + .01, "time=%sZ level=info msg=\"stock reserved\" order=%d qty=%d" % (
            stamp(t, "%Y-%m-%dT%H:%M:%S") + millis(t, "."), order, x.r.randint(1, 4)))
        x.js("payment-service", t + .02, "info", "charge authorized", order=order, ms=x.took())
        x.access(t + .1, "/api/orders", 201, x.took() / 1000)
    for k in range(0, 5400, 60):
        x.mysql(T0 + k, "Note", "page_cleaner: %d pages flushed" % x.r.randint(10, 900))


def missing_secret(x):
    at = T0 + 3000
    x.files["users"] = [row for row in x.files["users"] if row[0] < at]
    for k in range(0, 5400, 30):
        x.sys("kubelet", T0 + k, "node-1", "kubelet[912]", "Probe succeeded for pod web-7d9")
    for t in x.times(at, END, .1):
        x.py("users", t, "CRITICAL", "users.main", "required environment variable USERS_DB_URL is not set, exiting")
    for t in x.times(at + 5, END, .1):
        x.sys("kubelet", t, "node-1", "kubelet[912]", "Back-off restarting failed container users in pod users-5d8f-x2: CrashLoopBackOff")
    for t in x.times(at + 1, END, 1):
        x.js("web", t, "error", "GET http://users:8080/profile: dial tcp 10.1.0.7:8080: connect: connection refused")


def too_many_clients(x):
    at = T0 + 2500
    for k in range(0, 5400, 60):
        x.put("postgres", T0 + k, stamp(T0 + k, "%Y-%m-%d %H:%M:%S.000 UTC") + " [71] LOG:  checkpoint complete: wrote %d buffers" % x.r.randint(10, 900))
    for t in x.times(at, END, .5):
        x.put("postgres", t, stamp(t, "%Y-%m-%d %H:%M:%S") + millis(t, ".") + " UTC [%d] FATAL:  sorry, too many clients already" % x.r.randint(100, 9000))
    for t in x.times(at + .5, END, 1):
        x.js("api", t, "error", "could not open connection to postgres: pq: sorry, too many clients already")
    for t in x.times(at + 1, END, 1):
        x.js("web", t, "error", "POST http://api:9000/orders returned 500")


def redis_memory(x):
    for t in x.times(T0 + 4000, END, 1):
        x.py("users", t, "ERROR", "users.session", "redis.exceptions.ResponseError: OOM command not allowed when used memory > 'maxmemory'.")
    for t in x.times(T0 + 4002, END, 1):
        x.js("web", t, "error", "login failed: users answered 500")


def no_route(x):
    for t in x.times(T0 + 3500, T0 + 4500, 1):
        x.py("search", t, "ERROR", "search.client", "ConnectionError: Failed to establish a new connection to elasticsearch-2:9200: [Errno 113] No route to host")
    for t in x.times(T0 + 3501, T0 + 4500, .7):
        x.js("web", t, "error", "search service returned 502")


def rebalance(x):
    for t in x.times(T0 + 3000, END, .3):
        x.js("billing", t, "warn", "Attempt to heartbeat failed since group is rebalancing", group="billing")
    for t in x.times(T0 + 3060, END, .2):
        x.js("billing", t, "error", "consumer lag 184223 on orders-3 exceeds 10000")


def rotated_key(x):
    at = T0 + 3333
    x.js("api", at - 5, "info", "secret rotated: jwt-signing-key v7")
    for t in x.times(at, END, 1.5):
        x.js("api", t, "error", "401 Unauthorized: token signature verification failed, kid v6 unknown")
    for t in x.times(at + 1, END, 1.5):
        x.js("web", t, "error", "POST http://api:9000/orders failed: 401")


def slow_provider(x):
    at = T0 + 3000
    for t in x.times(at, END, 1):
        x.js("api", t, "warn", "call to https://api.maps.example.com/route timed out after 10s")
    for t in x.times(at + 40, END, 1):
        x.js("api", t, "error", "worker pool exhausted, rejecting request")
    for t in x.times(at + 42, END, 1):
        x.js("web", t, "error", "POST http://api:9000/orders returned 503")


def failing_disk(x):
    at = T0 + 3000
    for k in range(0, 5400, 45):
        x.sys("node-4", T0 + k, "node-4", "systemd[1]", "Started Session %d of user ops." % k)
    for k in range(0, 5400, 20):
        x.put("cassandra", T0 + k, "INFO  [CompactionExecutor:4] %s,000 CompactionTask.java:260 - Compacted 4 sstables" % stamp(T0 + k, "%Y-%m-%d %H:%M:%S"))
    for t in x.times(at, END, .2):
        x.sys("node-4", t, "node-4", "kernel", "blk_update_request: I/O error, dev sdc, sector %d op 0x0:(READ)" % x.r.randint(1, 10**9))
    for t in x.times(at + 3, END, .3):
        x.put("cassandra", t, "ERROR [ReadStage-3] %s%s StorageService.java:430 - FSReadError: java.io.IOException: Input/output error" % (
            stamp(t, "%Y-%m-%d %H:%M:%S"), millis(t, ",")))
    for t in x.times(at + 4, END, 1):
        x.py("search", t, "ERROR", "search.recs", "NoHostAvailableException: all hosts tried for query failed (cassandra-1:9042)")


def null_pointer(x):
    at = T0 + 4000
    x.js("payment-service", at, "info", "Started PaymentApplication v3.1.0 in 8.2 seconds")
    for t in x.times(at + 40, END, 1):
        x.js("payment-service", t, "error", 'charge failed: java.lang.NullPointerException: Cannot invoke "Card.getToken()" because "card" is null')
    for t in x.times(at + 41, END, 1):
        x.java("order-service", t, "ERROR", "c.s.order.PaymentClient", "POST http://payment-service:8080/charge returned 500 Internal Server Error")
        x.access(t, "/api/orders", 500, .1)


def disk_full(x):
    at = T0 + 4000
    for t in x.times(at, END, .2):
        x.mysql(t, "ERROR", "Write to file ./shop/orders.ibd failed at offset %d: No space left on device" % x.r.randint(1, 10**9))
    for t in x.times(at + 2, END, 1.5):
        x.java("order-service", t, "ERROR", "c.s.order.OrderRepository", "could not execute statement; SQL state HY000: The table 'orders' is full")
        x.access(t, "/api/orders", 500, .1)


def name_resolution(x):
    for t in x.times(T0 + 3000, T0 + 4500, 1):
        x.js("payment-service", t, "error", "POST https://api.stripe.com/v1/charges failed: dial tcp: lookup api.stripe.com on 10.96.0.10:53: no such host")
    for t in x.times(T0 + 3001, T0 + 4500, .8):
        x.java("order-service", t, "ERROR", "c.s.order.PaymentClient", "payment-service answered 502")


def silent_death(x):
    at = T0 + 3500
    x.files["inventory-service"] = [row for row in x.files["inventory-service"] if row[0] < at]
    for t in x.times(at + .5, END, 2):
        x.java("order-service", t, "ERROR", "c.s.order.InventoryClient",
               "reserve failed: Connect to inventory-service:8080 [inventory-service/10.0.2.9] failed: Connection refused")
        x.access(t, "/api/orders", 503, .1)


def rate_limited(x):
    for t in x.times(T0 + 4200, END, 2):
        x.js("payment-service", t, "error", "adyen responded 429 Too Many Requests, retry-after 30", provider="adyen")
    for t in x.times(T0 + 4203, END, 1):
        x.java("order-service", t, "ERROR", "c.s.order.PaymentClient", "payment-service: charge rejected, order %d cancelled" % x.r.randint(1, 10**7))


def gc_pauses(x):
    at = T0 + 3800
    for t in x.times(at, END, .3):
        x.java("order-service", t, "WARN", "jvm.GcMonitor", "Full GC pause of %d ms, heap 3.9G of 4G" % x.r.randint(2000, 9000))
    for t in x.times(at + 20, END, 1):
        x.js("payment-service", t, "error", "call to order-service failed: read timed out after 10000 ms")
        x.access(t, "/api/orders", 504, 10)


def lock_waits(x):
    at = T0 + 3200
    for t in x.times(at + 50, END, .4):
        x.mysql(t, "Warning", "Lock wait timeout exceeded; transaction %d has waited 50 seconds" % x.r.randint(1, 10**6))
    for t in x.times(at + 30, END, 1):
        x.java("order-service", t, "ERROR", "c.s.order.OrderRepository",
               "Could not open JDBC connection: HikariPool-1 - Connection is not available, request timed out after 30000ms")
        x.access(t, "/api/orders", 503, 30)


CASES = [
    (shop, missing_secret, {"users"}, {"missing_environment_or_secret"}),
    (shop, too_many_clients, {"postgres"}, {"database_too_many_connections"}),
    (shop, redis_memory, {"redis"}, {"redis_out_of_memory"}),
    (shop, no_route, {"elasticsearch"}, {"network_unreachable"}),
    (shop, rebalance, {"billing", "kafka"}, {"kafka_rebalance", "kafka_consumer_lag"}),
    (shop, rotated_key, {"api"}, {"authentication_failed"}),
    (shop, slow_provider, {"api.maps.example.com"}, {"timeout_cascade"}),
    (shop, failing_disk, {"cassandra", "kernel"}, {"disk_io_error"}),
    (store, null_pointer, {"payment-service"}, {"null_pointer"}),
    (store, disk_full, {"mysql"}, {"disk_full"}),
    (store, name_resolution, {"api.stripe.com", "dns"}, {"dns_failure"}),
    (store, silent_death, {"inventory-service"}, {"connection_refused"}),
    (store, rate_limited, {"payment-service"}, {"rate_limited"}),
    (store, gc_pauses, {"order-service"}, {"gc_pause"}),
    (store, lock_waits, {"mysql"}, {"lock_wait_timeout"}),
]


class RootCause(unittest.TestCase):
    def report(self, folder):
        p = subprocess.run([harness.PROGRAM, "analyze", "--format", "json", folder], capture_output=True, timeout=120)
        self.assertEqual(p.returncode, 0, p.stderr)
        return json.loads(p.stdout)

    def test_first_failure_and_type(self):
        with tempfile.TemporaryDirectory(prefix="faultline-root-cause-") as scratch:
            for system, incident, first, types in CASES:
                for seed in (int(os.environ.get("FAULTLINE_SEED", "1")),):
                    with self.subTest(incident=incident.__name__, seed=seed):
                        x = Logs(seed)
                        system(x)
                        incident(x)
                        folder = os.path.join(scratch, "%s-%d" % (incident.__name__, seed))
                        x.write(folder)
                        got = self.report(folder)
                        self.assertIs(got["is_anomaly"], True)
                        self.assertIn(got["first_failure"]["entity"], first)
                        self.assertIn(got["anomaly_type"], types)

    def test_release_before_the_onset_is_a_candidate(self):
        with tempfile.TemporaryDirectory(prefix="faultline-root-cause-") as scratch:
            x = Logs(1)
            store(x)
            null_pointer(x)
            x.write(os.path.join(scratch, "logs"))
            changes = self.report(os.path.join(scratch, "logs"))["changes"]
            self.assertEqual(len(changes), 1)
            self.assertIn("PaymentApplication v3.1.0", changes[0]["text"])

    def test_background_alone_is_normal(self):
        with tempfile.TemporaryDirectory(prefix="faultline-root-cause-") as scratch:
            for system in (shop, store):
                with self.subTest(system=system.__name__):
                    x = Logs(5)
                    system(x)
                    x.write(os.path.join(scratch, system.__name__))
                    self.assertIs(self.report(os.path.join(scratch, system.__name__))["is_anomaly"], False)


if __name__ == "__main__":
    harness.main()
