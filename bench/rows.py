"""The rows of the comparison: each is a load on one broker and the figures that it gives. Knows no bars and no ratios."""

import json
import math
import mmap
import os
import re
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import bars
from observed import cpu_seconds, cpu_seconds_of_threads, memory_mib
from programs import ROOT

LOG4J = ROOT / "tests-clients/java/log4j2.properties"
JVM = ["-Xmx512m", f"-Dlog4j2.configurationFile={LOG4J}"]
RUN_SECONDS_MAX = 900
MANY = 9_990
MIB, GIB = 1 << 20, 1 << 30

# What a report of the load generator is called in the table.
RAW_FIGURES = {"requests_per_second": "requests/s", "mib_per_second": "MiB/s",
               "p50_ms": "p50, ms", "p99_ms": "p99, ms", "p999_ms": "p99.9, ms"}
SMALL = {"topic": "raw", "partitions": 16}
LARGE = {"topic": "raw-64k", "partitions": 16, "connections": 4, "batch_records": 64, "record_bytes": 1000}
WIDE = {"topic": "many", "partitions": MANY, "record_bytes": 1024}


class Rows:
    """One product's turn. `figures` grows row by row."""

    def __init__(self, broker, another, program, tools, options):
        self.broker = broker
        self.another = another  # Makes a second, empty broker of the same product.
        self.program = program  # The load generator.
        self.tools = tools
        self.options = options
        self.seconds = options.seconds
        self.is_ottla = broker.name == "ottla"
        self.made, self.filled = set(), set()  # Topics.
        self.figures = {}

    def run(self):
        self.timed_start(bars.START)
        time.sleep(1)
        self.figures[f"{bars.SIZE}: RSS idle, MiB"] = memory_mib(self.broker.process.pid, "VmRSS")
        self.figures[f"{bars.SIZE}: idle CPU, % of a core"] = self.idle_cpu()
        if self.is_ottla:
            self.figures[f"{bars.SIZE}: binary, MB"] = self.broker.binary.stat().st_size / 1e6
        for name, load in self.loads().items():
            self.row(name, lambda: load(name))
        time.sleep(self.options.settle)
        self.figures[f"{bars.SIZE}: RSS after all, MiB"] = memory_mib(self.broker.process.pid, "VmRSS")
        self.figures[f"{bars.SIZE}: RSS at its peak, MiB"] = memory_mib(self.broker.process.pid, "VmHWM")
        self.row(bars.RESTART, self.restart)
        self.broker.stop()
        return self.figures

    def row(self, name, load):
        if not any(part in name for part in self.options.only or [""]):
            return
        os.sync()  # No row pays for writing back what another has left in the page cache.
        began = time.monotonic()
        print(f"  {self.broker.name}: {name} ... ", end="", file=self.options.progress, flush=True)
        load()
        print(f"{time.monotonic() - began:.0f} s", file=self.options.progress, flush=True)

    def restart(self):
        self.fill(WIDE)
        self.broker.kill()
        self.timed_start(bars.RESTART)

    def loads(self):
        """In this order: later rows read what earlier ones wrote, or write it themselves."""
        loads = {
            f"{bars.PRODUCER}, 1 partition": lambda name: self.producer(name, "perf-1", 1),
            f"{bars.PRODUCER}, 100 partitions": lambda name: self.producer(name, "perf-100", 100),
            f"{bars.CONSUMER}, 1 partition": lambda name: self.consumer(name, "perf-1", 1),
            f"{bars.CONSUMER}, 100 partitions": lambda name: self.consumer(name, "perf-100", 100),
            bars.PACED: self.paced_producer,
            bars.END_TO_END: self.end_to_end,
            bars.SMALL_16: lambda name: self.produce(name, **SMALL, connections=16),
            bars.SMALL_64: lambda name: self.produce(name, **SMALL, connections=64),
            bars.RAW_PACED: lambda name: self.produce(name, **SMALL, connections=16, rate=2000),
            bars.MEMORY: self.memory,
            bars.RAW_64K: lambda name: self.produce(name, **LARGE),
            bars.FETCH_64K: lambda name: self.fetch(name, LARGE),
            bars.FETCH_SMALL: lambda name: self.fetch(name, SMALL),
            bars.TAIL: self.tail,
            bars.IDLE: self.idle_polls,
            bars.COLD: self.cold_reads,
            bars.CREATE: self.create,
            f"{bars.PRODUCER}, {bars.MANY}": lambda name: self.producer(name, "many", MANY, share=0.5),
            bars.RAW_MANY: lambda name: self.produce(name, **WIDE, connections=16),
        }
        if self.is_ottla:
            loads = self.with_relaxed(loads) | {
                bars.DISK: self.disk, bars.KERNEL_FILE: self.kernel_file, bars.KERNEL_MEMORY: self.kernel_memory}
            for name, in_flight in ((bars.ONE_IN_FLIGHT, 1), (bars.MUCH_IN_FLIGHT, 16)):
                for partitions, topic in ((100, "hundred"), (MANY, "many")):
                    load = {"topic": topic, "partitions": partitions, "in_flight": in_flight, "connections": 16}
                    loads[f"{name}, {partitions:,} partitions"] = lambda name, load=load: self.produce(name, **load)
        return loads

    def with_relaxed(self, loads):
        """Behind each row that has a relaxed twin that twin."""
        twins = {bars.SMALL_16: SMALL | {"connections": 16}, bars.SMALL_64: SMALL | {"connections": 64},
                 bars.RAW_64K: LARGE, bars.RAW_MANY: WIDE | {"connections": 16}}
        both = {}
        for name, row in loads.items():
            both[name] = row
            if name in twins:
                both[bars.RELAXED + name] = lambda name, load=twins[name]: self.relaxed(name, load)
        return both

    # Measuring.

    def timed_start(self, name):
        began = time.monotonic()
        self.broker.start()
        self.until_taken(topic="first", partitions=1)
        self.figures[f"{name}: to acknowledged produce, s"] = time.monotonic() - began

    def idle_cpu(self):
        before = cpu_seconds_of_threads(self.broker.process.pid)
        time.sleep(self.seconds)
        return (cpu_seconds_of_threads(self.broker.process.pid) - before) / self.seconds * 100

    def measured(self, name, load):
        """Runs `load`, which gives (figures, requests or None, bytes or None); adds the server's CPU for each."""
        before = cpu_seconds(self.broker.process.pid)
        figures, requests, size = load()
        spent = cpu_seconds(self.broker.process.pid) - before
        for what, value in figures.items():
            self.figures[f"{name}: {what}"] = value
        if requests:
            self.figures[f"{name}: CPU-s per million"] = spent / requests * 1e6
        if size:
            self.figures[f"{name}: CPU-s per GiB"] = spent / size * GIB
        return spent

    # Kafka's tools.

    def tool(self, main, *arguments):
        done = subprocess.run(
            ["java", *JVM, "-cp", f"{self.tools}/*", f"org.apache.kafka.tools.{main}", *map(str, arguments)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RUN_SECONDS_MAX)
        if done.returncode:
            raise RuntimeError(f"{main}: {done.stderr[-600:]}{done.stdout[-600:]}")
        return done.stdout

    def producer_performance(self, topic, records, throughput, *properties):
        out = self.tool("ProducerPerformance", "--topic", topic, "--num-records", records, "--record-size", 1024,
                        "--throughput", throughput, "--bootstrap-server", self.broker.bootstrap,
                        "--command-property", "acks=all", *properties)
        return out.strip().splitlines()[-1]

    def producer(self, name, topic, partitions, share=1):
        self.make(topic, partitions)
        records = int(60_000 * share * self.seconds)

        def load():
            last = self.producer_performance(topic, records, -1)
            return {"records/s": float(re.search(r"([\d.]+) records/sec", last)[1])}, None, records * 1024
        self.measured(name, load)
        self.filled.add(topic)

    def paced_producer(self, name):
        self.make("perf-1", 1)
        last = self.producer_performance("perf-1", int(10_000 * self.seconds), 10_000, "linger.ms=0")
        for percentile, what in (("50th", "p50, ms"), ("99th", "p99, ms"), ("99.9th", "p99.9, ms")):
            self.figures[f"{name}: {what}"] = float(re.search(rf"([\d.]+) ms {re.escape(percentile)}", last)[1])

    def consumer(self, name, topic, partitions):
        if topic not in self.filled:
            self.producer(f"{bars.PRODUCER}, {partitions} partition{'s' * (partitions > 1)}", topic, partitions)
        records = int(50_000 * self.seconds)

        def load():
            out = self.tool("ConsumerPerformance", "--topic", topic, "--num-records", records,
                            "--bootstrap-server", self.broker.bootstrap, "--timeout", 60_000)
            header, line = [row.split(", ") for row in out.strip().splitlines()[-2:]]
            row = {key.strip(): value.strip() for key, value in zip(header, line)}
            return {"records/s": float(row["fetch.nMsg.sec"])}, None, float(row["data.consumed.in.MB"]) * MIB
        self.measured(name, load)

    def end_to_end(self, name):
        self.make("end-to-end", 1)
        out = self.tool("EndToEndLatency", self.broker.bootstrap, "end-to-end", int(1000 * self.seconds), "all", 100)
        found = re.search(r"50th = ([\d.]+), 99th = ([\d.]+), 99\.9th = ([\d.]+)", out)
        for what, value in zip(("p50, ms", "p99, ms", "p99.9, ms"), found.groups()):
            self.figures[f"{name}: {what}"] = float(value)

    def create(self, name):
        # On a broker of its own: a second topic as large would be in the way of the rows to come.
        other = self.another()
        try:
            other.start()
            began = time.monotonic()
            self.tool("TopicCommand", "--bootstrap-server", other.bootstrap, "--create", "--topic", "many",
                      "--partitions", MANY, "--replication-factor", 1)
            self.figures[f"{name}: the tool with its start, s"] = time.monotonic() - began
        finally:
            other.stop()
            shutil.rmtree(other.home)
        report = self.raw("create", topic="many", partitions=MANY)
        self.figures[f"{name}: the request itself, s"] = report["request_seconds"]
        self.figures[f"{name}: until all have a leader, s"] = report["led_seconds"]

    # The load generator.

    def command(self, load, **options):
        command = [self.program, "--address", self.broker.bootstrap, load]
        for option, value in options.items():
            command += [f"--{option.replace('_', '-')}", value]
        return list(map(str, command))

    def raw(self, load, **options):
        done = subprocess.run(self.command(load, **options), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=RUN_SECONDS_MAX)
        if done.returncode:
            raise RuntimeError(f"raw {load} {options}: {done.stderr}; the broker: {self.broker.last_words()}")
        return json.loads(done.stdout)

    def without_errors(self, load, **options):
        report = self.raw(load, **options)
        if report.get("errors"):
            raise RuntimeError(f"raw {load} {options}: {report['errors']} errors")
        if report.get("requests") == 0:
            raise RuntimeError(f"raw {load} {options}: no answer within what is measured; give it more --seconds")
        return report

    def memory(self, name):
        before = os.times().system
        mmap.mmap(-1, GIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()
        self.figures[f"{name}: CPU-s per GiB"] = os.times().system - before

    def disk(self, name):
        report = self.raw("disk", directory=self.broker.home, seconds=self.seconds)
        for what in ("p50_ms", "p99_ms", "p999_ms"):
            self.figures[f"{name}: {RAW_FIGURES[what]}"] = report[what]

    def kernel_file(self, name):
        report = self.raw("kernel", directory=self.broker.home, connections=4, bytes=MIB, seconds=self.seconds)
        self.figures[f"{name}: MiB/s"] = report["mib_per_second"]
        self.figures[f"{name}: CPU-s per GiB"] = report["cpu_seconds"] / report["total_bytes"] * GIB

    def kernel_memory(self, name):
        report = self.raw("kernel", connections=50, bytes=4096, rate=500, seconds=self.seconds)
        self.figures[f"{name}: MiB per CPU-s"] = report["total_bytes"] / MIB / report["cpu_seconds"]

    def make(self, topic, partitions, **load):
        """Of the rest of a load only the configuration is the topic's."""
        if topic not in self.made:
            config = {key: load[key] for key in ("config",) if key in load}
            self.until_taken(topic=topic, partitions=partitions, **config)
            self.until_files(topic, partitions)
            self.made.add(topic)

    def until_files(self, topic, partitions):
        """Kafka makes them with the topic, Ottla a second after the first record: no row pays for that."""
        deadline = time.monotonic() + RUN_SECONDS_MAX
        while sum(any(log.glob("*.log")) for log in self.broker.data.glob(f"{topic}-[0-9]*")) < partitions:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{topic} has no files")
            time.sleep(0.1)

    def until_taken(self, partitions, **options):
        """Makes the topic unless it is there, and goes on until each partition takes a record.

        In Kafka that is a moment later, and the first record of a partition costs a sync of its epochs.
        """
        deadline = time.monotonic() + RUN_SECONDS_MAX
        connections = min(partitions, 16)
        each = math.ceil(partitions / connections)
        while self.raw("produce", partitions=partitions, requests=each, connections=connections, **options)["errors"]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{options} does not take records")
            time.sleep(0.01)

    def fill(self, load):
        """Writes a topic as its own row does, unless that has been run."""
        if load["topic"] not in self.filled:
            self.make(**load)
            self.without_errors("produce", **load, seconds=min(self.seconds, 5))
            self.filled.add(load["topic"])

    def produce(self, name, topic, partitions, **options):
        self.make(topic, partitions, **options)

        def load():
            report = self.without_errors(
                "produce", topic=topic, partitions=partitions, seconds=self.seconds, **options)
            figures = {RAW_FIGURES[what]: value for what, value in report.items() if what in RAW_FIGURES}
            return figures, report["total_requests"], report["total_bytes"]
        self.measured(name, load)
        self.filled.add(topic)

    def relaxed(self, name, load):
        """Relaxed and `flush` as A B B A: what comes later finds a disk and a memory that others have used."""
        twin = load | {"topic": f"relaxed-{load['topic']}", "config": "durability=relaxed"}
        for one in load, twin:
            self.fill(one)
        sums = {topic: Counter() for topic in (twin["topic"], load["topic"])}
        for one in twin, load, load, twin:
            before = cpu_seconds(self.broker.process.pid)
            report = self.without_errors("produce", **one, seconds=self.seconds / 2)
            sums[one["topic"]].update(report | {"spent": cpu_seconds(self.broker.process.pid) - before})
        for prefix, sum_of in zip(("", f"{bars.BESIDE}, "), sums.values()):
            self.figures |= {
                f"{name}: {prefix}requests/s": sum_of["requests_per_second"] / 2,
                f"{name}: {prefix}MiB/s": sum_of["mib_per_second"] / 2,
                f"{name}: {prefix}CPU-s per million": sum_of["spent"] / sum_of["total_requests"] * 1e6,
                f"{name}: {prefix}CPU-s per GiB": sum_of["spent"] / sum_of["total_bytes"] * GIB,
            }

    def fetch(self, name, written):
        self.fill(written)

        def load():
            report = self.without_errors("fetch", topic=written["topic"], partitions=written["partitions"],
                                         connections=4, seconds=self.seconds)
            return {"MiB/s": report["mib_per_second"]}, None, report["total_bytes"]
        self.measured(name, load)

    def tail(self, name):
        self.make("tail", 1)
        read = 0

        def load():
            nonlocal read
            report = self.without_errors(
                "tail", topic="tail", readers=50, rate=500, record_bytes=4096, seconds=self.seconds)
            read = report["total_bytes_read"]
            return {RAW_FIGURES[what]: value for what, value in report.items() if what in RAW_FIGURES}, None, None
        spent = self.measured(name, load)
        self.figures[f"{name}: MiB per CPU-s"] = read / MIB / max(spent, 0.01)

    def idle_polls(self, name, connections=4000):
        self.make("idle", 16)
        pid = self.broker.process.pid
        before = memory_mib(pid, "VmRSS")
        polls = subprocess.Popen(self.command("idle", topic="idle", partitions=16, connections=connections),
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            waiting = json.loads(polls.stdout.readline())["waiting"]
            time.sleep(1)
            self.figures[f"{name}: CPU, % of a core"] = self.idle_cpu()
            self.figures[f"{name}: memory each, KiB"] = (memory_mib(pid, "VmRSS") - before) * 1024 / waiting
            polls.stdin.close()
            if polls.wait(RUN_SECONDS_MAX):
                raise RuntimeError(f"{name}: some were answered")
        finally:
            polls.kill()

    def cold_reads(self, name):
        """What producing loses while another client reads what is no longer in memory."""
        size = int(self.options.cold_gib * GIB)
        load = LARGE | {"topic": "cold", "in_flight": 5}
        for topic in ("cold", LARGE["topic"]):
            self.make(topic, LARGE["partitions"])
        each = load["batch_records"] * load["record_bytes"]
        self.without_errors("produce", **load, requests=max(1, size // each // load["connections"]))
        # Before both, since what is freed is memory that needs not be fetched from the host, and speeds up whoever writes.
        drop_page_cache()
        alone = self.without_errors("produce", **LARGE, seconds=self.seconds)["mib_per_second"]
        drop_page_cache()
        reading = subprocess.Popen(
            self.command("fetch", topic="cold", partitions=load["partitions"], connections=4, seconds=10 * self.seconds),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            beside = self.without_errors("produce", **LARGE, seconds=self.seconds)["mib_per_second"]
            if reading.poll() is not None:
                raise RuntimeError(f"{name}: the reader has ended early")
        finally:
            reading.kill()
            reading.wait()
        self.figures[f"{name}: alone, MiB/s"] = alone
        self.figures[f"{name}: beside, MiB/s"] = beside
        self.figures[f"{name}: loss of produce throughput, %"] = max(0, 1 - beside / alone) * 100


def drop_page_cache():
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("1")
    except PermissionError as error:
        raise RuntimeError("cold reads need root, to empty the page cache; leave that row out with --only") from error
