"""A running `faultline serve` for the end-to-end tests: free loopback ports, a data directory of its
own, ended by its process id; what is stored, as OTLP/JSON."""
import http.client
import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path

from harness import PROGRAM

START_S = 30


class Server:
    """settings: "key=value" of faultline.yaml. log: where standard error goes."""

    def __init__(self, directory, *settings, program=PROGRAM, log=None, env=None):
        self.dir = Path(directory)
        self.data = self.dir / "data"
        self.settings = list(settings)
        self.program = str(program)
        self.log_path = Path(log) if log else self.dir / "server.log"
        self.env = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8", **(env or {})}
        self.process = None
        self.address = {}

    def start(self):
        """Returns the seconds until it was ready."""
        command = [self.program, "serve", "--data", str(self.data)]
        for key in ("otlp-grpc", "otlp-http", "api"):
            command += ["--" + key, "127.0.0.1:0"]
        for setting in self.settings:
            command += ["--set", setting]
        began = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log,
                                            cwd=self.dir, env=self.env)
        line = self._ready_line(began + START_S)
        took = time.monotonic() - began
        self.address = dict(part.split("=", 1) for part in line.split()[1:])
        return took

    def _ready_line(self, deadline):
        line = b""
        stdout = self.process.stdout
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            ready = select.select([stdout], [], [], max(left, 0))[0]
            part = os.read(stdout.fileno(), 4096) if ready else b""
            if not part:
                self.kill()
                raise AssertionError("the server did not start:\n" + self.log())
            line += part
        return line.decode()

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace")[-4000:]

    def stop(self, timeout=60):
        """SIGTERM; returns the exit status."""
        if self.process is None:
            return None
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout)
        self.process.stdout.close()
        self.process = None
        return status

    def kill(self):
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process = None

    def host_port(self, listener):
        host, port = self.address[listener].rsplit(":", 1)
        return host, int(port)

    def url(self, listener, scheme="http"):
        return f"{scheme}://{self.address[listener]}"

    def request(self, method, path, body=None, headers=None, listener="otlp_http", timeout=60):
        """Status, headers (a dictionary with lower-case names), body."""
        conn = http.client.HTTPConnection(*self.host_port(listener), timeout=timeout)
        try:
            conn.request(method, path, body, headers or {})
            answer = conn.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            conn.close()

    def post_json(self, path, value):
        return self.request("POST", path, json.dumps(value), {"Content-Type": "application/json"})

    def get(self, path):
        """A JSON answer of the API."""
        status, _, body = self.request("GET", path, listener="api")
        if status != 200:
            raise AssertionError(f"{path}: {status} {body[:300]!r}")
        return json.loads(body)

    def metrics(self):
        """The server's own figures: {"name{labels}": value}."""
        status, _, body = self.request("GET", "/metrics", listener="api")
        if status != 200:
            raise AssertionError(f"/metrics: {status}")
        lines = [x for x in body.decode().splitlines() if x and not x.startswith("#")]
        return {x.split(" # ")[0].rsplit(" ", 1)[0]: float(x.split(" # ")[0].rsplit(" ", 1)[1])
                for x in lines}

    def command(self, *args, check=True, timeout=120):
        """Another faultline command on the same data."""
        done = subprocess.run([self.program, *map(str, args), "--data", str(self.data)],
                              stdin=subprocess.DEVNULL, capture_output=True, cwd=self.dir,
                              env=self.env, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"faultline {' '.join(map(str, args))}: {done.returncode}\n"
                                 + done.stderr.decode(errors="replace"))
        return done

    def export(self, signal_name):
        """What is stored of a signal: a list of OTLP/JSON requests, from the running server, else by
        the command."""
        if self.alive():
            path = f"/api/v1/export?signal={signal_name}&format=otlp-json&end=1"
            status, _, body = self.request("GET", path, listener="api", timeout=120)
            if status != 200:
                raise AssertionError(f"export: {status} {body[:300]!r}")
            lines = body.splitlines()
            end = json.loads(lines[-1]) if lines else {}
            if end.get("export") != "done" or end.get("partial"):
                raise AssertionError(f"export: {end}")
            body = b"\n".join(lines[:-1])
        else:
            body = self.command("export", "--signal", signal_name, "--format", "otlp-json").stdout
        return [json.loads(line) for line in body.splitlines() if line.strip()]

    def cpu_s(self):
        with open(f"/proc/{self.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def sanitized(self):
        """Built with a sanitizer, which keeps freed memory: figures of memory say nothing then."""
        with open(f"/proc/{self.pid}/maps") as f:
            text = f.read()
        return "libasan" in text or "libtsan" in text

    def memory_bytes(self, what="VmRSS"):
        with open(f"/proc/{self.pid}/status") as f:
            for line in f:
                if line.startswith(what + ":"):
                    return int(line.split()[1]) * 1024
        raise AssertionError(what)
