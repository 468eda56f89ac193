"""What the Python clients of the flights program share: the flights of a producer, and a consumer's journal.

Flights come as lines `id TAB key TAB timestamp TAB value`. A producer says `acked N` on its output as it goes.
A consumer's journal is read by `check.py`; one line an event:

    A TIME PARTITION            assigned
    R PARTITION OFFSET DIGEST   record delivered
    T TIME PARTITION OFFSET     commit tried: nothing below OFFSET is wanted again
    C TIME PARTITION OFFSET     commit acknowledged
"""

import hashlib
import time
from pathlib import Path

COMMIT_EVERY_SECONDS = 1.0
GIVE_UP_MS = 600_000


def digest(key, timestamp, value):
    return hashlib.md5(b"%b\0%d\0%b" % (key, timestamp, value)).hexdigest()[:16]


def flights(path, per_second):
    """Yields (key, timestamp, value), no faster than `per_second` unless that is 0."""
    started, count = time.monotonic(), 0
    with open(path, "rb") as lines:
        for line in lines:
            _, key, timestamp, value = line.rstrip(b"\n").split(b"\t")
            yield key, int(timestamp), value
            count += 1
            if per_second and count % 50 == 0:
                time.sleep(max(0, started + count / per_second - time.monotonic()))


class Acks:
    """Counts acknowledgements and tells the director."""

    def __init__(self):
        self.count = 0
        self.told_at = 0.0

    def add(self):
        self.count += 1
        if self.count % 100 == 0 and time.monotonic() - self.told_at > 0.1:
            self.tell()

    def tell(self):
        self.told_at = time.monotonic()
        print("acked", self.count, flush=True)


class Journal:
    def __init__(self, path):
        self.file = open(path, "w")
        self.next = {}  # Of assigned partitions only: the offset after the last delivered record.
        self.committed_at = time.monotonic()

    def assigned(self, partition):
        self.next.pop(partition, None)
        self.file.write(f"A {now_ms()} {partition}\n")

    def revoked(self):
        self.next.clear()

    def record(self, partition, offset, key, timestamp, value):
        self.file.write(f"R {partition} {offset} {digest(key, timestamp, value)}\n")
        self.next[partition] = offset + 1

    def commit(self, commit):
        """`commit({partition: offset})` may fail; what it tried and what was acknowledged is noted."""
        self.committed_at = time.monotonic()
        offsets = dict(self.next)
        if not offsets:
            return
        self.note("T", offsets)
        try:
            commit(offsets)
        except Exception as error:
            # The broker is down, or the group moves on: those records are delivered once more.
            print("commit failed:", type(error).__name__, error, flush=True)
            return
        self.note("C", offsets)

    def commit_is_due(self):
        return time.monotonic() - self.committed_at > COMMIT_EVERY_SECONDS

    def note(self, event, offsets):
        time_ms = now_ms()
        self.file.writelines(f"{event} {time_ms} {p} {offset}\n" for p, offset in offsets.items())

    def close(self):
        self.file.close()


def now_ms():
    return time.time_ns() // 1_000_000


def asked_to_stop(stop_file):
    return Path(stop_file).exists()
