#!/usr/bin/env python3
"""Apache Kafka and Ottla in turn on this machine, the same load on both, A B A B: medians and ratios.

    bench/compare.py [--rounds N] [--seconds S] [--only NAME,..] [--json FILE]

Needs Java and Maven (Kafka's jars go to target/cache) and builds Ottla and the load generator in release mode. Wall times
on a shared machine wander: read the ratios of one run, and the CPU figures, which are the server's own from /proc.
"""

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests-clients"))
from harness.broker import Kafka, Ottla  # noqa: E402
from harness.cache import Cache  # noqa: E402

TICKS = 100  # USER_HZ
LOG4J = ROOT / "tests-clients/java/log4j2.properties"
JVM = ["-Xmx512m", f"-Dlog4j2.configurationFile={LOG4J}"]
TOOL_SECONDS_MAX = 600


def cpu_seconds(broker):
    fields = Path(f"/proc/{broker.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mib(broker):
    for line in Path(f"/proc/{broker.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


class Bench:
    """One product's turn: a fresh broker, all loads in order, figures by name."""

    def __init__(self, broker, tools, seconds):
        self.broker = broker
        self.tools = tools
        self.seconds = seconds
        self.figures = {}

    def run(self, only):
        began = time.monotonic()
        self.broker.start()
        self.raw("produce", "first", 1, seconds=0.01, connections=1, in_flight=1)
        self.figures["start to first acknowledged produce, s"] = time.monotonic() - began
        time.sleep(1)
        self.figures["RSS idle, MiB"] = rss_mib(self.broker)
        for name, load in self.loads().items():
            if not only or any(part in name for part in only):
                print(f"  {self.broker.name}: {name}", file=sys.stderr)
                load(name)
        self.figures["RSS after the load, MiB"] = rss_mib(self.broker)
        self.broker.kill()
        began = time.monotonic()
        self.broker.start()
        self.raw("produce", "first", 1, seconds=0.01, connections=1, in_flight=1)
        self.figures["restart after SIGKILL to acknowledged produce, s"] = time.monotonic() - began
        self.broker.stop()
        return self.figures

    def loads(self):
        return {
            "ProducerPerformance, 1 KiB, 1 partition": lambda name: self.producer(name, "perf-1", 1),
            "ProducerPerformance, 1 KiB, 100 partitions": lambda name: self.producer(name, "perf-100", 100),
            "ConsumerPerformance, 1 partition": lambda name: self.consumer(name, "perf-1"),
            "ConsumerPerformance, 100 partitions": lambda name: self.consumer(name, "perf-100"),
            "raw, one 100-byte record a request, 16 connections": lambda name: self.raw_produce(name, connections=16),
            "raw, one 100-byte record a request, 64 connections": lambda name: self.raw_produce(name, connections=64),
            "raw at 2,000 requests/s": lambda name: self.raw_produce(name, connections=16, rate=2000),
            "raw, 64 KiB batches": lambda name: self.raw_produce(
                name, topic="raw-64k", partitions=16, connections=4, batch_records=64, record_bytes=1000),
            "raw catch-up fetch of 64 KiB batches": self.raw_fetch,
        }

    def measured(self, name, load):
        """Runs `load`, which returns (figures, requests or None, bytes or None); adds the server's CPU for each."""
        before = cpu_seconds(self.broker)
        figures, requests, size = load()
        spent = cpu_seconds(self.broker) - before
        for what, value in figures.items():
            self.figures[f"{name}: {what}"] = value
        if requests:
            self.figures[f"{name}: CPU-s per million"] = spent / requests * 1e6
        if size:
            self.figures[f"{name}: CPU-s per GiB"] = spent / size * (1 << 30)

    def tool(self, main, *arguments):
        done = subprocess.run(
            ["java", *JVM, "-cp", f"{self.tools}/*", f"org.apache.kafka.tools.{main}", *map(str, arguments)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TOOL_SECONDS_MAX)
        if done.returncode:
            raise RuntimeError(f"{main}: {done.stderr[-600:]}{done.stdout[-600:]}")
        return done.stdout

    def producer(self, name, topic, partitions):
        self.raw("produce", topic, partitions, seconds=0.01, connections=1, in_flight=1)  # Makes the topic.
        records = int(60_000 * self.seconds)

        def load():
            out = self.tool("ProducerPerformance", "--topic", topic, "--num-records", records, "--record-size", 1024,
                            "--throughput", -1, "--bootstrap-server", self.broker.bootstrap,
                            "--command-property", "acks=all")
            last = out.strip().splitlines()[-1]
            return {"records/s": float(re.search(r"([\d.]+) records/sec", last)[1])}, None, records * 1024
        self.measured(name, load)

    def consumer(self, name, topic):
        records = int(50_000 * self.seconds)

        def load():
            out = self.tool("ConsumerPerformance", "--topic", topic, "--num-records", records,
                            "--bootstrap-server", self.broker.bootstrap, "--timeout", 60_000)
            header, line = [row.split(", ") for row in out.strip().splitlines()[-2:]]
            row = {key.strip(): value.strip() for key, value in zip(header, line)}
            return {"records/s": float(row["fetch.nMsg.sec"])}, None, float(row["data.consumed.in.MB"]) * (1 << 20)
        self.measured(name, load)

    def raw(self, load, topic, partitions, seconds=None, **options):
        command = [ROOT / "target/release/bench", "--address", self.broker.bootstrap, load, "--topic", topic,
                   "--partitions", partitions, "--seconds", seconds or self.seconds]
        for option, value in options.items():
            command += [f"--{option.replace('_', '-')}", value]
        done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=TOOL_SECONDS_MAX)
        if done.returncode:
            raise RuntimeError(f"raw {load}: {done.stderr}")
        return json.loads(done.stdout)

    def raw_produce(self, name, topic="raw", partitions=16, **options):
        self.raw("produce", topic, partitions, seconds=0.01, connections=1, in_flight=1)  # Makes the topic.
        time.sleep(1)  # Until every partition has its leader, which in Kafka takes a moment.

        def load():
            report = self.raw("produce", topic, partitions, **options)
            if report["errors"]:
                raise RuntimeError(f"{name}: {report['errors']} errors")
            figures = {what: report[what] for what in ("requests_per_second", "mib_per_second", "p50_ms", "p99_ms", "p999_ms")}
            # The warm-up is served too: count what it sent at the measured rate.
            share = 1 + min(self.seconds, 2) / self.seconds
            requests = report["requests"] * share
            size = options.get("record_bytes", 100) * options.get("batch_records", 1) * requests
            return figures, requests, size
        self.measured(name, load)

    def raw_fetch(self, name):
        def load():
            report = self.raw("fetch", "raw-64k", 16, connections=4)
            share = 1 + min(self.seconds, 2) / self.seconds
            size = report["mib_per_second"] * (1 << 20) * self.seconds * share
            return {"mib_per_second": report["mib_per_second"]}, None, size
        self.measured(name, load)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "ottla", "-p", "bench"], cwd=ROOT, check=True)
    cache = Cache(ROOT / "target/cache")
    jars, tools = cache.with_jars("broker"), cache.with_jars("tools")
    home = Path(tempfile.mkdtemp(prefix="bench-", dir=ROOT / "target"))
    rounds = {"kafka": [], "ottla": []}
    try:
        for turn in range(arguments.rounds):
            for broker in (Kafka(jars, LOG4J, home / f"kafka-{turn}"),
                           Ottla(ROOT / "target/release/ottla", home / f"ottla-{turn}")):
                print(f"round {turn + 1}: {broker.name}", file=sys.stderr)
                try:
                    rounds[broker.name].append(Bench(broker, tools, arguments.seconds).run(arguments.only))
                finally:
                    broker.stop()
                    shutil.rmtree(broker.data, ignore_errors=True)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    report(rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(rounds, indent=2))


def report(rounds):
    print(f"{'figure':<75} {'Kafka':>12} {'Ottla':>12} {'ratio':>7}")
    for figure in rounds["kafka"][0]:
        kafka, ottla = (statistics.median(found[figure] for found in rounds[name]) for name in ("kafka", "ottla"))
        print(f"{figure:<75} {kafka:>12.4g} {ottla:>12.4g} {ottla / kafka if kafka else float('nan'):>6.2f}x")


if __name__ == "__main__":
    main()
