"""Clients that mean harm, or are merely broken: the broker's memory stays bounded, the others are served.

Memory is RSS and peak of the broker's process from /proc. `Others` is a client that writes and reads all the while.
"""

import gzip
import itertools
import os
import resource
import struct
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))

from batches import SOME_TIME, batch, record
from checks import BOOTSTRAP, run, unique
from connection import Closed, Connection
from scenes import fetch, list_offsets, produce
from schema import Schemas

MIB = 1 << 20
# Fewer than Kafka lets wait to be accepted (socket.listen.backlog.size 50): above, the kernel makes them wait a second.
ARRIVE_TOGETHER = 25
IDLE_CONNECTIONS, SLOW_SENDERS = 10_000, 1_000
MAX_TIMESTAMP = -3  # ListOffsets: of the record with the greatest timestamp.
BOMB_BYTES, BOMBS_AT_ONCE = 192 * MIB, 4
FRAME_BYTES_MAX = 104_857_600
# What others may be kept waiting: two cores are busy with the attack itself.
OTHERS_WAIT_SECONDS_MAX = 10
NUMBERS = itertools.count()
PID = os.environ["BROKER_PID"]


def memory(what="VmRSS"):
    with open(f"/proc/{PID}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(what))


class Growth:
    """How far the broker's memory rises above what it was, looked at ten times a second."""

    def __init__(self, bytes_max):
        self.bytes_max, self.peak, self.over = bytes_max, 0, threading.Event()

    def __enter__(self):
        self.before = memory()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()
        return self

    def watch(self):
        while not self.over.wait(0.1):
            self.peak = max(self.peak, memory())

    def __exit__(self, kind, *_):
        self.over.set()
        self.thread.join()
        grown = max(self.peak, memory()) - self.before
        print(f"# memory: {self.before // MIB} MiB, grows by {grown // MIB} MiB", flush=True)
        if kind is None:
            assert grown <= self.bytes_max, f"grows by {grown // MIB} MiB, at most {self.bytes_max // MIB} were right"


class Others:
    """An ordinary client, writing one record at a time and reading it back."""

    def __init__(self, schemas):
        self.schemas, self.topic = schemas, unique(f"others-{next(NUMBERS)}")
        self.count, self.slowest, self.error = 0, 0.0, None
        self.served, self.over = threading.Event(), threading.Event()

    def __enter__(self):
        make_topic(self.schemas, self.topic)
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()
        # What comes now may be over sooner than a thread begins.
        assert self.served.wait(60), f"another client is not served: {self.error}"
        return self

    def work(self):
        try:
            with Connection(BOOTSTRAP, self.schemas, timeout=60) as connection:
                while not self.over.wait(0.02):
                    began = time.monotonic()
                    answer = connection.ask("Produce", 9, produce(self.topic, batch([record(value=b"%d" % self.count)])))
                    place = answer["responses"][0]["partitionResponses"][0]
                    assert (place["errorCode"], place["baseOffset"]) == (0, self.count), place
                    answer = connection.ask("Fetch", 12, fetch(self.topic, self.count))
                    assert b"%d" % self.count in answer["responses"][0]["partitions"][0]["records"]
                    self.count += 1
                    self.slowest = max(self.slowest, time.monotonic() - began)
                    self.served.set()
        except Exception as error:
            self.error = error

    def __exit__(self, kind, *_):
        self.over.set()
        self.thread.join(60)
        print(f"# others: {self.count} records, the slowest took {self.slowest * 1000:.0f} ms", flush=True)
        if kind is None:
            assert self.error is None, f"another client is disturbed: {type(self.error).__name__} {self.error}"
            assert not self.thread.is_alive(), "another client waits for an answer"
            assert self.slowest < OTHERS_WAIT_SECONDS_MAX, f"another client waits {self.slowest:.1f} s"
            with Connection(BOOTSTRAP, self.schemas) as connection:
                assert end_of(connection, self.topic) == self.count, "records of another client are gone"


def make_topic(schemas, name, partitions=1):
    with Connection(BOOTSTRAP, schemas) as connection:
        answer = connection.ask("CreateTopics", 4, {"timeoutMs": 10_000, "topics": [
            {"name": name, "numPartitions": partitions, "replicationFactor": 1}]})
        assert answer["topics"][0]["errorCode"] == 0, answer
        for _ in range(500):
            if end_of(connection, name) == 0:
                return name
            time.sleep(0.01)
    raise AssertionError(f"{name} has no leader")


def end_of(connection, topic):
    part = connection.ask("ListOffsets", 5, list_offsets(topic, -1))["topics"][0]["partitions"][0]
    return part["offset"] if part["errorCode"] == 0 else None


def many_connections(schemas, count):
    open_files_enough()
    connections = []
    while len(connections) < count:
        connections += [Connection(BOOTSTRAP, schemas, timeout=60) for _ in range(ARRIVE_TOGETHER)]
        time.sleep(0.003)
    return connections


def open_files_enough():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    assert min(hard, 65_536) > IDLE_CONNECTIONS + 500, f"only {hard} open files allowed"


def idle_connections(schemas):
    with Growth(400 * MIB), Others(schemas):
        connections = many_connections(schemas, IDLE_CONNECTIONS)
        for connection in connections[::100]:
            assert connection.ask("ApiVersions", 0, {})["errorCode"] == 0
        # Half a request each, and then nothing.
        for connection in connections:
            connection.send(b"\0\0")
        time.sleep(1)
        for connection in connections:
            connection.socket.close()
    with Connection(BOOTSTRAP, schemas) as connection:
        assert connection.ask("ApiVersions", 0, {})["errorCode"] == 0


def slow_senders(schemas):
    """A thousand frames of the largest size allowed, each begun and never ended."""
    sent_each = 128 * 1024
    with Growth(SLOW_SENDERS * sent_each + 256 * MIB), Others(schemas):
        connections = many_connections(schemas, SLOW_SENDERS)
        for connection in connections:
            connection.socket.settimeout(0.2)
            connection.send(struct.pack(">ihh", FRAME_BYTES_MAX, 0, 9))
        for _ in range(sent_each // 16_384):
            for connection in connections:
                try:
                    connection.send(bytes(16_384))
                except (Closed, TimeoutError):
                    pass  # Back-pressure, or shown the door.
        time.sleep(1)
        for connection in connections:
            connection.socket.close()


def never_reads(schemas):
    """Asks for everything again and again, and never takes an answer."""
    topic = make_topic(schemas, unique("never-read"))
    with Connection(BOOTSTRAP, schemas) as connection:
        for _ in range(48):
            connection.ask("Produce", 9, produce(topic, batch([record(value=os.urandom(MIB - 200_000))])))
    with Growth(256 * MIB), Others(schemas):
        connections = [Connection(BOOTSTRAP, schemas, timeout=0.5) for _ in range(8)]
        for connection in connections:
            frame = connection.frame("Fetch", 12, fetch(topic, 0, maxBytes=64 * MIB, partitionMaxBytes=64 * MIB))
            try:
                for _ in range(2_000):
                    connection.send(frame)
            except (Closed, TimeoutError):
                pass
        time.sleep(2)
        for connection in connections:
            connection.socket.close()


def never_reads_produce(schemas):
    """Produces and never takes an answer, until the broker takes no more."""
    topic = make_topic(schemas, unique("never-heard"))
    with Growth(256 * MIB), Others(schemas):
        connection = Connection(BOOTSTRAP, schemas, timeout=0.5)
        frame = connection.frame("Produce", 9, produce(topic, batch()))
        try:
            for _ in range(200_000):
                connection.send(frame)
        except (Closed, TimeoutError):
            pass
        time.sleep(1)
        connection.socket.close()


def bombs(codec, schemas):
    """Much of nothing in small batches, several at once: Kafka takes them, since only the compressed size is limited."""
    import cramjam

    def packed(content):
        return gzip.compress(content, 9) if codec == "gzip" else bytes(cramjam.zstd.compress(content, 19))
    content = record(value=bytes(BOMB_BYTES))
    # The second has more behind its records than it announces.
    batches = [(batch(count=1, codec=codec, payload=packed(content)), 0),
               (batch(count=1, codec=codec, payload=packed(content + bytes(BOMB_BYTES // 4))), 87)]
    assert all(len(sent) < MIB for sent, _ in batches)
    topics = [make_topic(schemas, unique(f"bomb-{codec}-{n}")) for n in range(BOMBS_AT_ONCE)]
    found = []

    def throw(topic):
        try:
            with Connection(BOOTSTRAP, schemas, timeout=100) as connection:
                for sent, wanted in batches:
                    answer = connection.ask("Produce", 9, produce(topic, sent))
                    code = answer["responses"][0]["partitionResponses"][0]["errorCode"]
                    found.append(None if code == wanted else f"error {code}, not {wanted}")
        except Exception as error:
            found.append(f"{type(error).__name__} {error}")
    # Of four at once not even one may be held whole. Kafka grows by 10 MiB.
    with Growth(BOMB_BYTES), Others(schemas):
        throwers = [threading.Thread(target=throw, args=[topic]) for topic in topics]
        for thrower in throwers:
            thrower.start()
        for thrower in throwers:
            thrower.join()
    assert not any(found), found
    with Connection(BOOTSTRAP, schemas) as connection:
        assert [end_of(connection, topic) for topic in topics] == [1] * len(topics)


def large_bomb(schemas):
    """One record of 300 MiB is within Kafka's default of max.decompressed.message.bytes (2147483639)."""
    import cramjam
    payload = bytes(cramjam.zstd.compress(record(value=bytes(300 * MIB)), 19))
    topic = make_topic(schemas, unique("large-bomb"))
    with Others(schemas), Connection(BOOTSTRAP, schemas, timeout=100) as connection:
        answer = connection.ask("Produce", 9, produce(topic, batch(count=1, codec="zstd", payload=payload)))
        part = answer["responses"][0]["partitionResponses"][0]
        assert (part["errorCode"], part["baseOffset"]) == (0, 0), part
        # Who looks into it later holds no more of it.
        with Growth(BOMB_BYTES):
            for time_of_interest in (SOME_TIME, MAX_TIMESTAMP):
                answer = connection.ask("ListOffsets", 7, list_offsets(topic, time_of_interest))
                part = answer["topics"][0]["partitions"][0]
                assert (part["errorCode"], part["offset"], part["timestamp"]) == (0, 0, SOME_TIME), part


def garbage(schemas):
    """Random bytes, and good requests with one byte changed: an answer or a closed connection, never more."""
    import random
    chance = random.Random(20)
    topic = make_topic(schemas, unique("garbage"))
    with Growth(128 * MIB), Others(schemas):
        probe = Connection(BOOTSTRAP, schemas)
        good = [probe.frame("Produce", 9, produce(topic, batch())), probe.frame("Fetch", 12, fetch(topic, 0)),
                probe.frame("Metadata", 12, {"topics": [{"name": topic}]}),
                probe.frame("ListOffsets", 9, list_offsets(topic, -1)),
                probe.frame("OffsetCommit", 9, {"groupId": "g", "generationIdOrMemberEpoch": -1, "topics": []}),
                probe.frame("CreateTopics", 7, {"topics": [{"name": "x", "numPartitions": 0, "replicationFactor": 1}]})]
        for i in range(3_000):
            frame = bytearray(chance.choice(good))
            # Not the length: the broker would only wait for more.
            for _ in range(chance.choice((1, 1, 2, 8))):
                frame[chance.randrange(4, len(frame))] = chance.randrange(256)
            if i % 10 == 0:
                frame = bytearray(struct.pack(">i", 200) + chance.randbytes(200))
            try:
                with Connection(BOOTSTRAP, schemas, timeout=0.05) as connection:
                    connection.send(bytes(frame))
                    connection.receive()
            except (Closed, TimeoutError):
                pass


def comes_and_goes(schemas):
    """Connections that are dropped at every stage, with a reset where the kernel can."""
    import socket
    with Growth(128 * MIB), Others(schemas):
        for i in range(3_000):
            connection = Connection(BOOTSTRAP, schemas)
            frame = connection.frame("Metadata", 12, {"topics": None})
            connection.send(frame[:i % (len(frame) + 1)])
            if i % ARRIVE_TOGETHER == 0:
                time.sleep(0.003)
            if i % 2:
                connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.socket.close()


def main():
    schemas = Schemas(sys.argv[1])
    checks = [
        ("10000 idle connections", idle_connections),
        ("1000 slow senders of 100 MiB frames", slow_senders),
        ("never reads what it fetches", never_reads),
        ("never reads what it is told of its produces", never_reads_produce),
        ("gzip bombs", lambda schemas: bombs("gzip", schemas)),
        ("zstd bombs", lambda schemas: bombs("zstd", schemas)),
        ("zstd bomb of 300 MiB", large_bomb),
        ("garbage", garbage),
        ("comes and goes", comes_and_goes),
    ]
    run([(name, lambda function=function: function(schemas)) for name, function in checks])


main()
