"""Queries against the real store: every way of asking for the same records gives the same, before and
after compaction; following, slow and vanished followers."""
import http.client
import json
import random
import time
import urllib.parse

import harness
from server import Server

NS = 1_000_000_000
WORDS = ["alpha", "beta", "timeout", "order 4711 paid", '{"a":1,"b":"x"}', "level=warn took=150ms", "GET /cart 200"]


def attributes(**values):
    return [{"key": k.replace("_", "."), "value": {"stringValue": v} if isinstance(v, str) else {"intValue": str(v)}}
            for k, v in values.items()]


def records(rng, count, start_ns, step_ns):
    """Records as they are sent, and as the test looks at them."""
    known, by_service = [], {}
    for i in range(count):
        service = rng.choice(["cart", "shop", "pay"])
        one = {"service": service, "ts": start_ns + i * step_ns, "level": rng.choice([0, 5, 9, 13, 17]),
               "status": rng.choice([200, 404, 500]), "line": f"{rng.choice(WORDS)} {rng.choice(WORDS)} n{i}"}
        known.append(one)
        by_service.setdefault(service, []).append(
            {"timeUnixNano": str(one["ts"]), "severityNumber": one["level"], "body": {"stringValue": one["line"]},
             "attributes": attributes(http_status=one["status"])})
    request = {"resourceLogs": [{"resource": {"attributes": attributes(service_name=service)},
                                 "scopeLogs": [{"logRecords": rows}]} for service, rows in by_service.items()]}
    return known, request


class Queries(harness.Case):
    def setUp(self):
        super().setUp()
        self.server = Server(self.dir)
        self.server.start()
        self.addCleanup(self.server.kill)

    def ask(self, path, **params):
        return self.server.get(f"{path}?{urllib.parse.urlencode(params)}")

    def lines(self, query, start, end, **more):
        answer = self.ask("/loki/api/v1/query_range", query=query, start=start, end=end, limit=5000, **more)
        return sorted(value[1] for stream in answer["data"]["result"] for value in stream["values"])

    def check(self, known, start, end):
        inside = [r for r in known if start <= r["ts"] < end]

        def expect(query, holds):
            want = sorted(r["line"] for r in inside if holds(r))
            self.assertEqual(self.lines(query, start, end), want, query)
            # the same filters behind a stage that keeps them out of the store
            head, _, rest = query.partition("}")
            self.assertEqual(self.lines(head + '} | label_format zz="1" | line_format "{{__line__}}"' + rest, start, end),
                             want, query)
            self.assertTrue(want, query)

        expect('{service_name="cart"}', lambda r: r["service"] == "cart")
        expect('{service_name=~"c.*|p.*"} |= "alpha"', lambda r: r["service"] != "shop" and "alpha" in r["line"])
        expect('{service_name!="cart"} != "beta" |= "n1"',
               lambda r: r["service"] != "cart" and "beta" not in r["line"] and "n1" in r["line"])
        expect('{service_name=~".+"} |~ "n[0-9]*7$"', lambda r: r["line"].endswith("7"))
        expect('{service_name=~".+"} |= "alpha" or "timeout" or "4711"',
               lambda r: any(w in r["line"] for w in ("alpha", "timeout", "4711")))
        expect('{service_name=~".+"} | level="error"', lambda r: r["level"] == 17)
        expect('{service_name=~".+"} | detected_level=~"warn|unknown"', lambda r: r["level"] in (13, 0))
        expect('{service_name="shop"} | http_status="500"', lambda r: r["service"] == "shop" and r["status"] == 500)
        expect('{service_name="pay"} | http_status>=404', lambda r: r["service"] == "pay" and r["status"] >= 404)

    def count(self, known, start, end, step, span):
        for fn, weight in (("count_over_time", lambda r: 1), ("bytes_over_time", lambda r: len(r["line"]))):
            want = {}
            for t in range(start, end + 1, step):
                for r in known:
                    if t - span < r["ts"] <= t:
                        key = (r["service"], t // NS)
                        want[key] = want.get(key, 0) + weight(r)
            for pipe in ("", '| label_format zz="1"'):
                query = f'sum by (service_name) ({fn}({{service_name=~".+"}} {pipe} [{span // NS}s]))'
                answer = self.ask("/loki/api/v1/query_range", query=query, start=start, end=end, step=f"{step // NS}s")
                got = {(s["metric"]["service_name"], int(t)): float(v)
                       for s in answer["data"]["result"] for t, v in s["values"]}
                self.assertEqual(got, want, query)

    def test_the_same_answers_before_and_after_compaction(self):
        rng = random.Random(7)
        start = (time.time_ns() - 3600 * NS) // NS * NS
        known = []
        for part in range(3):
            more, request = records(rng, 400, start + part * 200 * NS, NS // 2)
            known += more
            self.assertEqual(self.server.post_json("/v1/logs", request)[0], 200)
        for compacted in (False, True):
            if compacted:
                self.assertEqual(self.server.request("POST", "/api/v1/compact", listener="api")[0], 200)
            self.check(known, start, start + 700 * NS)
            self.check(known, start + 100 * NS, start + 450 * NS)
            self.count(known, start + 60 * NS, start + 660 * NS, 30 * NS, 60 * NS)
            self.count(known, start + 60 * NS, start + 660 * NS, 60 * NS, 45 * NS)
        # the outermost ones of a limit
        for direction, edge in (("forward", known[:20]), ("backward", known[-20:])):
            got = self.ask("/loki/api/v1/query_range", query='{service_name=~".+"}', start=start, end=start + 700 * NS,
                           limit=20, direction=direction)
            lines = sorted(v[1] for s in got["data"]["result"] for v in s["values"])
            self.assertEqual(lines, sorted(r["line"] for r in edge))

    def test_names_and_volumes(self):
        known, request = records(random.Random(3), 100, time.time_ns() - 60 * NS, NS // 10)
        self.assertEqual(self.server.post_json("/v1/logs", request)[0], 200)
        span = {"start": known[0]["ts"], "end": known[-1]["ts"] + 1}
        self.assertEqual(self.ask("/loki/api/v1/label/service_name/values", **span)["data"], ["cart", "pay", "shop"])
        self.assertIn("http_status", self.ask("/loki/api/v1/labels", **span)["data"])
        series = self.ask("/loki/api/v1/series", **span, **{"match[]": '{service_name=~"c.*"}'})["data"]
        self.assertEqual(series, [{"service_name": "cart"}])
        stats = self.ask("/loki/api/v1/index/stats", query='{service_name="cart"}', **span)
        cart = [r for r in known if r["service"] == "cart"]
        self.assertEqual((stats["entries"], stats["bytes"]), (len(cart), sum(len(r["line"]) for r in cart)))

    def follow(self, query, accept=None):
        conn = http.client.HTTPConnection(*self.server.host_port("api"), timeout=30)
        conn.request("GET", "/api/v1/tail?" + urllib.parse.urlencode({"query": query}), headers={"Accept": accept} if accept else {})
        answer = conn.getresponse()
        self.assertEqual(answer.status, 200)
        while self.server.metrics()["faultline_tail_followers"] < 1:
            time.sleep(0.02)
        return conn, answer

    def send_and_see(self, line, answer):
        _, request = records(random.Random(1), 1, time.time_ns(), 1)
        request["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["body"]["stringValue"] = line
        self.assertEqual(self.server.post_json("/v1/logs", request)[0], 200)
        while True:
            got = answer.readline().decode()
            self.assertTrue(got, "the stream ended")
            if line in got:
                return got

    def test_following(self):
        conn, answer = self.follow('{service_name=~".+"} |= "wanted" | line_format "<{{__line__}}>"')
        self.assertEqual(answer.getheader("Content-Type"), "text/event-stream")
        got = self.send_and_see("a wanted line", answer)
        self.assertTrue(got.startswith("data: "))
        value = json.loads(got[6:])["streams"][0]["values"][0]
        self.assertEqual(value[1], "<a wanted line>")
        self.assertIn(value[2]["http_status"], ("200", "404", "500"))
        conn.close()
        while self.server.metrics()["faultline_tail_followers"] > 0:  # a client that is gone is let go
            time.sleep(0.02)
        conn, answer = self.follow("{}", "application/x-ndjson")
        line = json.loads(self.send_and_see("second", answer))
        self.assertEqual(line["streams"][0]["values"][0][1], "second")
        # who follows does not hold up the end
        began = time.monotonic()
        self.assertEqual(self.server.stop(), 0)
        self.assertLess(time.monotonic() - began, 15)
        conn.close()

    def test_wrong_queries_of_followers(self):
        for query in ("{a=", "count_over_time({a=\"b\"}[5m])"):
            status, headers, body = self.server.request("GET", "/api/v1/tail?" + urllib.parse.urlencode({"query": query}),
                                                        listener="api")
            self.assertEqual(status, 400, body)
            self.assertTrue(body.startswith(b"parse error"), body)


if __name__ == "__main__":
    harness.main()
