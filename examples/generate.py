#!/usr/bin/env python3
"""Writes one of the example incidents: a directory of log files as a small shop's services would leave them.

  generate.py order-service|memory-leak|certificate OUT_DIR [--seed N] [--lines N] [--quiet]

Everything is invented and reproducible: the same seed gives the same bytes. --quiet leaves the fault out (the twin
that must give "nothing abnormal found"). What the report must name is in <incident>.expected.json beside this file.
Standard library only.
"""
import argparse
import datetime as dt
import json
import math
import os
import random
import sys

UTC = dt.timezone.utc
T0 = dt.datetime(2026, 3, 17, 8, 0, 0, tzinfo=UTC).timestamp()
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


# --- one log format each: time in seconds and fields to one record's text
def stamp(t, fmt, digits=3):
    whole = int(t)
    frac = str(int((t - whole) * 10**digits)).zfill(digits)
    return dt.datetime.fromtimestamp(whole, UTC).strftime(fmt).replace("@F", frac)


def logback(t, level, thread, logger, msg):
    return "%s %-5s [%s] %s : %s" % (stamp(t, "%Y-%m-%d %H:%M:%S.@F"), level, thread, logger, msg)


def jsonline(t, level, logger, msg, **kw):
    d = {"time": stamp(t, "%Y-%m-%dT%H:%M:%S.@FZ"), "level": level, "logger": logger, "msg": msg}
    d.update(kw)
    return json.dumps(d, separators=(",", ":"))


def quoted(v):
    return '"%s"' % v.replace('"', '\\"') if isinstance(v, str) and any(c in v for c in ' "=') else str(v)


def logfmt(t, level, msg, **kw):
    pairs = "".join(" %s=%s" % (k, quoted(v)) for k, v in kw.items())
    return "time=%s level=%s msg=%s%s" % (stamp(t, "%Y-%m-%dT%H:%M:%S.@FZ"), level, quoted(msg), pairs)


def nginx(t, ip, req, status, size, agent, rt):
    when = stamp(t, "%d/%b/%Y:%H:%M:%S")
    return '%s - - [%s +0000] "%s" %d %d "-" "%s" %.3f' % (ip, when, req, status, size, agent, rt)


def redislog(t, mark, msg):
    d = dt.datetime.fromtimestamp(int(t), UTC)
    ms = int((t % 1) * 1000)
    return "1:M %02d %s %d %s.%03d %s %s" % (d.day, MONTHS[d.month - 1], d.year, d.strftime("%H:%M:%S"), ms, mark, msg)


def mysqllog(t, thread, prio, code, sub, msg):
    return "%s %d [%s] [MY-%06d] [%s] %s" % (stamp(t, "%Y-%m-%dT%H:%M:%S.@FZ", 6), thread, prio, code, sub, msg)


def klog(t, level, where, msg):
    return "%s%s %7d %s] %s" % (level, stamp(t, "%m%d %H:%M:%S.@F", 6), 1, where, msg)


def syslog(t, host, prog, pid, msg):
    d = dt.datetime.fromtimestamp(int(t), UTC)
    tag = "%s[%d]" % (prog, pid) if pid else prog
    return "%s %2d %s %s %s: %s" % (MONTHS[d.month - 1], d.day, d.strftime("%H:%M:%S"), host, tag, msg)


AGENTS = ["Mozilla/5.0 (X11; Linux x86_64)", "okhttp/4.12.0", "ShopApp/8.4 (iPhone; iOS 19.2)",
          "Mozilla/5.0 (Windows NT 10.0)"]
REDIS_TRACE = """
io.lettuce.core.RedisCommandTimeoutException: Command timed out after 1 second(s)
\tat io.lettuce.core.internal.ExceptionFactory.createTimeoutException(ExceptionFactory.java:59)
\tat io.lettuce.core.protocol.CommandExpiryWriter.lambda$potentiallyExpire$0(CommandExpiryWriter.java:176)
\tat com.shop.order.cart.CartRepository.load(CartRepository.java:71)
\tat com.shop.order.OrderService.place(OrderService.java:118)
\tat java.base/java.lang.Thread.run(Thread.java:833)"""
POOL_TRACE = """
java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, request timed out after 30000ms \
(total=50, active=50, idle=0, waiting=%d)
\tat com.zaxxer.hikari.pool.HikariPool.createTimeoutException(HikariPool.java:696)
\tat com.zaxxer.hikari.pool.HikariPool.getConnection(HikariPool.java:197)
\tat com.shop.order.OrderRepository.save(OrderRepository.java:64)
\tat com.shop.order.OrderService.place(OrderService.java:131)
\tat java.base/java.lang.Thread.run(Thread.java:833)"""
HEAP_TRACE = """
java.lang.OutOfMemoryError: Java heap space
\tat java.base/java.util.Arrays.copyOf(Arrays.java:3512)
\tat com.shop.catalog.ResultCache.put(ResultCache.java:41)
\tat com.shop.catalog.SearchService.search(SearchService.java:77)
\tat java.base/java.lang.Thread.run(Thread.java:833)"""


class Incident:
    """Collects records per file; writes each file in time order. The helpers draw from the incident's own randomness."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.files = {}

    def put(self, name, t, text):
        rows = self.files.setdefault(name + ".log", [])
        rows.append((t, len(rows), text))

    def gateway(self, t, req, status, size, seconds):
        self.put("gateway", t, nginx(t, self.ip(), req, status, size, self.r.choice(AGENTS), seconds))

    def order(self, t, level, thread, logger, msg):
        self.put("order-service", t, logback(t, level, thread, "c.s.order." + logger, msg))

    def payment(self, t, level, logger, msg, **kw):
        self.put("payment-service", t, jsonline(t, level, "payment." + logger, msg, **kw))

    def inventory(self, t, level, msg, **kw):
        self.put("inventory-service", t, logfmt(t, level, msg, **kw))

    def write(self, out):
        os.makedirs(out, exist_ok=True)
        total = 0
        for name, rows in sorted(self.files.items()):
            rows.sort(key=lambda x: (x[0], x[1]))
            with open(os.path.join(out, name), "w", encoding="utf-8", newline="\n") as f:
                for _, _, text in rows:
                    f.write(text + "\n")
                    total += text.count("\n") + 1
        return total

    def ip(self):
        return "10.%d.%d.%d" % (self.r.randint(0, 3), self.r.randint(0, 255), self.r.randint(1, 254))

    def hexid(self, n):
        return "%0*x" % (n, self.r.getrandbits(4 * n))

    def oid(self):
        return self.r.randint(10**7, 10**8)

    def thread(self):
        return "http-nio-8080-exec-%d" % self.r.randint(1, 50)

    def ms(self, typical):
        """A latency with a long tail."""
        return max(1, int(typical * math.exp(self.r.gauss(0, 0.45))))

    def arrivals(self, start, end, per_s):
        """Poisson arrivals with a mild rhythm."""
        t = start
        while True:
            t += self.r.expovariate(per_s * (1 + 0.25 * math.sin((t - T0) / 1800 * math.pi)))
            if t >= end:
                return
            yield t


def background(x, span, per_s):
    """An ordinary day of the shop: gateway, order, payment and inventory; Redis and MySQL beneath them."""
    r = x.r
    for t in x.arrivals(T0, T0 + span, per_s):
        order, user, sku = x.oid(), r.randint(1000, 99999), "SKU-%05d" % r.randint(1, 40000)
        trace, kind, took, thread = x.hexid(32), r.random(), x.ms(38), x.thread()
        end = t + took / 1000
        if kind < 0.30:
            status = 200 if r.random() > .01 else 404
            x.gateway(end, "GET /api/catalog/%s HTTP/1.1" % sku, status, r.randint(400, 9000), took / 1000)
            continue
        if kind < 0.55:
            x.gateway(end, "GET /api/cart/%d HTTP/1.1" % user, 200, r.randint(200, 3000), took / 1000)
            x.order(t, "INFO", thread, "cart.CartController",
                    "Loaded cart for user %d with %d items in %d ms" % (user, r.randint(0, 12), max(1, took // 9)))
            continue
        end += .03
        x.order(t, "INFO", thread, "OrderController", "Received order %d from user %d, trace %s" % (order, user, trace))
        x.inventory(t + .006, "info", "stock reserved", order=order, sku=sku, qty=r.randint(1, 4),
                    warehouse="w%d" % r.randint(1, 6), took="%dms" % x.ms(7))
        x.payment(t + .02, "info", "charge", "charge authorized", order_id=order, amount_cents=r.randint(500, 90000),
                  provider=r.choice(["stripe", "adyen", "paypal"]), duration_ms=x.ms(60), trace_id=trace)
        x.order(end, "INFO", thread, "OrderService", "Order %d placed, total %d.%02d EUR, took %d ms" % (
            order, r.randint(5, 900), r.randint(0, 99), took))
        x.gateway(end, "POST /api/orders HTTP/1.1", 201, r.randint(150, 400), took / 1000 + .03)
        if r.random() < .004:
            x.payment(t + .1, "warn", "charge", "card declined by issuer", order_id=order,
                      code=r.choice(["insufficient_funds", "do_not_honor"]), trace_id=trace)
        if r.random() < .0015:
            x.inventory(t + .05, "warn", "stock low", sku=sku, left=r.randint(0, 5), warehouse="w%d" % r.randint(1, 6))
        if r.random() < .001:
            x.order(t + .2, "WARN", thread, "OrderController",
                    "Client closed connection before response, order %d" % order)
    for k in range(0, span, 60):
        t, active = T0 + k + r.random(), r.randint(4, 14)
        x.put("redis", t, redislog(t, "*", "%d changes in 60 seconds. Saving..." % r.randint(10000, 30000)))
        x.put("redis", t + .01, redislog(t + .01, "*", "Background saving started by pid %d" % r.randint(200, 9000)))
        x.put("redis", t + 1.1, redislog(t + 1.1, "*", "Background saving terminated with success"))
        x.order(t, "INFO", "scheduler-1", "db.PoolMonitor",
                "HikariPool-1 - Pool stats (total=50, active=%d, idle=%d, waiting=0)" % (active, 50 - active))
    for k in range(0, span, 300):
        t = T0 + k + r.random() * 20
        x.put("mysql", t, mysqllog(
            t, 0, "Note", 10914, "Server", "Aborted connection %d to db: 'shop' user: 'report' host: '%s' "
            "(Got timeout reading communication packets)" % (r.randint(1000, 90000), x.ip())))
        x.order(t, "INFO", "scheduler-2", "job.OutboxRelay",
                "Relayed %d outbox events in %d ms" % (r.randint(100, 900), x.ms(120)))


def order_service(x, lines, quiet):
    """08:00 to 10:00. At 09:30 a clean-up job of the order service runs KEYS on Redis, which then stops answering for
    seconds at a time; order threads wait on it inside their transactions, the MySQL pool drains, payment and
    inventory fail after it."""
    r, span = x.r, 7200
    background(x, span, lines / span / 2.6)
    if quiet:
        return
    bad, end = T0 + 5400, T0 + span
    x.order(bad - 2, "INFO", "scheduler-3", "job.CartCleanupJob",
            "Starting cart cleanup, scanning Redis with KEYS cart:* (4812337 keys)")
    t = bad
    while t < end:
        took = r.uniform(2.5, 6.0)
        t += took
        x.put("redis", t, redislog(t, "#", "Slow command: KEYS cart:* took %d microseconds, client 10.0.14.7:%d" % (
            took * 1e6, r.randint(30000, 60000))))
        t += r.uniform(.5, 2)
    for t in x.arrivals(bad + 5, end, 2.2):
        x.order(t, "ERROR", x.thread(), "cart.CartRepository",
                "Redis command timed out for key cart:%d" % r.randint(1000, 99999) + REDIS_TRACE)
    for t in x.arrivals(bad + 35, end, 1.6):
        x.order(t, "ERROR", x.thread(), "OrderRepository",
                "Could not open JDBC connection for order %d" % x.oid() + POOL_TRACE % r.randint(20, 140))
    for t in x.arrivals(bad + 40, end, 2.5):
        x.gateway(t, "POST /api/orders HTTP/1.1", r.choice([504, 504, 503]), 167, r.uniform(10, 30))
    for t in x.arrivals(bad + 50, end, .3):
        x.put("mysql", t, mysqllog(
            t, r.randint(1000, 9000), "Warning", 12345, "InnoDB", "Lock wait timeout exceeded; transaction %d has "
            "waited %d seconds for a row lock on shop.orders" % (r.randint(10**6, 10**7), r.randint(50, 60))))
    for t in x.arrivals(bad + 65, end, 1.8):
        x.payment(t, "error", "client", "call to order-service failed: read timed out after 10000 ms",
                  order_id=x.oid(), url="http://order-service:8080/internal/orders/confirm", trace_id=x.hexid(32))
    for t in x.arrivals(bad + 95, end, .2):
        x.payment(t, "error", "breaker", "circuit breaker order-service is OPEN, rejecting call",
                  failure_rate=round(r.uniform(52, 97), 1))
    for t in x.arrivals(bad + 120, end, .9):
        x.inventory(t, "error", "reservation could not be released: order-service did not confirm within 15s",
                    order=x.oid(), warehouse="w%d" % r.randint(1, 6))


def memory_leak(x, lines, quiet):
    """A release of catalog-service at 08:40 caches every search result for ever: collections take longer and longer,
    at 09:35 the heap is out, the kernel kills the container and the gateway has no upstream until it is back."""
    r, span = x.r, 7200
    background(x, span, lines / span / 3.1)
    release, end = T0 + 2400, T0 + span
    oom, back = release + 3300, release + 3345

    def leak(t):
        if quiet or t < release:
            return 0.0
        return min(1.0, (t - release) / (oom - release)) if t < oom else (t - oom) / (oom - release)

    def catalog(t, level, thread, logger, msg):
        if quiet or not oom < t < back:
            x.put("catalog-service", t, logback(t, level, thread, logger, msg))

    t, gc = T0, 0
    while t < end:
        t += r.uniform(5, 7)
        gc, k = gc + 1, leak(t)
        full = k > .85 and r.random() < .5
        used = 600 + k * 1420 + r.gauss(0, 12)
        pause = (9 + k * k * 900) * math.exp(r.gauss(0, .2)) * (3 if full else 1)
        catalog(t, "INFO", "GC Thread#0", "gc", "GC(%d) Pause %s %dM->%dM(2048M) %.3fms" % (
            gc, "Full (G1 Compaction Pause)" if full else "Young (Normal) (G1 Evacuation Pause)",
            min(2048, used + 300 * (1 - k * .9)), used, pause))
    for t in x.arrivals(T0, end, lines / span / 4.5):
        words = ["shoes", "lamp", "phone case", "bike", "garden chair", "tea"]
        catalog(t, "INFO", x.thread(), "c.s.catalog.SearchController", "Search '%s' returned %d results in %d ms" % (
            r.choice(words), r.randint(0, 240), x.ms(25 + leak(t) ** 3 * 2500)))
    for k in range(0, span, 60):
        t = T0 + k + r.random()
        x.put("kernel", t, syslog(t, "node-3", "systemd", 1, "Started Session %d of user deploy." % (k // 60 + 100)))
        x.put("kernel", t + 9, syslog(t + 9, "node-3", "kubelet", 1044, "Probe succeeded for container catalog"))
    if quiet:
        return
    start = "Started Application v2.14.0 (build 8f31c2e) in %.1f seconds"
    catalog(release, "INFO", "main", "c.s.catalog.Application", start % 11.2)
    for k in range(9):
        catalog(oom - 8 + k * .9, "ERROR", x.thread(), "c.s.catalog.SearchController", "Request failed" + HEAP_TRACE)
    for dt_s, prog, pid, msg in [
            (1, "kernel", 0, "java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=968"),
            (1.2, "kernel", 0, "Memory cgroup out of memory: Killed process 28412 (java) total-vm:6214332kB, "
             "anon-rss:2471988kB, file-rss:0kB"),
            (2, "kubelet", 1044, "Container catalog was OOMKilled, exit code 137, restarting")]:
        x.put("kernel", oom + dt_s, syslog(oom + dt_s, "node-3", prog, pid, msg))
    catalog(back, "INFO", "main", "c.s.catalog.Application", start % 12.6)
    for t in x.arrivals(oom + 2, back, 12):
        x.gateway(t, "GET /api/search?q=lamp HTTP/1.1", 502, 157, .002)


def certificate(x, lines, quiet):
    """The certificate of auth-service ends at 09:45:00; its renewal had been failing all morning. From that second on
    every TLS call to it fails: sign-in, then orders and payments, which need a token."""
    r, span = x.r, 7200
    background(x, span, lines / span / 2.9)
    end, bad = T0 + span, T0 + 6300
    for t in x.arrivals(T0, end, lines / span / 5):
        if not quiet and t > bad and r.random() < .97:
            continue
        user, scope = r.randint(1000, 99999), r.choice(["shop", "shop:admin", "shop:read"])
        x.put("auth-service", t, klog(t, "I", "server.go:214", "issued token for user %d scope=%s ttl=900s" % (user, scope)))
        if r.random() < .01:
            x.put("auth-service", t + .2, klog(
                t + .2, "W", "login.go:88", "failed login for user %d from %s: wrong password" % (user, x.ip())))
    for k in range(0, span, 600):
        t = T0 + k + r.random() * 5
        if quiet:
            x.put("cert-manager", t, klog(
                t, "I", "sync.go:61", 'certificate "auth-service-tls" in namespace "shop" is up to date'))
        else:
            x.put("cert-manager", t, klog(
                t, "W", "sync.go:79", 'renewal of certificate "auth-service-tls" in namespace "shop" failed: acme: '
                'order rejected: too many failed authorizations recently, retrying in 10m0s'))
        x.put("cert-manager", t + 1, klog(
            t + 1, "I", "controller.go:162", "re-queuing item, attempt %d" % r.randint(1, 3)))
    if quiet:
        return
    for t in x.arrivals(bad + .4, end, 4):
        x.put("auth-service", t, klog(
            t, "E", "tls.go:131", "http: TLS handshake error from %s:%d: remote error: tls: expired certificate" % (
                x.ip(), r.randint(30000, 60000))))
    for t in x.arrivals(bad + 2, end, 3):
        x.order(t, "ERROR", x.thread(), "auth.TokenClient",
                "Token check at https://auth-service:8443/verify failed: PKIX path validation failed: "
                "java.security.cert.CertPathValidatorException: validity check failed, "
                "NotAfter: Tue Mar 17 09:45:00 UTC 2026")
    for t in x.arrivals(bad + 3, end, 1.5):
        x.payment(t, "error", "auth", "token verification failed: Get https://auth-service:8443/jwks: x509: "
                  "certificate has expired or is not yet valid: current time %s is after 2026-03-17T09:45:00Z" % (
                      stamp(t, "%Y-%m-%dT%H:%M:%SZ")), trace_id=x.hexid(32))
    for t in x.arrivals(bad + 2, end, 4):
        x.gateway(t, "POST /api/login HTTP/1.1", r.choice([502, 502, 500]), 157, .01)


INCIDENTS = {"order-service": order_service, "memory-leak": memory_leak, "certificate": certificate}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("incident", choices=sorted(INCIDENTS))
    p.add_argument("out")
    p.add_argument("--seed", type=int, default=7)
    p.add_argument("--lines", type=int, default=120000, help="about how many")
    p.add_argument("--quiet", action="store_true", help="leave the fault out")
    a = p.parse_args()
    x = Incident(a.seed)
    INCIDENTS[a.incident](x, a.lines, a.quiet)
    n = x.write(a.out)
    print("%s: %d lines in %d files" % (a.out, n, len(x.files)), file=sys.stderr)


if __name__ == "__main__":
    main()
