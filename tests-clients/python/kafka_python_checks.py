"""kafka-python put through `behaviour.py`."""

import logging

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import for_code

from behaviour import Behaviour, Record
from checks import BOOTSTRAP, run

logging.getLogger("kafka").setLevel(logging.CRITICAL)
COMMON = {"bootstrap_servers": BOOTSTRAP}
# The client refuses a record above its own limit before the broker can.
REQUEST_BYTES_MAX = 8_000_000
# Not less: when the time of a poll ends between the answers to JoinGroup and SyncGroup, kafka-python 3.0.12 takes
# itself for joined, sends no heartbeats and never joins again. On a busy machine 200 ms did that once in 138 joins.
POLL_MS = 2_000


class KafkaPython:
    def __init__(self):
        self.admin = KafkaAdminClient(**COMMON)
        self.reader = KafkaConsumer(**COMMON, allow_auto_create_topics=False, enable_auto_commit=False)

    def create_topic(self, name, partitions, **configs):
        self.admin.create_topics([NewTopic(name, partitions, 1, topic_configs=configs)])

    def delete_topic(self, name):
        self.admin.delete_topics([name])

    def add_partitions(self, name, total):
        self.admin.create_partitions({name: NewPartitions(total)})

    def partition_count(self, name):
        described = self.admin.describe_topics([name])[0]
        if described["error_code"]:
            raise for_code(described["error_code"])
        return len(described["partitions"])

    def produce(self, topic, records, acks="all", codec="none", idempotent=False):
        producer = KafkaProducer(**COMMON, acks=acks if acks == "all" else int(acks), linger_ms=5,
                                 compression_type=None if codec == "none" else codec,
                                 enable_idempotence=idempotent, max_request_size=REQUEST_BYTES_MAX)
        try:
            sent = [producer.send(topic, record.value, record.key, headers=record.headers,
                                  partition=record.partition, timestamp_ms=record.timestamp) for record in records]
            producer.flush(60)
            places = [future.get(0) for future in sent]
        finally:
            producer.close(5)
        return [(place.partition, place.offset) for place in places]

    def read(self, topic, starts, count):
        parts = {p: TopicPartition(topic, p) for p in starts}
        self.reader.assign(list(parts.values()))
        for p, offset in starts.items():
            self.reader.seek(parts[p], offset)
        records = []
        while len(records) < count:
            batch = take(self.reader, 10_000)
            assert batch, f"only {len(records)} of {count} records within 10 s"
            records += batch
        assert not take(self.reader, 500), f"more than {count} records"
        self.reader.unsubscribe()
        return records

    def earliest(self, topic, partition):
        part = TopicPartition(topic, partition)
        return self.reader.beginning_offsets([part])[part]

    def latest(self, topic, partition):
        part = TopicPartition(topic, partition)
        return self.reader.end_offsets([part])[part]

    def at_time(self, topic, partition, timestamp):
        part = TopicPartition(topic, partition)
        found = self.reader.offsets_for_times({part: timestamp})[part]
        return found and found.offset

    def consumer(self, group, topic):
        return GroupConsumer(group, topic)

    def committed(self, group, topic, partition):
        part = TopicPartition(topic, partition)
        return self.admin.list_group_offsets({group: [part]})[group][part].offset

    def delete_records(self, topic, partition, before):
        part = TopicPartition(topic, partition)
        return self.admin.delete_records({part: before})[part]["low_watermark"]

    def topic_config(self, topic, key):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        return self.admin.describe_configs([resource], config_filter="all")["topic"][topic][key]["value"]

    def set_topic_config(self, topic, key, value):
        answer = self.admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {key: value})])
        if answer["topic"][topic] != "OK":
            raise RuntimeError(answer)

    def groups(self):
        return {group["group_id"] for group in self.admin.list_groups()}

    def delete_group(self, name):
        answer = self.admin.delete_groups([name])[name]
        if answer != "OK":
            raise RuntimeError(answer)


class GroupConsumer:
    def __init__(self, group, topic):
        self.consumer = KafkaConsumer(topic, **COMMON, group_id=group, auto_offset_reset="earliest",
                                      enable_auto_commit=False, session_timeout_ms=10_000, heartbeat_interval_ms=500)

    def poll(self):
        return take(self.consumer, POLL_MS)

    def assignment(self):
        return [part.partition for part in self.consumer.assignment()]

    def commit(self):
        self.consumer.commit()

    def close(self):
        self.consumer.close()


def take(consumer, timeout_ms):
    """What arrives within the time, as `Record`s."""
    return [Record(r.key, r.value, r.headers or [], r.timestamp, r.partition, r.offset)
            for batch in consumer.poll(timeout_ms).values() for r in batch]


run(Behaviour(KafkaPython()).all())
