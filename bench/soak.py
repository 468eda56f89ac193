#!/usr/bin/env python3
"""Hundreds of millions of records through one broker with retention and compaction on: what may not grow does not.

    bench/soak.py [--records 300e6] [--rounds 12] [--json FILE]

Each round writes a share of the records to topics with short retention, beside a compacted topic with as many keys
again and again, in `flush` and `relaxed`; then a paced load measures the latency. Judged at the end: memory and latency
of the last rounds against those of the first ones after the warm-up, the size of the data directory, no refused request,
and that the compacted topic still has every key once it has been read from its start.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from programs import RELEASE, ROOT, build

sys.path.insert(0, str(ROOT / "tests-clients"))
from harness.broker import Ottla  # noqa: E402
from observed import cpu_seconds, memory_mib  # noqa: E402

BATCH_RECORDS, RECORD_BYTES = 200, 100
KEYS = 100_000
LOAD = ["--batch-records", str(BATCH_RECORDS), "--record-bytes", str(RECORD_BYTES)]
RETAINED = ["--partitions", "16", "--config", "retention.bytes=16777216", "--config", "segment.bytes=8388608"]
COMPACTED = ["--partitions", "4", "--keys", str(KEYS), "--config", "cleanup.policy=compact",
             "--config", "segment.bytes=8388608", "--config", "min.cleanable.dirty.ratio=0.2"]
# Topic, its settings, its share of a round's records.
LOADS = [
    ("retained", RETAINED, 0.5),
    ("retained-relaxed", [*RETAINED, "--config", "durability=relaxed"], 0.3),
    ("compacted", COMPACTED, 0.2),
]
CONNECTIONS = 8
PROPERTIES = {"log.retention.check.interval.ms": "5000", "log.cleaner.backoff.ms": "1000", "log.cleanup.policy": "delete"}
SECONDS_MAX = 1800
# The rounds that fill tables, caches and the lane.
WARM_UP = 2
# The last third against the first third after the warm-up; a noisy machine moves latencies more than memory.
MEMORY_GROWTH_MAX, LATENCY_GROWTH_MAX = 1.25, 2.0
DATA_MIB_MAX = 4096


class Soak:
    def __init__(self, broker, program, records, rounds):
        self.broker, self.program = broker, program
        self.requests = int(records / rounds / BATCH_RECORDS)
        self.written = self.errors = 0

    def load(self, *arguments):
        done = subprocess.run([self.program, "--address", self.broker.bootstrap, *arguments], check=True,
                              capture_output=True, text=True, timeout=SECONDS_MAX)
        return json.loads(done.stdout)

    def round(self):
        began, spent = time.monotonic(), cpu_seconds(self.broker.process.pid)
        written = 0
        for topic, settings, share in LOADS:
            each = max(1, int(self.requests * share / CONNECTIONS))
            report = self.load("produce", "--topic", topic, *settings, *LOAD, "--connections", str(CONNECTIONS),
                               "--requests", str(each))
            written += report["total_requests"] * BATCH_RECORDS
            self.errors += report["errors"]
        seconds = time.monotonic() - began
        paced = self.load("produce", "--topic", "paced", "--partitions", "4", "--rate", "1000", "--connections", "4",
                          "--seconds", "4", "--config", "retention.bytes=1048576", "--config", "segment.bytes=1048576")
        self.errors += paced["errors"]
        self.written += written
        return {
            "records": written,
            "records_per_second": written / seconds,
            "cpu_seconds_per_million_records": (cpu_seconds(self.broker.process.pid) - spent) / written * 1e6,
            "p50_ms": paced["p50_ms"],
            "p99_ms": paced["p99_ms"],
            "rss_mib": memory_mib(self.broker.process.pid, "VmRSS"),
            "data_mib": data_mib(self.broker.data),
        }


def data_mib(directory):
    """What is allocated, of files that may be removed meanwhile."""
    blocks = 0
    for path in Path(directory).rglob("*"):
        try:
            blocks += path.stat().st_blocks
        except FileNotFoundError:
            continue
    return blocks * 512 / (1 << 20)


def keys_of(binary, broker):
    """How many different keys the compacted topic has, read from its start by Ottla's own consumer."""
    command = [binary, "consume", "compacted", "--offset", "start", "--exit", "--format", "%k;",
               "--bootstrap-server", broker.bootstrap]
    consumer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, error = consumer.communicate(timeout=SECONDS_MAX)
    if consumer.returncode:
        raise RuntimeError(f"consume: {error.decode(errors='replace')[-600:]}")
    # Keys are four bytes, whatever they are; each has its separator behind it.
    return {out[at:at + 4] for at in range(0, len(out), 5)}


def judged(rounds, soak, keys):
    """What is wrong, in words."""
    wrong = []
    settled = rounds[WARM_UP:]
    third = max(1, len(settled) // 3)
    first, last = settled[:third], settled[-third:]
    for figure, growth_max in (("rss_mib", MEMORY_GROWTH_MAX), ("p99_ms", LATENCY_GROWTH_MAX)):
        before, after = (statistics.median(one[figure] for one in some) for some in (first, last))
        print(f"{figure}: {before:.1f} at the start, {after:.1f} at the end")
        if after > before * growth_max:
            wrong.append(f"{figure} grew from {before:.1f} to {after:.1f}")
    if rounds[-1]["data_mib"] > DATA_MIB_MAX:
        wrong.append(f"the data directory has {rounds[-1]['data_mib']:.0f} MiB")
    if soak.errors:
        wrong.append(f"{soak.errors} requests were refused")
    if len(keys) != KEYS:
        wrong.append(f"the compacted topic has {len(keys)} keys of {KEYS}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=float, default=300e6)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.rounds < WARM_UP + 3:
        parser.error(f"at least {WARM_UP + 3} rounds: the first {WARM_UP} are the warm-up")
    build("ottla", "bench")
    home = Path(tempfile.mkdtemp(prefix="soak-", dir=RELEASE))
    binary = RELEASE / "ottla"
    broker = Ottla(binary, home / "broker", PROPERTIES)
    try:
        broker.start()
        soak, rounds = Soak(broker, RELEASE / "bench", options.records, options.rounds), []
        for number in range(options.rounds):
            rounds.append(soak.round())
            print(f"round {number + 1}: " + ", ".join(f"{what} {value:,.1f}" for what, value in rounds[-1].items()),
                  flush=True)
        wrong = judged(rounds, soak, keys_of(binary, broker))
        broker.kill_and_restart()
        if len(keys := keys_of(binary, broker)) != KEYS:
            wrong.append(f"after a SIGKILL the compacted topic has {len(keys)} keys of {KEYS}")
    finally:
        broker.stop()
        shutil.rmtree(home, ignore_errors=True)
    if options.json:
        options.json.write_text(json.dumps({"rounds": rounds, "wrong": wrong}, indent=2))
    print(f"{soak.written:,} records; " + ("; ".join(wrong) if wrong else "flat"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
