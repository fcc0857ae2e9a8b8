"""kill -9 under load: every acknowledged record is there exactly once, every other at most once, and
the server starts again.

    kill9.py PROGRAM [ROUNDS] [SEED]

Each round: several connections send batches (OTLP/HTTP and gRPC; logs, spans, metrics), the server is
killed at a random moment or right when the last acknowledgement arrived, and started again on the
same data. Nothing is ever sent twice. Every CHECK_EVERY rounds, and at the end, everything stored is
read and compared with what was acknowledged. Prints the figures of restarting."""
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))
import h2client  # noqa: E402
import http.client  # noqa: E402
import otlp  # noqa: E402
from server import Server  # noqa: E402

SENDERS = 4
CHECK_EVERY = 50
BASE_NS = 1795168800 * 10**9


class Load:
    """Numbers handed out, sent and acknowledged, by signal."""

    def __init__(self, seed):
        self.lock = threading.Lock()
        self.next = 0
        self.acknowledged = {"logs": set(), "traces": set(), "metrics": set()}
        self.sent = {"logs": set(), "traces": set(), "metrics": set()}
        self.random = random.Random(seed)

    def take(self, signal_name, count):
        with self.lock:
            numbers = range(self.next, self.next + count)
            self.next += count
            self.sent[signal_name].update(numbers)
        return numbers

    def confirm(self, signal_name, numbers):
        with self.lock:
            self.acknowledged[signal_name].update(numbers)
            return len(self.acknowledged[signal_name])


def body_of(signal_name, numbers):
    resource = {"service.name": "load"}
    if signal_name == "logs":
        return otlp.pb_logs(resource, [
            otlp.pb_log(f"request {i} took {i % 977} ms from 10.0.0.{i % 250}", BASE_NS + i,
                        attributes_of={"n": i}) for i in numbers])
    if signal_name == "traces":
        return otlp.pb_spans(resource, [
            otlp.pb_span((i + 1).to_bytes(16, "big"), (i + 1).to_bytes(8, "big"), "op", BASE_NS + i,
                         BASE_NS + i + 5) for i in numbers])
    return otlp.pb_metrics(resource, [otlp.pb_gauge("g", float(i), BASE_NS + i * 1000000)
                                      for i in numbers])


def number_of(signal_name, text):
    record = json.loads(text)
    if signal_name == "logs":
        n = dict((k, v[1]) for k, v in record["record"]["attributes"])["n"]
        body = f"request {n} took {n % 977} ms from 10.0.0.{n % 250}"
        assert record["record"]["body"] == ["text", body], text
        return n
    if signal_name == "traces":
        return int(record["record"]["spanId"], 16) - 1
    return int(float(record["point"]["asDouble"]))


def send_http(server, load, stop, on_ack):
    conn = None
    rng = random.Random(load.random.random())
    while not stop.is_set():
        signal_name = rng.choice(["logs", "logs", "traces", "metrics"])
        numbers = load.take(signal_name, rng.choice([1, 5, 20, 120]))
        try:
            if conn is None:
                conn = http.client.HTTPConnection(*server.host_port("otlp_http"), timeout=30)
            conn.request("POST", "/v1/" + signal_name, body_of(signal_name, numbers),
                         {"Content-Type": "application/x-protobuf"})
            answer = conn.getresponse()
            answer.read()
            if answer.status == 200:
                on_ack(signal_name, numbers)
            elif answer.status not in (429, 503):
                raise AssertionError(f"{signal_name}: {answer.status}")
        except (OSError, http.client.HTTPException):
            conn = None
            time.sleep(0.002)


def send_grpc(server, load, stop, on_ack):
    conn = None
    rng = random.Random(load.random.random())
    while not stop.is_set():
        signal_name = rng.choice(["logs", "traces", "metrics"])
        numbers = load.take(signal_name, rng.choice([1, 20, 80]))
        body = otlp.grpc_frame(body_of(signal_name, numbers))
        try:
            if conn is None:
                conn = h2client.Connection(server.host_port("otlp_grpc"))
            answer = conn.request(h2client.grpc_headers(h2client.SERVICES[signal_name]), body)
            if answer.grpc_status == 0:
                on_ack(signal_name, numbers)
            if conn.closed:
                conn = None
        except (OSError, h2client.h2.exceptions.ProtocolError):
            conn = None
            time.sleep(0.002)


def check(server, load):
    """Reads everything. Returns the number of records found."""
    total = 0
    for signal_name in ("logs", "traces", "metrics"):
        texts = otlp.of_resource(otlp.all_records(signal_name, server.export(signal_name)),
                                 "service.name", "load")
        found = [number_of(signal_name, x) for x in texts]
        once = set(found)
        missing = load.acknowledged[signal_name] - once
        strangers = once - load.sent[signal_name]
        twice = len(found) - len(once)
        if missing or twice or strangers:
            raise AssertionError(
                f"{signal_name}: {len(missing)} acknowledged records missing {sorted(missing)[:5]}, "
                f"{twice} twice, {len(strangers)} never sent; {len(found)} found, "
                f"{len(load.acknowledged[signal_name])} acknowledged")
        total += len(found)
    return total


def run(program, rounds, seed, directory):
    rng = random.Random(seed)
    load = Load(seed)
    # Small journals and a short age: kills meet compaction, too.
    server = Server(directory, "store.journal=1MiB", "store.journal_age=1s", "self.logs=false",
                    "self.trace_one_in=0", "log.level=warn", program=program)
    starts = []
    kills = {"random moment": 0, "last acknowledgement": 0}
    for number in range(rounds):
        starts.append(server.start())
        stop, killed = threading.Event(), threading.Event()
        at_ack = rng.random() < 0.5
        want = rng.randrange(1, 40)
        acks = [0]
        lock = threading.Lock()

        def on_ack(signal_name, numbers):
            load.confirm(signal_name, numbers)
            with lock:
                acks[0] += 1
                if at_ack and acks[0] >= want and not killed.is_set():
                    killed.set()
                    os.kill(server.pid, 9)
        threads = [threading.Thread(target=send_grpc if i == 0 else send_http,
                                    args=(server, load, stop, on_ack)) for i in range(SENDERS)]
        for t in threads:
            t.start()
        if at_ack:
            killed.wait(20)
        else:
            time.sleep(rng.uniform(0.0, 0.25))
        kills["last acknowledgement" if at_ack else "random moment"] += 1
        server.kill()
        stop.set()
        for t in threads:
            t.join(60)
        if (number + 1) % CHECK_EVERY == 0 or number + 1 == rounds:
            starts.append(server.start())
            check(server, load)
            server.kill()
    server.start()
    done = server.command("fsck", check=False) if os.environ.get("KILL9_FSCK") else None
    found = check(server, load)
    status = server.stop()
    if status != 0:
        raise AssertionError(f"ended with {status}:\n{server.log()}")
    server.start()  # after a clean end, too
    assert check(server, load) == found
    server.stop()
    if done is not None and done.returncode != 0:
        raise AssertionError("fsck: " + done.stdout.decode() + done.stderr.decode())
    acknowledged = sum(len(x) for x in load.acknowledged.values())
    starts.sort()
    return {"rounds": rounds, "kills": kills, "acknowledged": acknowledged, "found": found,
            "sent": load.next, "restart_median_s": starts[len(starts) // 2], "restart_max_s": starts[-1]}


def main():
    program = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else int(os.environ.get("FAULTLINE_SEED", "1"))
    directory = tempfile.mkdtemp(prefix="faultline-kill9-")
    print(f"seed {seed}, {rounds} rounds")
    try:
        result = run(str(Path(program).resolve()), rounds, seed, directory)
        print(json.dumps(result))
        print("[       OK ]")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
