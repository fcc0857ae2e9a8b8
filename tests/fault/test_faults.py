"""Faults from outside over the real server: full disks, damaged files, hostile and broken clients.
The right status, bounded memory, and the service goes on."""
import http.client
import json
import os
import random
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))
import certs  # noqa: E402
import h2client  # noqa: E402
import harness  # noqa: E402
import otlp  # noqa: E402
from server import Server  # noqa: E402

T = 1795168800 * 10**9
GROWTH_MAX = 64 << 20


def logs(first, count, padding="", **attributes_of):
    return otlp.pb_logs({"service.name": "load"}, [
        otlp.pb_log(f"request {i} {padding}", T + i, attributes_of={"n": i, **attributes_of})
        for i in range(first, first + count)])


def wait_until(what, condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("timed out waiting for " + what)
        time.sleep(0.02)


class FaultCase(harness.Case):
    def serve(self, *settings, directory=None):
        server = Server(directory or self.dir, "self.logs=false", "self.trace_one_in=0", *settings)
        self.addCleanup(server.kill)
        server.start()
        return server

    def post(self, server, body, path="/v1/logs", **headers):
        return server.request("POST", path, body, {"Content-Type": "application/x-protobuf", **headers})

    def numbers(self, server):
        """The numbers of what is stored, sorted."""
        texts = otlp.of_resource(otlp.all_records("logs", server.export("logs")), "service.name", "load")
        return sorted(dict((k, v[1]) for k, v in json.loads(x)["record"]["attributes"])["n"]
                      for x in texts)

    def still_works(self, server):
        status, _, body = self.post(server, logs(10**6, 3))
        self.assertEqual((status, body), (200, b""), server.log())
        with h2client.Connection(server.host_port("otlp_grpc")) as c:
            answer = c.request(h2client.grpc_headers(h2client.SERVICES["logs"]),
                               otlp.grpc_frame(logs(2 * 10**6, 3)))
        self.assertEqual(answer.grpc_status, 0, server.log())


class DiskFull(FaultCase):
    def test_full_disk(self):
        disk = self.dir / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(disk)],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            self.skipTest("a small file system can't be mounted here; the unit tests of store fill one")
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)], check=False)
        (disk / "ballast").write_bytes(b"x" * (12 << 20))
        server = self.serve(f"data.dir={disk / 'data'}", "retention.min_free=0", "store.journal=1MiB")
        server.data = disk / "data"
        kept, refused, at = [], None, 0
        rng = random.Random(1)
        while refused is None and at < 10**6:
            noise = "%0512x" % rng.getrandbits(2048)  # nothing to compress
            status, headers, body = self.post(server, otlp.pb_logs({"service.name": "load"}, [
                otlp.pb_log(f"{noise} {i}", T + i, attributes_of={"n": i}) for i in range(at, at + 200)]))
            if status == 200:
                kept += range(at, at + 200)
            else:
                refused = status, headers
            at += 200
        self.assertIsNotNone(refused, "the disk did not fill up")
        self.assertEqual(refused[0], 503)
        self.assertIn("retry-after", refused[1])
        self.assertGreater(len(kept), 1000)
        self.assertEqual(self.numbers(server), kept)  # reading goes on
        status, _, _ = server.request("GET", "/readyz", listener="api")
        self.assertIn(status, (200, 503))
        (disk / "ballast").unlink()  # and so does writing, once there is room

        def accepted():
            nonlocal at
            status, _, _ = self.post(server, logs(at, 5))
            if status == 200:
                kept.extend(range(at, at + 5))
            at += 5
            return status == 200
        wait_until("room", accepted)
        self.assertEqual(self.numbers(server), kept)
        server.kill()
        server.start()
        self.assertEqual(self.numbers(server), kept)


class Damage(FaultCase):
    """Every damaged file is named, everything else is served."""

    def fill(self, batches=20, *settings):
        server = self.serve(*settings)
        for i in range(batches):
            self.assertEqual(self.post(server, logs(i * 50, 50))[0], 200)
        return server

    def fsck(self, server):
        done = server.command("fsck", check=False)
        return done.returncode, done.stdout.decode() + done.stderr.decode()

    def stored_files(self, server, ending):
        return sorted(server.data.rglob("*" + ending), key=lambda p: p.stat().st_size)

    def test_a_sound_store(self):
        server = self.fill()
        server.stop()
        status, text = self.fsck(server)
        self.assertEqual(status, 0, text)

    def damaged(self, server, path, what):
        status, text = self.fsck(server)
        self.assertEqual(status, 6, f"{what}: {text}")
        self.assertIn(path.name, text, what)
        server.start()
        got = self.partial_numbers(server)
        self.assertEqual(len(got), len(set(got)), what)
        self.still_works(server)
        self.assertTrue(set(self.partial_numbers(server)) >= set(got), what)
        server.stop()
        return got

    def partial_numbers(self, server):
        """As far as it can be read: a damaged store says that its answers are partial."""
        status, _, body = server.request("GET", "/api/v1/export?signal=logs&end=1", listener="api")
        self.assertEqual(status, 200)
        lines = [json.loads(x) for x in body.splitlines()]
        texts = otlp.of_resource(otlp.all_records("logs", lines[:-1]), "service.name", "load")
        return sorted(dict((k, v[1]) for k, v in json.loads(x)["record"]["attributes"])["n"]
                      for x in texts)

    def test_flipped_bytes_in_a_journal(self):
        server = self.fill()
        server.kill()  # as a journal
        path = self.stored_files(server, ".journal")[-1]
        sound = path.read_bytes()
        rng = random.Random(3)
        for _ in range(3):
            at = rng.randrange(len(sound) // 4, len(sound) * 3 // 4)
            data = bytearray(sound)
            data[at] ^= 1 << rng.randrange(8)
            path.write_bytes(data)
            got = self.damaged(server, path, f"byte {at} of a journal")
            self.assertGreater(len(got), 0)
            for other in self.stored_files(server, ".journal") + self.stored_files(server, ".segment"):
                other.unlink()
            path.write_bytes(sound)

    def test_flipped_bytes_in_a_segment(self):
        server = self.fill()
        self.assertEqual(server.request("POST", "/api/v1/compact", listener="api")[0], 200)
        self.assertEqual(self.numbers(server), list(range(1000)))
        server.stop()
        path = self.stored_files(server, ".segment")[-1]
        sound = path.read_bytes()
        data = bytearray(sound)
        data[len(sound) // 3] ^= 16
        path.write_bytes(data)
        self.damaged(server, path, "a segment")

    def test_a_torn_end(self):
        """What a crash leaves is no damage: nothing acknowledged is in it."""
        server = self.fill()
        server.kill()
        path = self.stored_files(server, ".journal")[-1]
        sound = path.read_bytes()
        path.write_bytes(sound + sound[:100])
        server.start()
        self.assertEqual(self.numbers(server), list(range(1000)))
        server.stop()

    def test_two_servers_on_one_directory(self):
        server = self.fill(1)
        done = server.command("serve", "--api", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--otlp-http",
                              "127.0.0.1:0", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(str(server.pid), done.stderr.decode())
        self.still_works(server)


class HostileClients(FaultCase):
    def setUp(self):
        super().setUp()
        self.server = self.serve("limits.header_timeout=1s", "limits.body_timeout=1s",
                                 "limits.body=4MiB", "limits.inflight=16MiB")
        self.still_works(self.server)
        self.before = self.server.memory_bytes()

    def tearDown(self):
        if self.server.alive():
            self.still_works(self.server)
            grown = self.server.memory_bytes() - self.before
            if not self.server.sanitized():
                self.assertLess(grown, GROWTH_MAX, "memory grew")
            self.assertEqual(self.server.stop(), 0)
        else:
            self.fail("the server ended:\n" + self.server.log())

    def dial(self, listener="otlp_http"):
        s = socket.create_connection(self.server.host_port(listener), 30)
        self.addCleanup(s.close)
        return s

    @staticmethod
    def read_all(s):
        out = b""
        try:
            while True:
                part = s.recv(65536)
                if not part:
                    return out
                out += part
        except ConnectionError:
            return out

    def test_slow_headers_and_bodies(self):
        head = b"POST /v1/logs HTTP/1.1\r\nHost: a\r\n"
        headers = [self.dial() for _ in range(100)]
        bodies = [self.dial() for _ in range(100)]
        for s in headers:
            s.sendall(head)
        for s in bodies:
            s.sendall(head + b"Content-Type: application/x-protobuf\r\nContent-Length: 1000\r\n\r\nx")
        self.still_works(self.server)
        for s in headers + bodies:
            answer = self.read_all(s)  # ends: the server gives up waiting
            self.assertTrue(answer == b"" or answer.startswith(b"HTTP/1.1 408"), answer[:50])

    def test_clients_that_go_away(self):
        for i in range(200):
            s = self.dial()
            s.sendall(b"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\n"
                      b"Content-Length: 100000\r\n\r\n" + b"x" * (i * 100))
            if i % 2:  # a reset instead of an end
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()

    def test_answers_that_nobody_reads(self):
        for i in range(40):
            self.assertEqual(self.post(self.server, logs(i * 500, 500, "x" * 200))[0], 200)
        for _ in range(20):
            s = self.dial("api")
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.sendall(b"GET /api/v1/export?signal=logs HTTP/1.1\r\nHost: a\r\n\r\n")

    def test_bombs(self):
        import gzip
        bomb = gzip.compress(b"\0" * (200 << 20), 9)
        statuses = []

        def send():
            statuses.append(self.post(self.server, bomb, **{"Content-Encoding": "gzip"})[0])
        threads = [threading.Thread(target=send) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(set(statuses) - {413, 429, 503}, set())

    def flood(self, listener, frames):
        """Sends frames until the server closes or says go away; what it said."""
        s = self.dial(listener)
        s.settimeout(0.2)
        s.sendall(h2client.PREFACE + h2client.frame(4, 0, 0))
        answer = b""
        for part in frames:
            try:
                s.sendall(part)
                s.setblocking(False)
                try:
                    answer += s.recv(65536)
                except BlockingIOError:
                    pass
                s.setblocking(True)
                s.settimeout(20)
            except (ConnectionError, socket.timeout):
                return "closed", answer
        try:
            while True:
                part = s.recv(65536)
                if not part:
                    return "closed", answer
                answer += part
        except ConnectionError:
            return "closed", answer
        except socket.timeout:
            return "open", answer

    def request_block(self):
        """HPACK, literals without indexing."""
        def literal(name, value):
            return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value
        return (b"\x83\x86" + literal(b":path", b"/v1/logs") + literal(b":authority", b"a") +
                literal(b"content-type", b"application/x-protobuf"))

    def test_rapid_reset(self):
        block = self.request_block()

        def frames():
            for n in range(400):
                yield b"".join(h2client.frame(1, 4, 1 + 2 * (n * 100 + i), block) +
                               h2client.frame(3, 0, 1 + 2 * (n * 100 + i), struct.pack(">I", 8))
                               for i in range(100))
        self.assertEqual(self.flood("otlp_grpc", frames())[0], "closed")

    def test_continuation_flood(self):
        def frames():
            yield h2client.frame(1, 0, 1, self.request_block())
            for _ in range(5000):
                yield h2client.frame(9, 0, 1, b"\x00\x01x" + bytes([100]) + b"y" * 100)
        self.assertEqual(self.flood("otlp_grpc", frames())[0], "closed")

    def test_empty_continuations(self):
        def frames():
            yield h2client.frame(1, 0, 1, self.request_block())
            for _ in range(2000):
                yield h2client.frame(9, 0, 1) * 50
        self.assertEqual(self.flood("otlp_grpc", frames())[0], "closed")

    def test_settings_and_pings(self):
        def frames():
            for _ in range(4000):
                yield h2client.frame(4, 0, 0) * 10 + h2client.frame(6, 0, 0, b"12345678") * 10
        self.flood("otlp_grpc", frames())  # answered or closed, both are right

    def test_a_window_that_never_opens(self):
        with h2client.Connection(self.server.host_port("otlp_grpc")) as c:
            c.h2.update_settings({4: 0})  # INITIAL_WINDOW_SIZE
            c.flush()
            for _ in range(50):
                c.start(h2client.grpc_headers(h2client.SERVICES["logs"]), otlp.grpc_frame(logs(0, 5)))
            self.still_works(self.server)

    def test_garbage(self):
        """Requests with bytes changed at random: an answer to each, none of them 5xx."""
        rng = random.Random(7)
        sound = {"/v1/logs": logs(0, 20), "/v1/traces": otlp.pb_spans({"service.name": "load"}, [
            otlp.pb_span(b"1" * 16, bytes([i + 1]) * 8, "s", T, T + 1) for i in range(20)]),
            "/v1/metrics": otlp.pb_metrics({"service.name": "load"}, [
                otlp.pb_gauge("g", i, T + i) for i in range(20)])}
        json_body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [
            {"timeUnixNano": str(T), "body": {"stringValue": "x"}, "attributes": [
                {"key": "k", "value": {"arrayValue": {"values": [{"intValue": "1"}]}}}]}]}]}]}).encode()
        conn = http.client.HTTPConnection(*self.server.host_port("otlp_http"), timeout=30)
        seen = {}
        for i in range(3000):
            path = rng.choice(list(sound))
            as_json = rng.random() < 0.4
            body = bytearray(json_body if as_json else sound[path])
            for _ in range(rng.randrange(1, 6)):
                how = rng.randrange(4)
                at = rng.randrange(len(body))
                if how == 0:
                    body[at] = rng.randrange(256)
                elif how == 1:
                    del body[at:at + rng.randrange(1, 20)]
                elif how == 2:
                    body[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
                else:
                    body[at:at] = body[at:at + rng.randrange(1, 50)]
                if not body:
                    body = bytearray(b"\x00")
            conn.request("POST", path, bytes(body),
                         {"Content-Type": "application/json" if as_json else "application/x-protobuf"})
            answer = conn.getresponse()
            answer.read()
            seen[answer.status] = seen.get(answer.status, 0) + 1
        self.assertEqual(set(seen) - {200, 400, 413}, set(), seen)
        self.assertGreater(seen.get(200, 0), 50)
        self.assertGreater(seen.get(400, 0), 500)


class HostileSyslog(FaultCase):
    def test_broken_senders(self):
        """Counts that lie, endless lines, garbage, TLS that is none: bounded, and sound ones go on."""
        _, cert, key = certs.make(self.dir)
        server = self.serve("listen.syslog_tcp=127.0.0.1:0", "listen.syslog_udp=127.0.0.1:0",
                            "listen.syslog_tls=127.0.0.1:0", f"tls.syslog.cert={cert}",
                            f"tls.syslog.key={key}", "syslog.max_connections=50",
                            "syslog.max_message=8KiB")
        before = server.memory_bytes()
        rng = random.Random(11)
        for i in range(30):
            with socket.create_connection(server.host_port("syslog_tcp"), 20) as s:
                s.sendall([b"99999 <13>never comes\n<13>but this does\n", b"x" * (1 << 20),
                           b"5 <13>abcdefgh\n" * 2000, b"<13>" * 50000 + b"\n", b"\0" * 100000,
                           bytes(rng.randrange(256) for _ in range(20000))][i % 6])
            with socket.create_connection(server.host_port("syslog_tls"), 20) as s:
                s.sendall(bytes(rng.randrange(256) for _ in range(2000)))
                HostileClients.read_all(s)  # ends: it is refused
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(udp.close)
        udp.connect(server.host_port("syslog_udp"))
        for i in range(2000):
            udp.send(bytes(rng.randrange(256) for _ in range(rng.randrange(1, 100))))
        idle = [socket.create_connection(server.host_port("syslog_tcp"), 20) for _ in range(49)]
        with socket.create_connection(server.host_port("syslog_tls"), 20) as raw:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with context.wrap_socket(raw) as s:
                s.sendall(b"<13>1 2026-11-20T10:00:00Z web1 sound 1 - - the last one\n")
                wait_until("the last one", lambda: any(
                    '"the last one"' in x for x in otlp.all_records("logs", server.export("logs"))))
        for s in idle:
            s.close()
        got = server.get("/api/v1/status")["receivers"]
        counts = [r for r in got if r["name"] == "syslog"][0]
        self.assertGreater(counts["invalid_requests"], 30)
        if not server.sanitized():
            self.assertLess(server.memory_bytes() - before, GROWTH_MAX)
        self.assertEqual(server.stop(), 0, server.log())


class Overload(FaultCase):
    def test_told_to_come_back(self):
        """With hardly any room: each request is stored or told to come back, and nothing is lost."""
        server = self.serve("limits.memory=16MiB", "store.queue=1MiB")
        kept, told, wrong, lock = [], [], [], threading.Lock()

        def send(part):
            conn = http.client.HTTPConnection(*server.host_port("otlp_http"), timeout=60)
            for i in range(15):
                first = part * 100000 + i * 2000
                conn.request("POST", "/v1/logs", logs(first, 2000, "z" * 100),
                             {"Content-Type": "application/x-protobuf"})
                answer = conn.getresponse()
                answer.read()
                with lock:
                    if answer.status == 200:
                        kept.extend(range(first, first + 2000))
                    elif answer.status in (429, 503) and answer.getheader("Retry-After"):
                        told.append(answer.status)
                    else:
                        wrong.append(answer.status)
        threads = [threading.Thread(target=send, args=(p,)) for p in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])
        self.assertEqual(len(kept) // 2000 + len(told), 180)
        self.assertEqual(self.numbers(server), sorted(kept))
        self.assertEqual(server.stop(), 0)


class ManyNames(FaultCase):
    def test_a_million_label_values(self):
        """1 M series and 1 M distinct values of a log attribute: bounded memory, service goes on."""
        server = self.serve()
        conn = http.client.HTTPConnection(*server.host_port("otlp_http"), timeout=120)
        refused = 0
        for i in range(200):
            points = b"".join(
                otlp.field(1, otlp.fixed64(3, T + n) + b"\x21" + struct.pack("<d", n) +
                           otlp.field(7, otlp.field(1, "user") + otlp.field(2, otlp.field(1, f"u-{n}"))))
                for n in range(i * 5000, i * 5000 + 5000))
            metric = otlp.field(1, "calls") + otlp.field(5, points)
            for path, body in (("/v1/metrics", otlp.pb_metrics({"service.name": "load"}, [metric])),
                               ("/v1/logs", otlp.pb_logs({"service.name": "load"}, [
                                   otlp.fixed64(1, T + n) + otlp.field(5, otlp.field(1, "same")) +
                                   otlp.field(6, otlp.field(1, "user") +
                                              otlp.field(2, otlp.field(1, f"u-{n}")))
                                   for n in range(i * 5000, i * 5000 + 5000)]))):
                while True:
                    conn.request("POST", path, body, {"Content-Type": "application/x-protobuf"})
                    answer = conn.getresponse()
                    answer.read()
                    if answer.status == 200:
                        break
                    self.assertIn(answer.status, (429, 503))
                    refused += 1
                    time.sleep(0.05)
        peak = server.memory_bytes("VmHWM")
        print(f"1 M series and 1 M attribute values: peak memory {peak / 1e6:.0f} MB, "
              f"{refused} requests told to come back")
        if not server.sanitized():
            self.assertLess(peak, 400e6)
        self.still_works(server)
        status = server.get("/api/v1/status")
        self.assertEqual(status["store"]["metrics"]["records"], 10**6)
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    if len(sys.argv) > 2:  # PROGRAM CLASS...: only these
        names = ["__main__." + n for n in sys.argv[2:]]
        suite = unittest.defaultTestLoader.loadTestsFromNames(names)
        ended = unittest.TextTestRunner(stream=sys.stderr, verbosity=2).run(suite)
        bad = len(ended.failures) + len(ended.errors)
        for _ in range(ended.testsRun - bad - len(ended.skipped)):
            print("[       OK ]")
        sys.exit(1 if bad or not ended.testsRun else 0)
    harness.main()
