"""What a Kafka client may rely on, written once for every Python client.

A client is an adapter with these methods (records are `Record`s, offsets are per partition):
  create_topic(name, partitions, **configs)   delete_topic(name)      partition_count(name)
  add_partitions(name, total)
  produce(topic, records, acks, codec, idempotent) -> [(partition, offset)]
  read(topic, starts, count) -> [Record]      earliest(topic, p) latest(topic, p) at_time(topic, p, ms)
  consumer(group, topic) -> poll() -> [Record], assignment() -> [partition], commit(), close()
  committed(group, topic, p)                  delete_records(topic, p, before) -> low watermark
  topic_config(topic, key)  set_topic_config(topic, key, value)  groups()  delete_group(name)
"""

import os
import threading
from dataclasses import dataclass, field

from checks import eventually, expect_error, kill_and_restart_broker, unique

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
PARTITIONS = 3
KIB = 1024


@dataclass
class Record:
    key: bytes | None
    value: bytes | None
    headers: list = field(default_factory=list)
    timestamp: int = 0
    partition: int = 0
    offset: int = -1

    def content(self):
        return (self.key, self.value, [tuple(h) for h in self.headers], self.timestamp, self.partition)


def varied(count, start_time=1_700_000_000_000):
    """Records that differ in everything a record has: nulls, empties, repeated headers, odd bytes."""
    return [Record(
        key=None if i % 7 == 3 else b"" if i % 7 == 5 else f"key-{i}".encode(),
        value=None if i % 11 == 4 and i % 7 != 3 else b"" if i % 11 == 6 else (f"value-{i}-".encode() * (i % 40 + 1)) + bytes(range(256)),
        headers=[] if i % 3 == 0 else [("trace", str(i).encode()), ("trace", b"\x00\xff"), ("empty", b"")],
        timestamp=start_time + 10 * i,
        partition=i % PARTITIONS,
    ) for i in range(count)]


def by_partition(records):
    return {p: [r.content() for r in records if r.partition == p] for p in range(PARTITIONS)}


class Member:
    """One member of a group, polling on a thread of its own as an application would."""

    def __init__(self, consumer):
        self.consumer = consumer
        self.received = []
        self.assigned = set()
        self.error = None
        self.commit_asked, self.committed = threading.Event(), threading.Event()
        self.leaving = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.leaving.is_set():
                self.received.extend(self.consumer.poll())
                # Asked here and not by others: librdkafka's consumer must not be called from two threads.
                self.assigned = set(self.consumer.assignment())
                if self.commit_asked.is_set():
                    self.consumer.commit()
                    self.commit_asked.clear()
                    self.committed.set()
        except Exception as error:
            self.error = error
        self.consumer.close()

    def assignment(self):
        if self.error:
            raise self.error
        return self.assigned

    def commit(self):
        self.committed.clear()
        self.commit_asked.set()
        assert self.committed.wait(30), f"no commit within 30 s: {self.error}"

    def leave(self):
        self.leaving.set()
        self.thread.join(30)
        assert not self.thread.is_alive(), "a member does not leave within 30 s"


class Behaviour:
    def __init__(self, client):
        self.client = client

    def all(self):
        return [
            *[(f"acks={acks}", lambda acks=acks: self.round_trip(f"acks-{acks}", acks=acks)) for acks in ("0", "1", "all")],
            *[(f"codec {codec}", lambda codec=codec: self.round_trip(f"codec-{codec}", codec=codec)) for codec in CODECS],
            ("idempotent producer keeps order", self.idempotent),
            ("value of 900 KiB and value of nothing", self.large_and_empty),
            ("message too large is refused", self.too_large),
            ("unknown topic is an error", self.unknown_topic),
            ("consume from the beginning and from the end", self.beginning_and_end),
            ("seek by time", self.seek_by_time),
            ("group rebalances as members join and leave", self.rebalance),
            ("committed offsets and records survive SIGKILL", self.committed_survive),
            ("admin: topics, partitions, configs", self.admin_topics),
            ("admin: delete records", self.admin_delete_records),
            ("admin: list and delete groups", self.admin_groups),
        ]

    def topic(self, name, **configs):
        name = unique(name)
        self.client.create_topic(name, PARTITIONS, **configs)
        # With acks=0 nothing tells that a partition was not led yet.
        eventually(lambda: self.is_led(name), "the new topic has leaders")
        return name

    def is_led(self, topic):
        try:
            return [self.client.latest(topic, p) for p in range(PARTITIONS)] == [0] * PARTITIONS
        except Exception:
            return False

    def read_all(self, topic, count):
        return self.client.read(topic, {p: 0 for p in range(PARTITIONS)}, count)

    def round_trip(self, name, acks="all", codec="none"):
        topic, records = self.topic(name), varied(300)
        self.client.produce(topic, records, acks=acks, codec=codec)
        read = self.read_all(topic, len(records))
        assert by_partition(read) == by_partition(records), "what was read is not what was produced"
        for p in range(PARTITIONS):
            assert [r.offset for r in read if r.partition == p] == list(range(100)), "offsets are not 0..100"

    def idempotent(self):
        topic, records = self.topic("idempotent"), varied(3000)
        places = self.client.produce(topic, records, idempotent=True)
        assert sorted(places) == sorted((p, o) for p in range(PARTITIONS) for o in range(1000))
        assert by_partition(self.read_all(topic, len(records))) == by_partition(records)

    def large_and_empty(self):
        topic = self.topic("large")
        records = [Record(b"large", os.urandom(900 * KIB), [], 1_700_000_000_000),
                   Record(b"", b"", [], 1_700_000_000_001)]
        self.client.produce(topic, records)
        assert by_partition(self.read_all(topic, 2)) == by_partition(records)

    def too_large(self):
        topic = self.topic("too-large")
        large = [Record(b"k", os.urandom(2000 * KIB), [], 1_700_000_000_000)]
        expect_error(lambda: self.client.produce(topic, large), "MSG_SIZE_TOO_LARGE", "MessageSizeTooLarge", "RecordTooLarge")
        assert self.client.latest(topic, 0) == 0, "a refused record has an offset"
        # The partition goes on as if nothing had happened.
        assert self.client.produce(topic, varied(1)) == [(0, 0)]

    def unknown_topic(self):
        expect_error(lambda: self.client.partition_count(unique("never-created")),
                     "UNKNOWN_TOPIC_OR_PART", "UnknownTopicOrPartition")

    def beginning_and_end(self):
        topic, before, after = self.topic("ends"), varied(30), varied(60, 1_700_000_100_000)
        self.client.produce(topic, before)
        ends = {p: self.client.latest(topic, p) for p in range(PARTITIONS)}
        assert ends == {0: 10, 1: 10, 2: 10}
        assert all(self.client.earliest(topic, p) == 0 for p in range(PARTITIONS))
        self.client.produce(topic, after)
        assert by_partition(self.client.read(topic, ends, len(after))) == by_partition(after)
        assert by_partition(self.read_all(topic, 90)) == by_partition(before + after)

    def seek_by_time(self):
        topic, records = self.topic("time"), varied(300)
        self.client.produce(topic, records)
        for p in range(PARTITIONS):
            mine = [r for r in records if r.partition == p]
            assert self.client.at_time(topic, p, mine[40].timestamp) == 40
            assert self.client.at_time(topic, p, mine[40].timestamp + 1) == 41
            assert self.client.at_time(topic, p, 0) == 0
            assert self.client.at_time(topic, p, mine[-1].timestamp + 1) is None, "a time after the last record"
        starts = {p: self.client.at_time(topic, p, records[150].timestamp) for p in range(PARTITIONS)}
        assert by_partition(self.client.read(topic, starts, 150)) == by_partition(records[150:])

    def member(self, group, topic):
        return Member(self.client.consumer(group, topic))

    def rebalance(self):
        topic, group = self.topic("rebalance"), unique("rebalance")
        members = [self.member(group, topic)]

        def settled():
            shares = [member.assignment() for member in members]
            return all(shares) and sorted(p for share in shares for p in share) == list(range(PARTITIONS))

        def received():
            return [record for member in members for record in member.received]
        try:
            eventually(settled, "the first member has all partitions")
            members.append(self.member(group, topic))
            eventually(settled, "two members share")
            members.append(self.member(group, topic))
            eventually(settled, "three members share")
            records = varied(300)
            self.client.produce(topic, records)
            eventually(lambda: len(received()) >= 300, "the group reads all")
            assert by_partition(received()) == by_partition(records), "the group saw each record once, in order"
            members[0].commit()
            members.pop(0).leave()
            eventually(settled, "those who stay take over")
        finally:
            for member in members:
                member.leave()

    def consume_as_group(self, group, topic, count):
        """A member that has read `count` records."""
        member = self.member(group, topic)
        eventually(lambda: len(member.received) >= count or member.error, f"{count} records read")
        assert not member.error, member.error
        return member

    def committed_survive(self):
        topic, group, records = self.topic("survive"), unique("survive"), varied(300)
        self.client.produce(topic, records, codec="lz4", idempotent=True)
        member = self.consume_as_group(group, topic, 300)
        member.commit()
        member.leave()
        more = varied(30, 1_700_000_200_000)
        self.client.produce(topic, more)
        kill_and_restart_broker()
        eventually(lambda: not self.is_unknown(topic), "the client is connected again")
        assert by_partition(self.read_all(topic, 330)) == by_partition(records + more)
        member = self.consume_as_group(group, topic, 30)
        member.leave()
        assert by_partition(member.received) == by_partition(more), "the group goes on where it had committed"
        assert [self.client.committed(group, topic, p) for p in range(PARTITIONS)] == [100, 100, 100]

    def admin_topics(self):
        topic = self.topic("admin", **{"retention.ms": "3600000"})
        assert self.client.partition_count(topic) == PARTITIONS
        assert self.client.topic_config(topic, "retention.ms") == "3600000"
        self.client.set_topic_config(topic, "retention.ms", "7200000")
        eventually(lambda: self.client.topic_config(topic, "retention.ms") == "7200000", "the config is changed")
        expect_error(lambda: self.client.set_topic_config(topic, "retention.ms", "soon"), "INVALID_CONFIG", "InvalidConfig")
        expect_error(lambda: self.client.create_topic(topic, 1), "TOPIC_ALREADY_EXISTS", "TopicAlreadyExists")
        expect_error(lambda: self.client.create_topic("not/a/name", 1), "TOPIC_EXCEPTION", "InvalidTopic")
        self.client.add_partitions(topic, 5)
        eventually(lambda: self.client.partition_count(topic) == 5, "two partitions more")
        self.client.delete_topic(topic)
        eventually(lambda: self.is_unknown(topic), "the topic is gone")

    def is_unknown(self, topic):
        try:
            self.client.partition_count(topic)
        except Exception:
            return True
        return False

    def admin_delete_records(self):
        topic, records = self.topic("delete-records"), varied(300)
        self.client.produce(topic, records)
        assert self.client.delete_records(topic, 1, 60) == 60
        assert (self.client.earliest(topic, 1), self.client.latest(topic, 1)) == (60, 100)
        kept = [r for r in records if r.partition != 1] + [r for r in records if r.partition == 1][60:]
        read = self.client.read(topic, {0: 0, 1: 60, 2: 0}, 240)
        assert by_partition(read) == by_partition(kept)
        expect_error(lambda: self.client.delete_records(topic, 1, 101), "OFFSET_OUT_OF_RANGE", "OffsetOutOfRange")

    def admin_groups(self):
        topic, group = self.topic("groups"), unique("groups")
        self.client.produce(topic, varied(3))
        member = self.consume_as_group(group, topic, 3)
        member.commit()
        assert group in self.client.groups()
        expect_error(lambda: self.client.delete_group(group), "NON_EMPTY_GROUP", "NonEmptyGroup")
        member.leave()
        eventually(lambda: self.deleted(group), "an empty group can be deleted")
        assert group not in self.client.groups()

    def deleted(self, group):
        try:
            self.client.delete_group(group)
        except Exception as error:
            assert "NON_EMPTY" in str(error) or "NonEmpty" in f"{type(error).__name__}{error}", error
            return False
        return True
