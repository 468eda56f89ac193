"""Judges what the clients did: the log against the flights, and each journal against the log.

Keeps one 64-bit digest a record, so that three million flights take some fifty megabytes.
"""

from array import array
from dataclasses import dataclass, field

from client import digest

PARTITIONER_MASK = 0x7FFFFFFF


@dataclass
class Log:
    """What a topic holds: per partition the digest of each record, in order of offsets from 0."""

    digests: list
    from_time: list = field(default_factory=list)  # Per partition: the first offset at or after the time asked for.
    ids: list = field(default_factory=list)        # Per partition: the flight of each record.

    def records(self):
        return sum(map(len, self.digests))


def read_log(bootstrap, topic, time_ms):
    """Reads the topic from end to end with a client of its own, outside of any group."""
    from confluent_kafka import Consumer, KafkaException, TopicPartition
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reads-the-log", "enable.auto.commit": False})
    partitions = range(len(consumer.list_topics(topic, timeout=30).topics[topic].partitions))
    log = Log([array("Q") for _ in partitions], [None for _ in partitions], [array("I") for _ in partitions])
    keys_at = {}
    ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30)[1] for p in partitions}
    consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
    left = sum(ends.values())
    while left:
        messages = consumer.consume(min(left, 5000), 30)  # Waits for that many.
        assert messages, f"the log ends {left} records early"
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
            p, timestamp = message.partition(), message.timestamp()[1]
            assert message.offset() == len(log.digests[p]), f"{topic}-{p}: a hole before offset {message.offset()}"
            if log.from_time[p] is None and timestamp >= time_ms:
                log.from_time[p] = message.offset()
            log.digests[p].append(int(digest(message.key(), timestamp, message.value()), 16))
            log.ids[p].append(int(message.value()[6:message.value().index(b",")]))
            keys_at.setdefault(message.key(), set()).add(p)
        left -= len(messages)
    consumer.close()
    log.from_time = [end if offset is None else offset for offset, end in zip(log.from_time, ends.values())]
    return log, keys_at


def once_each(log, expected, ids_of_topic):
    """`expected[id]` is the digest of a flight, `ids_of_topic` are the flights of this topic."""
    seen = bytearray(len(expected))
    for ids, digests in zip(log.ids, log.digests):
        for flight, found in zip(ids, digests):
            assert not seen[flight], f"flight {flight} is twice in the log"
            assert found == expected[flight], f"flight {flight} is not what was produced"
            seen[flight] = 1
    missing = sum(not seen[flight] for flight in ids_of_topic)
    assert missing == 0, f"{missing} flights are missing from the log"
    assert log.records() == len(ids_of_topic)


def in_order_per_key(log, key_of):
    """Flights are numbered in the order in which they were produced."""
    for p, ids in enumerate(log.ids):
        last = {}
        for flight in ids:
            key = key_of[flight]
            assert last.get(key, -1) < flight, f"partition {p}: flight {flight} of {key} is behind {last[key]}"
            last[key] = flight


def partitioned_by_murmur2(keys_at, partitions):
    for key, found in keys_at.items():
        wanted = (murmur2(key) & PARTITIONER_MASK) % partitions
        assert found == {wanted}, f"key {key} is in {found}, not in {wanted}"


def murmur2(data):
    """Kafka's variant (org.apache.kafka.common.utils.Utils)."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i:i + 4], "little") * m & mask
        k = (k ^ (k >> 24)) * m & mask
        h = (h * m & mask) ^ k
    if tail := data[whole:]:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return h ^ (h >> 15)


def group_saw_everything(journals, log):
    """Every record was delivered to the group; again only from a committed offset on. Returns the repeats.

    A member that is assigned a partition must start at an offset that someone has tried to commit
    (the answer may have been lost in a kill), not below one that was acknowledged before.
    """
    tried = [{0} for _ in log.digests]
    acknowledged = [[] for _ in log.digests]
    for event, time, p, offset in commits(journals):
        if event == "T":
            tried[p].add(offset)
        else:
            acknowledged[p].append((time, offset))
    delivered = [bytearray(len(digests)) for digests in log.digests]
    repeats = 0
    for journal in journals:
        assigned_at, next_offset = {}, {}
        for line in open(journal):
            parts = line.split()
            if parts[0] == "A":
                assigned_at[int(parts[2])] = int(parts[1])
                next_offset.pop(int(parts[2]), None)
            elif parts[0] == "R":
                p, offset = int(parts[1]), int(parts[2])
                assert log.digests[p][offset] == int(parts[3], 16), f"{journal}: other bytes at {p}:{offset}"
                if p not in next_offset:
                    floor = max((o for time, o in acknowledged[p] if time < assigned_at[p]), default=0)
                    assert offset in tried[p], f"{journal}: partition {p} starts at {offset}, which was never committed"
                    assert offset >= floor, f"{journal}: partition {p} starts at {offset}, committed was {floor}"
                else:
                    assert offset == next_offset[p], f"{journal}: {offset} follows {next_offset[p] - 1} in {p}"
                next_offset[p] = offset + 1
                repeats += delivered[p][offset]
                delivered[p][offset] = 1
    missing = sum(len(seen) - sum(seen) for seen in delivered)
    assert missing == 0, f"{missing} records were never delivered"
    return repeats


def commits(journals):
    for journal in journals:
        for line in open(journal):
            if line[0] in "TC":
                event, time, p, offset = line.split()
                yield event, int(time), int(p), int(offset)


def read_agrees(journal, log, starts):
    """One reader, from `starts` to the end: exactly the log's records, in order."""
    at = list(starts)
    for line in open(journal):
        if line[0] == "R":
            _, p, offset, found = line.split()
            p, offset = int(p), int(offset)
            assert offset == at[p], f"{journal}: partition {p} has {offset} where {at[p]} is next"
            assert log.digests[p][offset] == int(found, 16), f"{journal}: other bytes at {p}:{offset}"
            at[p] += 1
    assert at == [len(digests) for digests in log.digests], f"{journal}: ends at {at}"
