"""The server as a person runs it: start, readiness, tokens, TLS, reload, restart, the end, and the
commands that ask it or read its files."""
import http.client
import json
import os
import signal
import ssl
import subprocess
import threading
import time

import certs
import harness
import otlp
from server import Server

NS = 1_000_000_000


def log_request(bodies, service="shop", start_ns=None, severity=9):
    start_ns = start_ns or time.time_ns() - 5 * NS
    return {"resourceLogs": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
        "scopeLogs": [{"scope": {"name": "t"}, "logRecords": [
            {"timeUnixNano": str(start_ns + i), "severityNumber": severity, "body": {"stringValue": body}}
            for i, body in enumerate(bodies)]}]}]}


def span_request(trace="0af7651916cd43dd8448eb211c80319c", start_ns=None):
    start_ns = start_ns or time.time_ns() - 10 * NS
    ms = 1_000_000

    def span(own, parent, name, begin, end, **more):
        return {"traceId": trace, "spanId": own, "parentSpanId": parent, "name": name, "kind": 2,
                "startTimeUnixNano": str(start_ns + begin * ms), "endTimeUnixNano": str(start_ns + end * ms), **more}
    return {"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "checkout"}}]},
        "scopeSpans": [{"spans": [
            span("b7ad6b7169203331", "", "GET /cart", 0, 3000),
            span("b7ad6b7169203332", "b7ad6b7169203331", "SELECT", 100, 200),
            span("b7ad6b7169203333", "b7ad6b7169203331", "charge", 300, 2900,
                 status={"code": 2, "message": "card refused"})]}]}]}


def metrics_request(now=None):
    now = now or time.time_ns()

    def resource(name, factor):
        points = [{"timeUnixNano": str(now - (60 - i) * 10 * NS), "asDouble": i * factor,
                   "attributes": [{"key": "queue", "value": {"stringValue": "orders"}}]} for i in range(60)]
        times = {"startTimeUnixNano": str(now - 700 * NS), "timeUnixNano": str(now - 5 * NS)}
        return {"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": name}}]},
                "scopeMetrics": [{"scope": {"name": "m"}, "metrics": [
                    {"name": "queue.depth", "unit": "1", "gauge": {"dataPoints": points}},
                    {"name": "requests", "sum": {"aggregationTemporality": 2, "isMonotonic": True,
                                                 "dataPoints": [{**times, "asInt": "42"}]}},
                    {"name": "latency", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [
                        {**times, "count": "3", "sum": 1.5, "bucketCounts": ["1", "2", "0"], "explicitBounds": [0.5, 1]}]}}]}]}
    return {"resourceMetrics": [resource("shop", 1), resource("checkout", 2.5)]}


class ServeCase(harness.Case):
    def serve(self, *settings, **kw):
        server = Server(self.dir, "self.logs=false", "self.trace_one_in=0", *settings, **kw)
        self.addCleanup(server.kill)
        server.start()
        return server

    def accept(self, server, path, request):
        status, _, body = server.post_json(path, request)
        self.assertEqual((status, json.loads(body)), (200, {}))

    def bodies(self, server):
        return sorted(record["body"]["stringValue"]
                      for request in server.export("logs")
                      for resource in request["resourceLogs"]
                      for scope in resource["scopeLogs"] for record in scope["logRecords"])


class Life(ServeCase):
    def test_ready_line_file_and_health(self):
        ready = self.dir / "ready.json"
        server = Server(self.dir)
        self.addCleanup(server.kill)
        server.settings = []
        server.start()
        self.assertEqual(set(server.address) - {"data", "pid"}, {"otlp_grpc", "otlp_http", "api"})
        self.assertEqual(int(server.address["pid"]), server.pid)
        found = json.loads((server.data / "server.json").read_text())
        self.assertEqual(found["url"], server.url("api"))
        self.assertEqual((server.data / "server.json").stat().st_mode & 0o077, 0, "holds a token")
        for listener in ("otlp_http", "otlp_grpc", "api"):
            for path in ("/healthz", "/readyz"):
                status, _, _ = server.request("GET", path, listener=listener)
                self.assertEqual(status, 200, (listener, path))
        status, headers, body = server.request("GET", "/metrics", listener="api")
        self.assertEqual((status, headers["content-type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        self.assertIn(b"\nfaultline_ready 1\n", body)
        self.assertEqual(server.stop(), 0)
        self.assertFalse((server.data / "server.json").exists())
        self.assertFalse(ready.exists())

    def test_ready_file(self):
        ready = self.dir / "ready.json"
        server = Server(self.dir)
        self.addCleanup(server.kill)
        process = subprocess.Popen([harness.PROGRAM, "serve", "--data", server.data, "--otlp-grpc", "off", "--otlp-http",
                                    "127.0.0.1:0", "--api", "127.0.0.1:0", "--ready-file", ready, "-q"],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(process.kill)
        line = process.stdout.readline().decode()
        self.assertTrue(line.startswith("ready otlp_http=127.0.0.1:"), line)
        said = json.loads(ready.read_text())
        self.assertEqual(said["pid"], process.pid)
        self.assertNotIn("token", said)
        self.assertNotIn("otlp_grpc", said)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0)
        process.stdout.close()

    def test_tells_systemd(self):
        import socket
        path = self.dir / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(str(path))
            listener.settimeout(60)
            server = self.serve(env={"NOTIFY_SOCKET": str(path)})
            self.assertTrue(listener.recv(4096).startswith(b"READY=1"))
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(listener.recv(4096), b"STOPPING=1")
            self.assertEqual(server.process.wait(60), 0)

    def test_restart_keeps_everything(self):
        server = self.serve()
        self.accept(server, "/v1/logs", log_request(["one", "two"]))
        self.assertEqual(server.stop(), 0)
        server.start()
        self.accept(server, "/v1/logs", log_request(["three"]))
        self.assertEqual(self.bodies(server), ["one", "three", "two"])
        server.kill()
        server.start()
        self.assertEqual(self.bodies(server), ["one", "three", "two"])

    def test_a_second_server_is_refused(self):
        server = self.serve()
        status, out, errors = self.run_program("serve", "--data", server.data, "--otlp-grpc", "127.0.0.1:0",
                                               "--otlp-http", "127.0.0.1:0", "--api", "127.0.0.1:0")
        self.assertEqual((status, out), (7, ""))
        self.one_line_about(errors, str(server.pid))
        self.one_line_about(errors, "--data DIR")

    def test_port_in_use_is_one_line(self):
        server = self.serve()
        status, _, errors = self.run_program("serve", "--data", self.dir / "other", "--otlp-grpc", "off", "--otlp-http",
                                             "off", "--api", server.address["api"])
        self.assertNotEqual(status, 0)
        self.assertIn(server.address["api"].rsplit(":", 1)[1], errors.splitlines()[0])

    def test_draining_answers_what_runs(self):
        """Requests without pause while the server is told to stop: each is acknowledged and kept, or refused and not."""
        server = self.serve()
        sent, kept = [], []
        stop = threading.Event()

        def send(worker):
            i = 0
            while not stop.is_set():
                body = f"w{worker} n{i}"
                i += 1
                try:
                    status, _, _ = server.post_json("/v1/logs", log_request([body]))
                except (OSError, http.client.HTTPException):
                    sent.append(body)  # unknown: at most once
                    continue
                if status == 200:
                    kept.append(body)
                if len(kept) == 200:
                    enough.set()
        enough = threading.Event()
        threads = [threading.Thread(target=send, args=(w,)) for w in range(4)]
        for thread in threads:
            thread.start()
        self.assertTrue(enough.wait(60))
        process = server.process
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0)
        stop.set()
        for thread in threads:
            thread.join()
        server.stop()
        server.start()
        found = self.bodies(server)
        self.assertEqual(len(found), len(set(found)), "something is there twice")
        self.assertLessEqual(set(kept), set(found))
        self.assertLessEqual(set(found), set(kept) | set(sent))


class Access(ServeCase):
    def token(self, name, role):
        status, out, errors = self.run_program("token", "new", name, "--role", role)
        self.assertEqual((status, errors), (0, ""))
        lines = dict(line.split(":", 1) for line in out.splitlines()[:2])
        return lines["token"].strip(), lines["entry"].strip().strip('"')

    def test_tokens_and_roles(self):
        writer, write_entry = self.token("w", "write")
        reader, read_entry = self.token("r", "read")
        admin, admin_entry = self.token("a", "admin")
        server = self.serve(f'auth.tokens=["{write_entry}", "{read_entry}", "{admin_entry}"]')

        def status(method, path, token, listener="api"):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            headers["Content-Type"] = "application/json"
            body = json.dumps(log_request(["x"])) if path == "/v1/logs" else None
            return server.request(method, path, body, headers, listener=listener)[0]
        for token, want in ((None, 401), ("wrong", 401), (reader, 403), (writer, 200), (admin, 200)):
            self.assertEqual(status("POST", "/v1/logs", token, "otlp_http"), want, token)
        for token, want in ((None, 401), (writer, 403), (reader, 200), (admin, 200)):
            self.assertEqual(status("GET", "/api/v1/status", token), want, token)
        for token, want in ((reader, 403), (admin, 200)):
            self.assertEqual(status("POST", "/api/v1/compact", token), want, token)
        self.assertEqual(status("GET", "/healthz", None), 200)
        # Commands on this machine have the token of server.json; others bring their own.
        self.assertEqual(json.loads(server.command("status", "--json").stdout)["ingest"]["stored"]["logs"], 2)
        url = server.url("api")
        for env, more, want in (({}, [], 7), ({}, ["--token", reader], 0), ({"FAULTLINE_TOKEN": reader}, [], 0)):
            done = subprocess.run([harness.PROGRAM, "status", "--server", url, *more], capture_output=True, check=False,
                                  env={**os.environ, **env}, timeout=60)
            self.assertEqual(done.returncode, want, done.stderr)
        for text in (server.log(), (server.data / "server.json").read_text()):
            for token in (writer, reader, admin):
                self.assertNotIn(token, text)

    def test_open_to_others_only_when_meant(self):
        args = ["serve", "--data", self.dir / "d", "--otlp-grpc", "off", "--otlp-http", "off", "--api", "0.0.0.0:0"]
        status, _, errors = self.run_program(*args)
        self.assertEqual(status, 2)
        self.one_line_about(errors, "auth.tokens is empty")
        self.one_line_about(errors, "hint: add a token")
        server = Server(self.dir, "auth.allow_anonymous=true", "listen.api=0.0.0.0:0")
        self.addCleanup(server.kill)
        server.start()
        server.address["api"] = server.address["api"].replace("0.0.0.0", "127.0.0.1")
        self.assertEqual(server.request("GET", "/api/v1/status", listener="api")[0], 200)
        self.assertEqual(server.request("POST", "/api/v1/compact", listener="api")[0], 403)

    def test_tls_and_client_certificates(self):
        ca, cert, key = certs.make(self.dir)
        server = self.serve(f"tls.cert={cert}", f"tls.key={key}", f"tls.api.cert={cert}", f"tls.api.key={key}",
                            f"tls.api.client_ca={ca}", "tls.otlp_grpc.cert=none")
        trusting = ssl.create_default_context(cafile=ca)
        host, port = server.host_port("otlp_http")
        conn = http.client.HTTPSConnection(host, port, context=trusting, timeout=60)
        conn.request("POST", "/v1/logs", json.dumps(log_request(["secret"])), {"Content-Type": "application/json"})
        self.assertEqual(conn.getresponse().status, 200)
        conn.close()
        self.assertEqual(server.request("GET", "/healthz", listener="otlp_grpc")[0], 200)  # plain
        conn = http.client.HTTPSConnection(*server.host_port("api"), context=trusting, timeout=60)
        with self.assertRaises((OSError, http.client.HTTPException)):  # no certificate shown
            conn.request("GET", "/api/v1/status")
            conn.getresponse().read()
        conn.close()
        trusting.load_cert_chain(cert, key)
        conn = http.client.HTTPSConnection(*server.host_port("api"), context=trusting, timeout=60)
        conn.request("GET", "/api/v1/status")
        self.assertEqual(json.loads(conn.getresponse().read())["ingest"]["stored"]["logs"], 1)
        conn.close()

    def test_commands_over_tls(self):
        ca, cert, key = certs.make(self.dir)
        server = self.serve(f"tls.cert={cert}", f"tls.key={key}")
        done = subprocess.run([harness.PROGRAM, "status", "--json", "--server", server.url("api", "https"), "--ca", ca],
                              capture_output=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = server.command("status", check=False)  # the certificate is of no authority it knows
        self.assertEqual(done.returncode, 7)
        self.assertIn(b"certificate", done.stderr.splitlines()[0])
        self.assertIn(b"--ca FILE", done.stderr)


class Reload(ServeCase):
    def reload(self, server, what, count=1):
        """SIGHUP, then waits for the event in the log."""
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 60
        while server.log_path.read_text().count(what) < count:
            self.assertTrue(server.alive() and time.monotonic() < deadline, server.log())
            os.sched_yield()

    def test_sighup(self):
        config = self.dir / "f.yaml"
        config.write_text("self: {logs: false}\n")
        log = open(self.dir / "server.log", "wb")
        self.addCleanup(log.close)
        process = subprocess.Popen([harness.PROGRAM, "serve", "--config", config, "--data", self.dir / "data", "--otlp-grpc",
                                    "off", "--otlp-http", "127.0.0.1:0", "--api", "127.0.0.1:0"],
                                   stdout=subprocess.PIPE, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        server = Server(self.dir)
        server.process = process
        server.address = dict(p.split("=", 1) for p in process.stdout.readline().decode().split()[1:])
        self.addCleanup(process.stdout.close)
        self.assertEqual(server.request("GET", "/api/v1/status", listener="api")[0], 200)
        hash_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        config.write_text(f'auth: {{tokens: ["x:read:{hash_of_abc}"]}}\nretention: {{hot_days: 3}}\n')
        self.reload(server, "event=config_reloaded")
        self.assertIn("event=config_needs_restart", server.log())
        self.assertIn("key=retention.hot_days", server.log())
        self.assertEqual(server.request("GET", "/api/v1/status", listener="api")[0], 401)
        bearer = {"Authorization": "Bearer abc"}
        self.assertEqual(server.request("GET", "/api/v1/status", headers=bearer, listener="api")[0], 200)
        config.write_text("auth: {tokns: []}\n")
        self.reload(server, "event=config_refused")
        self.assertIn("did you mean 'auth.tokens'", server.log())
        self.assertEqual(server.request("GET", "/api/v1/status", headers=bearer, listener="api")[0], 200)

    def test_certificates_are_read_again(self):
        ca, cert, key = certs.make(self.dir)
        server = self.serve(f"tls.cert={cert}", f"tls.key={key}")

        def shown():
            return ssl.get_server_certificate(server.host_port("otlp_http"))
        before = shown()
        certs.make(self.dir)
        self.reload(server, "event=config_reloaded")
        self.assertNotEqual(shown(), before)
        cert.write_text("no certificate")
        self.reload(server, "event=config_refused")
        self.assertNotEqual(shown(), before)
        self.assertTrue(ca.exists())


class Filled(ServeCase):
    def fill(self, server):
        self.accept(server, "/v1/logs", log_request([f"user {i} logged in" for i in range(50)]))
        self.accept(server, "/v1/logs", log_request(["payment failed: timeout after 30s"], "checkout", severity=17))
        self.accept(server, "/v1/traces", span_request())
        self.accept(server, "/v1/metrics", metrics_request())

    def both(self, server, *args):
        """The command's answer from the running server, and from its files after it has stopped: equal."""
        live = server.command(*args).stdout
        server.stop()
        still = server.command(*args).stdout
        server.start()
        self.assertEqual(live, still, args)
        return live.decode()


class Commands(Filled):
    def test_export_and_import_round_trip(self):
        server = self.serve()
        self.fill(server)
        first = {s: server.command("export", "--signal", s, "-q").stdout for s in ("logs", "traces", "metrics")}
        for s, data in first.items():
            self.assertGreater(len(data), 100, s)
        other = Server(self.dir / "other", "self.logs=false", "self.trace_one_in=0")
        other.dir.mkdir()
        self.addCleanup(other.kill)
        other.start()
        for s, data in first.items():
            for line in data.splitlines():
                status, _, _ = other.request("POST", f"/v1/{s}", line, {"Content-Type": "application/json"})
                self.assertEqual(status, 200)
        for s, data in first.items():
            again = other.command("export", "--signal", s, "-q").stdout
            self.assertEqual(again, data, s)
        flat = [json.loads(x) for s in first
                for x in server.command("export", "--format", "ndjson", "--signal", s, "-q").stdout.splitlines()]
        self.assertEqual(len(flat), 54 + 124)
        services = {x["resource"]["service.name"] for x in flat}
        self.assertEqual(services, {"shop", "checkout"})
        self.assertEqual({x["value"] for x in flat if x.get("name") == "requests"}, {42})
        only = server.command("export", "--format", "ndjson", "--service", "checkout", "--signal", "logs").stdout
        self.assertEqual(len(only.splitlines()), 1)
        proto = server.command("export", "--format", "otlp-proto", "--signal", "logs", "-q").stdout
        size, at = 0, 0
        for shift in range(0, 64, 7):
            size |= (proto[at] & 127) << shift
            at += 1
            if proto[at - 1] < 128:
                break
        status, _, _ = other.request("POST", "/v1/logs", proto[at:at + size], {"Content-Type": "application/x-protobuf"})
        self.assertEqual(status, 200)
        old = server.command("export", "--format", "ndjson", "--until", "2h", "--signal", "logs", "-q").stdout
        self.assertEqual(old, b"")

    def test_status_partitions_fsck_compact(self):
        server = self.serve()
        self.fill(server)
        status = json.loads(server.command("status", "--json").stdout)
        otlp = next(r for r in status["receivers"] if r["name"] == "otlp")
        self.assertEqual((otlp["records"], otlp["accepted"], otlp["rejected"], otlp["refused"]), (178, 178, 0, 0))
        self.assertEqual(status["store"]["logs"]["records"], 51)
        self.assertEqual(status["cardinality"]["services"], 2)
        self.assertEqual(status["store"]["metrics"]["records"], 124)
        text = server.command("status").stdout.decode()
        self.assertRegex(text, r"logs +51 ")
        self.assertIn("compacted", server.command("compact").stdout.decode())
        self.assertEqual(json.loads(server.command("status", "--json").stdout)["store"]["logs"]["records_in_journal"], 0)
        day = json.loads(self.both(server, "partitions", "--json").replace('"open": true', '"open": false'))["partitions"]
        self.assertEqual([(p["records"]["logs"], p["records"]["spans"]) for p in day], [(51, 3)])
        self.assertEqual(server.command("fsck").stdout, b"no damage\n")
        server.stop()
        self.assertEqual(server.command("fsck").stdout, b"no damage\n")
        segment = next(server.data.glob("hot/*/*.segment"))
        data = bytearray(segment.read_bytes())
        data[len(data) // 2] ^= 0xff
        segment.write_bytes(data)
        done = server.command("fsck", check=False)
        self.assertEqual(done.returncode, 6, done.stderr)
        self.assertIn(segment.name.encode(), done.stdout)
        # Every answer that misses something says so.
        partial = []
        for words in (["query", "logs", '{service_name="shop"}'], ["query", "traces"], ["query", "metrics", "queue.depth"],
                      ["export"]):
            done = server.command(*words, check=False)
            partial.append(b"damaged" in done.stderr)
        self.assertTrue(any(partial[:3]) and partial[3], partial)
        server.start()
        body = server.request("GET", "/api/v1/export", listener="api")[2].splitlines()
        self.assertEqual(json.loads(body[-1])["partial"], True)
        server.stop()
        done = server.command("fsck", "--repair")
        self.assertIn(b"1 damaged place(s), 1 set aside", done.stdout)
        self.assertEqual(server.command("fsck").stdout, b"no damage\n")
        server.start()
        done = server.command("fsck", "--repair", check=False)
        self.assertEqual(done.returncode, 7)
        self.assertIn(b"stop it first", done.stderr)

    def test_neither_server_nor_directory(self):
        status, out, errors = self.run_program("status", "--data", self.dir / "nothing")
        self.assertEqual((status, out), (3, ""))
        self.one_line_about(errors, "no server runs")
        self.one_line_about(errors, "hint: start one with 'faultline serve'")
        (self.dir / "empty").mkdir()
        status, _, errors = self.run_program("tail", "--data", self.dir / "empty")
        self.assertEqual(status, 3)
        self.one_line_about(errors, "no server runs")

    def test_a_killed_servers_file_does_not_mislead(self):
        server = self.serve()
        self.fill(server)
        server.kill()
        path = server.data / "server.json"
        self.assertTrue(path.exists())
        self.assertIn(b"no server runs", server.command("status").stdout)
        # Its process number is somebody else's by now.
        told = json.loads(path.read_text())
        told["pid"] = os.getpid()
        path.write_text(json.dumps(told))
        self.assertIn(b"no server runs", server.command("status").stdout)
        self.assertEqual(server.command("fsck", "--repair", check=False).returncode, 0)


class Asking(Filled):
    """The commands that ask, each answered by the server and by its files alike."""

    def test_query_logs(self):
        server = self.serve()
        self.fill(server)
        out = self.both(server, "query", "logs", '{service_name="checkout"} |= "timeout"', "--since", "1h")
        self.assertEqual(len(out.splitlines()), 1)
        self.assertRegex(out, r"^20\S+Z error checkout payment failed: timeout after 30s\n$")
        # The newest 3 of 50, in the order of time.
        out = self.both(server, "query", "logs", '{service_name="shop"}', "--limit", "3")
        self.assertEqual([line.split(" shop ")[1] for line in out.splitlines()],
                         [f"user {i} logged in" for i in (47, 48, 49)])
        out = self.both(server, "query", "logs", '{service_name="shop"}', "--limit", "2", "--oldest-first", "--json")
        found = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([x["line"] for x in found], ["user 0 logged in", "user 1 logged in"])
        self.assertEqual(found[0]["labels"]["service_name"], "shop")
        # Values until now, so not the same a moment later.
        out = server.command("query", "logs", 'sum by (service_name) (count_over_time({service_name=~".+"}[1h]))',
                             "--since", "10m", "--step", "1m", "--json").stdout
        last = {s["metric"]["service_name"]: s["values"][-1][1] for s in json.loads(out)["data"]["result"]}
        self.assertEqual(last, {"shop": "50", "checkout": "1"})
        done = server.command("query", "logs", "{service_name=", check=False)
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (2, 1), done.stderr)

    def test_empty_answers_say_where_to_look(self):
        server = self.serve()
        done = server.command("query", "logs", '{service_name="shop"}')
        self.assertEqual(done.stdout, b"")
        self.assertRegex(done.stderr, rb"^faultline: no record that matches from 20\S+ to 20\S+ UTC; no logs are stored at all\n$")
        old = 1_000_000_000 * NS
        self.accept(server, "/v1/logs", log_request(["long ago", "and then"], start_ns=old))
        self.accept(server, "/v1/traces", span_request(start_ns=old))
        self.accept(server, "/v1/metrics", metrics_request(now=old))
        ask = [("logs", '{service_name="shop"}'), ("traces",), ("metrics", "queue.depth")]
        for words in ask:
            done = server.command("query", *words)
            self.assertIn(b"stored are from 2001-09-09T01:", done.stderr, words)
            self.assertEqual(server.command("query", *words, "--quiet").stderr, b"")
            self.assertEqual(server.command("query", *words, "--since", "2001-09-09").stderr, b"")
        done = server.command("query", "logs", "{}", "--since", "2001-09-09", "--limit", "1")
        self.assertEqual(len(done.stdout.splitlines()), 1)
        self.assertIn(b"the newest 1 record that matches; --limit N for more", done.stderr)

    def test_metrics_with_steps_wider_than_the_look_back(self):
        server = self.serve()
        self.accept(server, "/v1/metrics", metrics_request(now=1_000_000_000 * NS))
        for by in ([], ["--by", "service_name"]):
            out = server.command("query", "metrics", "queue.depth", "--since", "2001-01-01", *by).stdout.decode()
            self.assertRegex(out, r'service_name="shop"[^}]*\} +1 +59 +59 +59 +59')
            self.assertRegex(out, r'service_name="checkout"[^}]*\} +1 +147.5 ')

    def test_records_without_a_time(self):
        """They stand where the store keeps them: at the time of observation, else of arrival."""
        server = self.serve()
        observed = time.time_ns() - 600 * NS
        request = log_request(["none", "seen"])
        rows = request["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
        for row in rows:
            del row["timeUnixNano"]
        rows[1]["observedTimeUnixNano"] = str(observed)
        tail = subprocess.Popen([harness.PROGRAM, "tail", "--json", "--data", server.data],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(tail.kill)
        deadline = time.monotonic() + 60
        while server.metrics()["faultline_tail_followers"] < 1:
            self.assertLess(time.monotonic(), deadline)
        before = time.time_ns()
        self.accept(server, "/v1/logs", request)
        after = time.time_ns()
        followed = [json.loads(tail.stdout.readline()) for _ in rows]
        for found in (followed, self.entries(server), self.entries(server, compact=True)):
            times = {x["line"]: x["ts_ns"] for x in found}
            self.assertEqual(times["seen"], observed)
            self.assertTrue(before <= times["none"] <= after, times)
        tail.kill()
        tail.communicate()
        report = json.loads(server.command("analyze", "--format", "json").stdout)
        self.assertEqual(report["looked_at"]["records"], 2)

    def entries(self, server, compact=False):
        if compact:
            server.command("compact")
        out = server.command("query", "logs", '{service_name="shop"}', "--json").stdout
        return [json.loads(line) for line in out.splitlines()]

    def test_query_traces(self):
        server = self.serve()
        self.fill(server)
        trace = "0af7651916cd43dd8448eb211c80319c"
        out = server.command("query", "traces", "--service", "checkout", "--min-duration", "2s", "--json").stdout
        self.assertEqual([t["traceID"] for t in json.loads(out)["traces"]], [trace])
        out = self.both(server, "query", "traces", "--status", "error", "--since", "1h")
        self.assertRegex(out, trace + r" .* 3 s +3 +1 +checkout +GET /cart")
        for none in (["--min-duration", "5s"], ["--service", "shop"], ["--max-duration", "50ms"], ["--name", "nothing"]):
            self.assertEqual(server.command("query", "traces", *none).stdout, b"no trace\n", none)
        out = self.both(server, "query", "trace", trace)
        self.assertRegex(out, r"checkout: GET /cart .* 3 s  self +300 ms \*")
        self.assertRegex(out, r"  checkout: charge .* 2.6 s  self +2.6 s \* ERROR: card refused")
        spans = json.loads(self.both(server, "query", "trace", trace, "--json"))["resourceSpans"][0]["scopeSpans"][0]["spans"]
        self.assertEqual({s["name"] for s in spans}, {"GET /cart", "SELECT", "charge"})
        done = server.command("query", "trace", "1" * 32, check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn(b"no span of trace", done.stderr)

    def test_query_metrics(self):
        server = self.serve()
        self.fill(server)
        out = server.command("query", "metrics", "queue.depth", "--by", "service_name", "--since", "5m", "--json").stdout
        last = {s["metric"]["service_name"]: s["values"][-1][1] for s in json.loads(out)["data"]["result"]}
        self.assertEqual(last, {"shop": "59", "checkout": "147.5"})
        text = server.command("query", "metrics", "sum(queue_depth)", "--since", "5m").stdout.decode()
        self.assertRegex(text, r"\{\} +\d+ .* 206\.5 ")
        done = server.command("query", "metrics", "sum(queue_depth", check=False)
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (2, 1), done.stderr)
        self.assertEqual(server.command("query", "metrics", "nothing").stdout, b"no series\n")
        done = server.command("query", "metrics", "latency")
        self.assertIn(b"it is a histogram: ask for latency_count, latency_sum, or", done.stderr)
        names = json.loads(server.request("GET", "/api/v1/label/__name__/values", listener="api")[2])["data"]
        self.assertEqual(names, ["latency_bucket", "latency_count", "latency_sum", "queue_depth", "requests"])
        for name in names:
            self.assertNotIn(b"no series", server.command("query", "metrics", name).stdout, name)

    def test_tail(self):
        server = self.serve()
        tail = subprocess.Popen([harness.PROGRAM, "tail", "--service", "checkout", "--json", "--data", server.data],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(tail.kill)
        deadline = time.monotonic() + 60
        while server.metrics()["faultline_tail_followers"] < 1:
            self.assertLess(time.monotonic(), deadline)
        self.fill(server)
        self.assertEqual(json.loads(tail.stdout.readline())["line"], "payment failed: timeout after 30s")
        self.assertEqual(server.stop(), 0)  # ends those who follow
        out, errors = tail.communicate(timeout=60)
        self.assertEqual((tail.returncode, out), (0, b""), errors)
        self.assertIn(b"the server ended", errors)

    def test_analyze_what_is_stored(self):
        server = self.serve()
        begin = time.time_ns() - 3000 * NS
        for minute in range(50):
            lines = [f"GET /item/{minute * 7 + i} took {i} ms" for i in range(40)]
            self.accept(server, "/v1/logs", log_request(lines, "web", begin + minute * 60 * NS))
        lines = [f"connection to db-1 refused, attempt {i}" for i in range(300)]
        self.accept(server, "/v1/logs", log_request(lines, "web", begin + 48 * 60 * NS, severity=17))
        report = json.loads(self.both(server, "analyze", "--since", "2h", "--service", "web", "--format", "json"))
        self.assertEqual((report["is_anomaly"], report["root_cause_service"]), (True, "web"))
        self.assertIn("refused", json.dumps(report["evidence"]))
        text = server.command("analyze", "--stored", "--since", "2h").stdout.decode()
        self.assertIn("web failed first", text)
        done = server.command("analyze", "--fail-on", "medium", "--quiet", check=False)
        self.assertEqual(done.returncode, 1)
        done = server.command("analyze", "--service", "nobody", "--format", "json")
        self.assertEqual(json.loads(done.stdout)["why_undetermined"], "no_records")
        text = server.command("analyze", "--service", "nobody").stdout.decode()
        self.assertIn("Nothing that is stored matches", text)
        done = server.command("analyze", "--baseline", "x.log", check=False)
        self.assertEqual(done.returncode, 2)

    def test_analyze_chooses_files_or_the_store(self):
        """Without PATH: the store of ./faultline-data, unless something comes in by standard input."""
        server = self.serve()
        self.fill(server)
        server.stop()
        server.data.rename(self.dir / "faultline-data")
        # Standard input that somebody holds open and nobody writes to.
        idle = subprocess.Popen([harness.PROGRAM, "analyze", "--since", "1h", "--service", "checkout", "--format", "json"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.dir)
        self.addCleanup(idle.kill)
        self.assertEqual(json.loads(idle.stdout.read())["looked_at"]["inputs"][0]["name"], "stored logs")
        self.assertIn(b"what is stored is analyzed", idle.stderr.read())
        for end in (idle.stdin, idle.stdout, idle.stderr):
            end.close()
        self.assertEqual(idle.wait(60), 0)

        def inputs(*args, **kw):
            status, out, errors = self.run_program("analyze", "--format", "json", *args, **kw)
            self.assertEqual(status, 0, errors)
            return [i["name"] for i in json.loads(out)["looked_at"]["inputs"]]
        path = self.write("a.log", "2026-01-01T00:00:00Z INFO one\n")
        self.assertEqual(inputs(), ["stored logs"])
        self.assertEqual(inputs("--since", "1h", "--service", "checkout"), ["stored logs"])
        self.assertEqual(inputs(stdin=path.read_bytes()), ["-"])
        self.assertEqual(inputs("-", stdin=path.read_bytes()), ["-"])
        self.assertEqual(inputs(path), [str(path)])
        self.assertEqual(inputs("--stored", stdin=path.read_bytes()), ["stored logs"])


class Limits(ServeCase):
    def post(self, server, data, **headers):
        return server.request("POST", "/v1/logs", data, {"Content-Type": "application/json", **headers})

    def test_what_never_fits_and_what_does_not_fit_now(self):
        server = self.serve("limits.memory=16MiB", "limits.body=32MiB")
        large = json.dumps(log_request(["x" * (20 << 20)]))
        status, headers, _ = self.post(server, large)
        self.assertEqual((status, "retry-after" in headers), (413, False))
        conn = http.client.HTTPConnection(*server.host_port("otlp_http"), timeout=60)
        conn.putrequest("POST", "/v1/logs")
        conn.putheader("Content-Type", "application/json")
        conn.putheader("Content-Length", str(33 << 20))
        conn.endheaders()  # answered before the body
        self.assertEqual(conn.getresponse().status, 413)
        conn.close()
        answers = []

        def send():
            answers.append(self.post(server, json.dumps(log_request(["y" * (7 << 20)]))))
        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertLessEqual({status for status, _, _ in answers}, {200, 503})
        for status, headers, _ in answers:
            self.assertEqual("retry-after" in headers, status == 503)
        stored = sum(status == 200 for status, _, _ in answers)
        figures = json.loads(server.command("status", "--json").stdout)
        self.assertEqual(figures["ingest"]["stored"]["logs"], stored)
        self.assertEqual(figures["ingest"]["memory_bytes"], 0)
        self.assertEqual(figures["ingest"]["refused_batches"]["too_large"], 1)
        self.accept(server, "/v1/logs", log_request(["fits"]))

    def test_many_distinct_values_and_shapes(self):
        """What differs in every record costs disk, not memory."""
        server = self.serve()
        before = server.memory_bytes()
        for part in range(20):
            records = [{"timeUnixNano": str(time.time_ns()), "body": {"stringValue": f"w{part}x{i} " * (1 + i % 7) + "done"},
                        "attributes": [{"key": f"k{part}.{i % 500}", "value": {"stringValue": f"{part}-{i}"}}]}
                       for i in range(2000)]
            resources = [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": f"s{part}.{i}"}}]},
                          "scopeLogs": [{"logRecords": records[i::100]}]} for i in range(100)]
            self.accept(server, "/v1/logs", {"resourceLogs": resources})
        figures = json.loads(server.command("status", "--json").stdout)
        self.assertEqual(figures["ingest"]["stored"]["logs"], 40000)
        self.assertEqual(figures["cardinality"]["services"], 2000)
        self.assertLess(server.memory_bytes() - before, 150 << 20)


class OwnTelemetry(ServeCase):
    def test_own_lines_are_kept_and_do_not_feed_themselves(self):
        server = Server(self.dir)
        self.addCleanup(server.kill)
        server.start()
        deadline = time.monotonic() + 60
        while True:
            status = json.loads(server.command("status", "--json").stdout)
            if status["self"]["logs"] > 0 and status["ingest"]["stored"]["logs"] == status["self"]["logs"]:
                break
            self.assertLess(time.monotonic(), deadline, status)
        found = [json.loads(x) for x in server.command("export", "--signal", "logs", "--format", "ndjson", "-q").stdout.splitlines()]
        self.assertEqual({x["service"] for x in found}, {"faultline"})
        self.assertIn("server_ready", {x["event_name"] for x in found})
        server.command("compact")
        again = json.loads(server.command("status", "--json").stdout)
        self.assertEqual(again["self"]["logs"], status["self"]["logs"], "storing them made more of them")


class Configuration(harness.Case):
    def test_docs_are_those_of_the_program(self):
        status, out, _ = self.run_program("config", "docs")
        self.assertEqual(status, 0)
        self.assertEqual((harness.ROOT / "docs/configuration.md").read_text(), out,
                         "run: faultline config docs > docs/configuration.md")

    def test_print_validates(self):
        status, out, _ = self.run_program("config", "print", "--set", "retention.hot_days=7")
        self.assertEqual(status, 0)
        self.assertIn("hot_days: 7", out)
        path = self.write("f.yaml", out)
        status, out, errors = self.run_program("config", "validate", path)
        self.assertEqual((status, errors), (0, ""))
        status, out, errors = self.run_program("config", "validate", harness.ROOT / "deploy/faultline.yaml")
        self.assertEqual((status, errors), (0, ""))

    def test_mistakes(self):
        path = self.write("f.yaml", "limits:\n  boddy: 3\n")
        status, out, errors = self.run_program("config", "validate", path)
        self.assertEqual((status, out), (2, ""))
        self.one_line_about(errors, f"{path}:2:3: unknown key 'limits.boddy'")
        self.one_line_about(errors, "did you mean 'limits.body'?")
        status, _, errors = self.run_program("config", "validate", self.dir / "none.yaml")
        self.assertEqual(status, 3)
        status, _, errors = self.run_program("serve", "--set", "retention.hot_days")
        self.assertEqual(status, 2)
        self.one_line_about(errors, "KEY=VALUE")
        status, _, errors = self.run_program("token", "new", "a:b")
        self.assertEqual(status, 2)


class EveryField(ServeCase):
    """One record of each kind with every field set, unnamed enum numbers and a NaN included."""

    def test_comes_back(self):
        requests = json.loads((harness.ROOT / "tests" / "e2e" / "every_field.json").read_text())
        server = self.serve()
        for signal_name, request in requests.items():
            self.accept(server, "/v1/" + signal_name, request)
        for _ in range(2):
            for signal_name, request in requests.items():
                stored = otlp.all_records(signal_name, server.export(signal_name))
                self.assertEqual(stored, otlp.all_records(signal_name, [request]))
            self.assertEqual(server.stop(), 0)
            server.start()  # and after a restart


if __name__ == "__main__":
    harness.main()
