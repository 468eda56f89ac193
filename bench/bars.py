"""What Ottla must reach beside Apache Kafka, figure by figure. Knows nothing of how a figure is measured.

A bar is met by the ratio to Kafka's figure, by Ottla's own figure, or by the ratio to another figure of Ottla's.
"""

import dataclasses

PRODUCER, CONSUMER = "ProducerPerformance, 1 KiB", "ConsumerPerformance"
MANY = "9,990 partitions"
PACED = "ProducerPerformance at 10,000 records/s, linger 0"
END_TO_END = "EndToEndLatency"
SMALL_16, SMALL_64 = (f"raw, one 100-byte record a request, {count} connections" for count in (16, 64))
RAW_PACED = "raw at 2,000 requests/s"
RAW_64K = "raw, 64 KiB batches"
RAW_MANY = f"raw, one 1 KiB record a request, {MANY}"
FETCH_64K, FETCH_SMALL = "raw catch-up fetch of 64 KiB batches", "raw catch-up fetch of 170-byte batches"
TAIL = "1 writer, 50 tailing readers"
IDLE = "4,000 idle long polls"
CREATE = f"creating {MANY}"
RELAXED = "relaxed: "  # Before the name of a raw row;
BESIDE = "flush beside it"  # behind it, of what it is compared with.
# Both go through the lane, so what is asked for is that one is not worse than the other; two equal runs differ by this.
NOISE = 0.05
ONE_IN_FLIGHT, MUCH_IN_FLIGHT = "1 in flight on 16 connections", "256 in flight on 16 connections"
START, RESTART = "start", f"restart after SIGKILL, {MANY}"
SIZE = "the process"
COLD = "cold reads while producing"
# Under RAW_64K: what a machine takes back while it is idle costs it, and whoever writes new files pays.
MEMORY = "the memory alone, untouched for a while"
# What no broker goes below: one that syncs, and one that sends what it has over this machine's sockets.
DISK = "the disk alone: 4 KiB and its sync at 2,000/s"
KERNEL_FILE = "the kernel alone: 1 MiB from a file to each of 4 sockets"
KERNEL_MEMORY = "the kernel alone: 4 KiB to each of 50 sockets, 500 times a second"


@dataclasses.dataclass(frozen=True)
class Bar:
    bound: float
    is_least: bool
    # None: Ottla's figure itself. Otherwise the ratio to Kafka's figure of the same name, or to this figure of Ottla's.
    beside: str | None = "kafka"
    words: str = ""

    def __str__(self):
        return f"{'>=' if self.is_least else '<='} {self.bound:g}{'x' if self.beside else ''}{self.words}"

    def is_met(self, figure, kafka, ottla):
        """None where there is nothing to compare with."""
        value = ottla.get(figure)
        if self.beside is not None:
            other = (kafka.get(figure) if self.beside == "kafka" else ottla.get(self.beside))
            value = value / other if value is not None and other else None
        return None if value is None else value >= self.bound if self.is_least else value <= self.bound


def least(bound, *beside):
    return Bar(bound, True, *beside)


def most(bound, *beside):
    return Bar(bound, False, *beside)


BARS = {
    f"{PRODUCER}, 1 partition: records/s": least(1.2),
    f"{PRODUCER}, 1 partition: CPU-s per GiB": most(0.3),
    f"{PRODUCER}, 100 partitions: records/s": least(1.2),
    f"{PRODUCER}, 100 partitions: CPU-s per GiB": most(0.3),
    f"{PRODUCER}, {MANY}: records/s": least(10),
    f"{PRODUCER}, {MANY}: CPU-s per GiB": most(0.1),
    f"{CONSUMER}, 1 partition: CPU-s per GiB": most(0.5),
    f"{CONSUMER}, 100 partitions: CPU-s per GiB": most(0.5),
    f"{PACED}: p99, ms": most(0.25),
    f"{END_TO_END}: p50, ms": most(1),
    f"{END_TO_END}: p99, ms": most(0.5),
    f"{END_TO_END}: p99.9, ms": most(0.5),
    f"{SMALL_16}: requests/s": least(2),
    f"{SMALL_16}: CPU-s per million": most(0.2),
    f"{SMALL_64}: requests/s": least(3),
    f"{SMALL_64}: CPU-s per million": most(0.2),
    f"{RAW_PACED}: p99, ms": most(0.5),
    f"{RAW_64K}: MiB/s": least(1.5),
    f"{RAW_64K}: CPU-s per GiB": most(0.35),
    f"{RAW_MANY}: requests/s": least(10),
    f"{RAW_MANY}: p99, ms": most(0.05),
    f"{RAW_MANY}: CPU-s per million": most(0.05),
    f"{FETCH_64K}: MiB/s": least(1.2),
    f"{FETCH_64K}: CPU-s per GiB": most(0.5),
    f"{FETCH_SMALL}: MiB/s": least(1.2),
    f"{TAIL}: MiB per CPU-s": least(4),
    f"{TAIL}: p99, ms": most(0.1),
    f"{IDLE}: CPU, % of a core": most(0.3, None),
    f"{IDLE}: memory each, KiB": most(20, None),
    f"{CREATE}: the tool with its start, s": most(0.6),
    f"{CREATE}: the request itself, s": most(0.3, None),
    f"{ONE_IN_FLIGHT}, {MANY}: requests/s": least(0.9, f"{ONE_IN_FLIGHT}, 100 partitions: requests/s", " of 100's"),
    f"{MUCH_IN_FLIGHT}, {MANY}: requests/s": least(0.85, f"{MUCH_IN_FLIGHT}, 100 partitions: requests/s", " of 100's"),
    f"{START}: to acknowledged produce, s": most(0.15, None),
    f"{RESTART}: to acknowledged produce, s": most(2, None),
    f"{SIZE}: RSS idle, MiB": most(30, None),
    f"{SIZE}: RSS after all, MiB": most(0.25),
    f"{SIZE}: RSS at its peak, MiB": most(1),
    f"{SIZE}: idle CPU, % of a core": most(0.2),
    f"{SIZE}: binary, MB": most(40, None),
    f"{COLD}: loss of produce throughput, %": most(0.5),
} | {
    f"{RELAXED}{row}: {bar}": found
    for row in (SMALL_16, SMALL_64, RAW_64K, RAW_MANY)
    for rate, cost in [("MiB/s", "CPU-s per GiB") if row == RAW_64K else ("requests/s", "CPU-s per million")]
    for bar, found in ((rate, least(1 - NOISE, f"{RELAXED}{row}: {BESIDE}, {rate}", " of flush")),
                       (cost, most(1 + NOISE, f"{RELAXED}{row}: {BESIDE}, {cost}", " of flush")))
}

# The figure that says how near to a bar the machine itself lets anyone come.
FLOORS = {
    f"{PACED}: p99, ms": f"{DISK}: p99, ms",
    f"{END_TO_END}: p99, ms": f"{DISK}: p99, ms",
    f"{END_TO_END}: p99.9, ms": f"{DISK}: p99.9, ms",
    f"{RAW_PACED}: p99, ms": f"{DISK}: p99, ms",
    f"{FETCH_64K}: CPU-s per GiB": f"{KERNEL_FILE}: CPU-s per GiB",
    f"{TAIL}: MiB per CPU-s": f"{KERNEL_MEMORY}: MiB per CPU-s",
}
