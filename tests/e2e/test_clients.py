"""Real clients: OpenTelemetry's JavaScript exporters, rsyslog, Prometheus' remote write, curl. What
they send is accepted and read back equal, field by field."""
import datetime
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest
import urllib.parse
import urllib.request
from pathlib import Path

import certs
import harness
import otlp
from server import Server

CLIENTS = harness.ROOT / "tests" / "e2e" / "clients"
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH",
               "EHOSTUNREACH", "network request", "ERR_SOCKET_TIMEOUT", "_CERT_",
               "_CERTIFICATE", "CERT_HAS")
WAIT_S = 60


def wait_until(what, condition, seconds=WAIT_S):
    """Polls what happens in other processes; what it returns when it is true."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"timed out waiting for {what}")
        time.sleep(0.05)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def clients_dir():
    """The installed packages, kept between runs; one installation at a time."""
    locked = (CLIENTS / "package-lock.json").read_bytes()
    name = hashlib.sha256(locked).hexdigest()[:16]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "faultline-e2e"
    target = base / name
    base.mkdir(parents=True, exist_ok=True)
    with open(base / (name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (target / "installed").exists():
            return target
        if not shutil.which("npm") or not shutil.which("node"):
            raise AssertionError("npm is not installed: scripts/deps check")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for file in ("package.json", "package-lock.json"):
            shutil.copy(CLIENTS / file, target)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                              cwd=target, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode != 0:
            text = done.stdout + done.stderr
            if any(word in text for word in UNREACHABLE):
                raise unittest.SkipTest("the registry of npm can't be reached")
            raise AssertionError("npm ci failed:\n" + text)
        (target / "installed").touch()
        return target


class ClientCase(harness.Case):
    def serve(self, *settings, **kw):
        directory = self.dir / f"server{len(list(self.dir.iterdir()))}"
        directory.mkdir()
        server = Server(directory, *settings, **kw)
        self.addCleanup(server.kill)
        server.start()
        return server

    def same(self, got, want, what):
        """Two sorted lists of records; prints the first that differ."""
        if got == want:
            return
        missing = [x for x in want if x not in got]
        more = [x for x in got if x not in want]
        self.fail(f"{what}: {len(got)} records read back, {len(want)} sent\n"
                  f"missing: {missing[0] if missing else '-'}\nunexpected: {more[0] if more else '-'}")


class OpenTelemetryTest(ClientCase):
    """All signals, three transports, plain and gzip."""

    def send(self, server, ca=None):
        scheme = "https" if ca else "http"
        ways = []
        for kind in ("grpc", "http-json", "http-protobuf"):
            for gzip in (False, True):
                listener = "otlp_grpc" if kind == "grpc" else "otlp_http"
                ways.append({"variant": f"{kind}-{'gzip' if gzip else 'plain'}-{scheme}",
                             "kind": kind, "url": server.url(listener, scheme), "gzip": gzip,
                             "ca": str(ca) if ca else None})
        packages = clients_dir()
        env = {**os.environ, "NODE_PATH": str(packages / "node_modules")}
        done = subprocess.run(["node", str(CLIENTS / "send.js"), json.dumps({"ways": ways})],
                              capture_output=True, text=True, timeout=180, env=env, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def check(self, server, results):
        self.assertEqual(len(results), 18)
        stored = {s: otlp.all_records(s, server.export(s)) for s in ("logs", "traces", "metrics")}
        for result in results:
            what = f"{result['variant']} {result['signal']}"
            self.assertEqual(result["code"], 0, f"{what}: {result.get('error')}\n{server.log()}")
            sent = otlp.all_records(result["signal"], [result["sent"]])
            self.assertGreater(len(sent), 4, what)
            got = otlp.of_resource(stored[result["signal"]], "variant", result["variant"])
            self.same(got, sent, what)

    def test_plain(self):
        server = self.serve()
        results = self.send(server)
        self.check(server, results)
        self.assertEqual(server.stop(), 0)
        server.start()  # and after a restart
        self.check(server, results)

    def test_tls(self):
        ca, cert, key = certs.make(self.dir)
        server = self.serve(f"tls.otlp_grpc.cert={cert}", f"tls.otlp_grpc.key={key}",
                            f"tls.otlp_http.cert={cert}", f"tls.otlp_http.key={key}")
        self.check(server, self.send(server, ca))


class CurlTest(ClientCase):
    """The sample requests of the OTLP repository, sent as its README says."""

    FILES = {"logs.json": "logs", "events.json": "logs", "trace.json": "traces",
             "metrics.json": "metrics"}

    def test_samples(self):
        data = os.environ.get("FAULTLINE_DATA")
        if not data:
            self.skipTest("FAULTLINE_DATA is not set")
        server = self.serve()
        sent = {}
        for file, signal_name in self.FILES.items():
            path = Path(data) / "otlp-samples" / file
            done = subprocess.run(
                ["curl", "-sS", "-X", "POST", "-H", "Content-Type: application/json", "-d",
                 f"@{path}", "-i", f"{server.url('otlp_http')}/v1/{signal_name}"],
                capture_output=True, text=True, timeout=60, check=False)
            self.assertIn(" 200 ", done.stdout.splitlines()[0], done.stdout + done.stderr)
            self.assertIn("content-type: application/json", done.stdout.lower())
            self.assertEqual(json.loads(done.stdout.split("\n\n", 1)[1]), {})
            sent.setdefault(signal_name, []).append(json.loads(path.read_bytes()))
        for signal_name, requests in sent.items():
            stored = otlp.of_resource(otlp.all_records(signal_name, server.export(signal_name)),
                                      "service.name", "my.service")
            self.same(stored, otlp.all_records(signal_name, requests), signal_name)


SYSLOG_TEMPLATES = {
    "rfc5424": "RSYSLOG_SyslogProtocol23Format",
    "rfc3164": "RSYSLOG_TraditionalForwardFormat",
    "iso": "RSYSLOG_ForwardFormat",
}
# The same with an end of line, for a file (rsyslog's manual, "Reserved template names").
SEEN_TEMPLATES = {
    "rfc5424": "<%PRI%>1 %TIMESTAMP:::date-rfc3339% %HOSTNAME% %APP-NAME% %PROCID% %MSGID% "
               "%STRUCTURED-DATA% %msg%",
    "rfc3164": "<%PRI%>%TIMESTAMP% %HOSTNAME% %syslogtag:1:32%%msg:::sp-if-no-1st-sp%%msg%",
    "iso": "<%PRI%>%TIMESTAMP:::date-rfc3339% %HOSTNAME% %syslogtag:1:32%%msg:::sp-if-no-1st-sp%%msg%",
}


def text_attribute(record, key):
    for k, v in record.get("attributes", []):
        if k == key:
            return v[1]
    return None


class RsyslogTest(ClientCase):
    """rsyslogd forwards what programs log over UDP, TCP (both framings) and TLS."""

    def rsyslog(self, server, target, template, extra=""):
        log_socket = self.dir / "log.sock"
        seen = self.dir / "seen"
        config = self.dir / "rsyslog.conf"
        config.write_text(f'''
global(workDirectory="{self.dir}" maxMessageSize="8k" {extra})
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{log_socket}" CreatePath="on" RateLimit.Interval="0")
template(name="seen" type="string" string="{SEEN_TEMPLATES[template]}\\n")
*.* action(type="omfwd" target="127.0.0.1" {target} template="{SYSLOG_TEMPLATES[template]}")
*.* action(type="omfile" file="{seen}" template="seen")
''')
        process = subprocess.Popen(["rsyslogd", "-n", "-f", str(config), "-i",
                                    str(self.dir / "rsyslog.pid")],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        wait_until("rsyslog's socket", lambda: log_socket.exists() or process.poll() is not None)
        self.assertIsNone(process.poll(), "rsyslogd ended")
        client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(client.close)
        client.connect(str(log_socket))
        texts = ["plain message", "ünïcode – 日本", "tab\tand \"quotes\" [brackets]", "x" * 3000,
                 "id=4711 took 12.5ms"]
        for i, text in enumerate(texts * 20):
            pri = (i % 24) * 8 + i % 8
            client.send(f"<{pri}>Nov 20 10:00:{i % 60:02d} prog{i % 3}[{100 + i}]: {text}".encode())

        def stored():
            got = [json.loads(x)["record"] | {"resource": json.loads(x)["resource"]}
                   for x in otlp.all_records("logs", server.export("logs"))]
            return [x for x in got if text_attribute(x, "syslog.facility") is not None]
        got = wait_until("messages", lambda: (lambda r: r if len(r) >= 100 else None)(
            [x for x in stored() if str(text_attribute(x["resource"], "service.name")).startswith("prog")]))
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        lines = [x for x in seen.read_text().splitlines() if re.search(r" prog\d", x)]
        self.assertEqual(len(lines), 100)
        self.assertEqual(sorted(map(self.fields_stored, got)),
                         sorted(self.fields_of(template, x) for x in lines))

    @staticmethod
    def fields_stored(record):
        severity = {21: 0, 19: 1, 18: 2, 17: 3, 13: 4, 10: 5, 9: 6, 5: 7}[record["severityNumber"]]
        return (text_attribute(record, "syslog.facility") * 8 + severity,
                record.get("timeUnixNano", 0), text_attribute(record["resource"], "host.name"),
                text_attribute(record["resource"], "service.name"),
                int(text_attribute(record, "process.pid")), record["body"][1],
                text_attribute(record, "log.record.original"))

    @staticmethod
    def fields_of(template, line):
        """The same from the line that rsyslog wrote beside what it sent."""
        if template == "rfc5424":
            m = re.fullmatch(r"<(\d+)>1 (\S+) (\S+) (\S+) (\S+) - -  ?(.*)", line)
            pri, stamp, host, tag, pid, text = m.groups()
            text = line.split(" - - ", 1)[1]
        else:
            stamp_re = r"\S+" if template == "iso" else r"\w{3} [ \d]\d [\d:]{8}"
            m = re.fullmatch(rf"<(\d+)>({stamp_re}) (\S+) ([^\[]+)\[(\d+)\]: (.*)", line)
            pri, stamp, host, tag, pid, text = m.groups()
        if template == "rfc3164":
            when = None
            for year in (datetime.date.today().year + 1, datetime.date.today().year,
                         datetime.date.today().year - 1):  # the newest that is not in the future
                when = datetime.datetime.strptime(f"{year} {stamp}", "%Y %b %d %H:%M:%S")
                if when <= datetime.datetime.utcnow() + datetime.timedelta(days=1):
                    break
            when = when.replace(tzinfo=datetime.timezone.utc)
        else:
            when = datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00"))
        ns = int(when.timestamp()) * 10**9 + when.microsecond * 1000
        return (int(pri), ns, host, tag, int(pid), text, None)

    def test_udp(self):
        server = self.serve("listen.syslog_udp=127.0.0.1:0")
        port = server.host_port("syslog_udp")[1]
        self.rsyslog(server, f'port="{port}" protocol="udp"', "rfc5424")

    def test_tcp_lines(self):
        server = self.serve("listen.syslog_tcp=127.0.0.1:0")
        port = server.host_port("syslog_tcp")[1]
        self.rsyslog(server, f'port="{port}" protocol="tcp" TCP_Framing="traditional"', "rfc3164")

    def test_tcp_counted(self):
        server = self.serve("listen.syslog_tcp=127.0.0.1:0")
        port = server.host_port("syslog_tcp")[1]
        self.rsyslog(server, f'port="{port}" protocol="tcp" TCP_Framing="octet-counted"', "iso")

    def test_tls(self):
        ca, cert, key = certs.make(self.dir)
        server = self.serve("listen.syslog_tls=127.0.0.1:0", f"tls.syslog.cert={cert}",
                            f"tls.syslog.key={key}")
        port = server.host_port("syslog_tls")[1]
        self.rsyslog(server, f'port="{port}" protocol="tcp" TCP_Framing="octet-counted" '
                             'StreamDriver="ossl" StreamDriverMode="1" StreamDriverAuthMode="anon"',
                     "rfc5424", f'DefaultNetstreamDriver="ossl" DefaultNetstreamDriverCAFile="{ca}"')


class PrometheusTest(ClientCase):
    """Prometheus scrapes the server and writes to it; every sample it has is here."""

    def test_remote_write(self):
        server = self.serve()
        port = free_port()
        host = f"127.0.0.1:{port}"
        config = self.dir / "prometheus.yml"
        config.write_text(f'''
global: {{scrape_interval: 1s, external_labels: {{site: here}}}}
scrape_configs:
- {{job_name: faultline, static_configs: [{{targets: ["{server.address['api']}"]}}]}}
- {{job_name: self, static_configs: [{{targets: ["{host}"]}}]}}
remote_write:
- {{url: "{server.url('api')}/api/v1/write", queue_config: {{batch_send_deadline: 500ms}}}}
''')
        log = open(self.dir / "prometheus.log", "wb")
        self.addCleanup(log.close)
        process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.dir / 'tsdb'}",
             f"--web.listen-address={host}"], stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(lambda: process.poll() is None and process.kill())

        def ask(query, at):
            url = f"http://{host}/api/v1/query?" + urllib.parse.urlencode({"query": query, "time": at})
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    return json.load(answer)["data"]["result"]
            except OSError:
                return []

        wait_until("scrapes", lambda: len([r for r in ask("up[1m]", time.time())
                                           if len(r["values"]) >= 4]) == 2)
        at = time.time()
        want = {}
        for series in ask('{__name__=~".+"}[1m]', at):
            labels = dict(series["metric"], site="here")
            for when, value in series["values"]:
                want[json.dumps(labels, sort_keys=True), round(when * 1000)] = repr(float(value))
        self.assertGreater(len(want), 1000)

        def missing():
            got = self.samples(server)
            return [k for k in want if k not in got], got
        left, got = [], {}

        def all_there():
            nonlocal left, got
            left, got = missing()
            return not left
        try:
            wait_until("samples", all_there, 30)
        except AssertionError:
            self.fail(f"{len(left)} of {len(want)} samples missing, e.g. {left[:3]}\n{server.log()}")
        wrong = [(k, got[k], v) for k, v in want.items() if got[k] != v]
        self.assertEqual(wrong[:3], [])

    @staticmethod
    def samples(server):
        """Stored points as {(labels, ms): value}."""
        out = {}
        for text in otlp.all_records("metrics", server.export("metrics")):
            r = json.loads(text)
            point = r["point"]
            labels = {k: v[1] for k, v in r["resource"].get("attributes", [])}
            labels.update({k: v[1] for k, v in point.get("attributes", [])})
            labels["__name__"] = r["metric"]["name"]
            key = json.dumps({k: v for k, v in labels.items() if isinstance(v, str)}, sort_keys=True)
            value = point.get("asDouble", repr(float(point.get("asInt", 0))))
            out[key, point["timeUnixNano"] // 10**6] = value
        return out


if __name__ == "__main__":
    harness.main()
