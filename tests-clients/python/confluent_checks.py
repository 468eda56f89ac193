"""confluent-kafka (librdkafka) put through `behaviour.py`."""

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions,
                                   NewTopic, OffsetSpec, ResourceType)

from behaviour import Behaviour, Record
from checks import BOOTSTRAP, run

COMMON = {"bootstrap.servers": BOOTSTRAP, "log_level": 3}
# librdkafka refuses a record above its own limit before the broker can.
REQUEST_BYTES_MAX = 8_000_000
# What librdkafka answers when no record is as young as asked.
NO_OFFSET = -1


class ConfluentKafka:
    def __init__(self):
        self.admin = AdminClient(COMMON)
        self.reader = Consumer(COMMON | {"group.id": "reads-without-group", "enable.auto.commit": False,
                                         "allow.auto.create.topics": False})

    def create_topic(self, name, partitions, **configs):
        self.admin.create_topics([NewTopic(name, partitions, 1, config=configs)])[name].result(30)

    def delete_topic(self, name):
        self.admin.delete_topics([name])[name].result(30)

    def add_partitions(self, name, total):
        self.admin.create_partitions([NewPartitions(name, total)])[name].result(30)

    def partition_count(self, name):
        described = self.reader.list_topics(name, timeout=10).topics[name]
        if described.error:
            raise KafkaException(described.error)
        return len(described.partitions)

    def produce(self, topic, records, acks="all", codec="none", idempotent=False):
        producer = Producer(COMMON | {"acks": acks, "compression.type": codec, "enable.idempotence": idempotent,
                                      "message.max.bytes": REQUEST_BYTES_MAX, "linger.ms": 5})
        places, errors = [], []

        def delivered(error, message):
            if error:
                errors.append(error)
            else:
                places.append((message.partition(), message.offset()))
        for record in records:
            producer.produce(topic, record.value, record.key, record.partition, on_delivery=delivered,
                             timestamp=record.timestamp, headers=record.headers)
        assert producer.flush(60) == 0, "not all delivered within 60 s"
        if errors:
            raise KafkaException(errors[0])
        return places

    def read(self, topic, starts, count):
        self.reader.assign([TopicPartition(topic, p, offset) for p, offset in starts.items()])
        records = []
        while len(records) < count:
            batch = take(self.reader, 10)
            assert batch, f"only {len(records)} of {count} records within 10 s"
            records += batch
        assert not take(self.reader, 0.5), f"more than {count} records"
        self.reader.unassign()
        return records

    def earliest(self, topic, partition):
        return self.offset(topic, partition, OffsetSpec.earliest())

    def latest(self, topic, partition):
        return self.offset(topic, partition, OffsetSpec.latest())

    def offset(self, topic, partition, spec):
        asked = TopicPartition(topic, partition)
        # A short patience: librdkafka sometimes waits for a new topic until the time is up, and is right when asked again.
        return self.admin.list_offsets({asked: spec}, request_timeout=5)[asked].result(30).offset

    def at_time(self, topic, partition, timestamp):
        found = self.reader.offsets_for_times([TopicPartition(topic, partition, timestamp)], timeout=10)[0]
        if found.error:
            raise KafkaException(found.error)
        return None if found.offset == NO_OFFSET else found.offset

    def consumer(self, group, topic):
        return GroupConsumer(group, topic)

    def committed(self, group, topic, partition):
        consumer = Consumer(COMMON | {"group.id": group})
        found = consumer.committed([TopicPartition(topic, partition)], timeout=30)[0]
        consumer.close()
        return found.offset

    def delete_records(self, topic, partition, before):
        asked = TopicPartition(topic, partition, before)
        return self.admin.delete_records([asked])[asked].result(30).low_watermark

    def topic_config(self, topic, key):
        resource = ConfigResource(ResourceType.TOPIC, topic)
        return self.admin.describe_configs([resource])[resource].result(30)[key].value

    def set_topic_config(self, topic, key, value):
        entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        self.admin.incremental_alter_configs([resource])[resource].result(30)

    def groups(self):
        return {group.group_id for group in self.admin.list_consumer_groups().result(30).valid}

    def delete_group(self, name):
        self.admin.delete_consumer_groups([name])[name].result(30)


class GroupConsumer:
    def __init__(self, group, topic):
        self.consumer = Consumer(COMMON | {
            "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
            "session.timeout.ms": 10_000, "heartbeat.interval.ms": 500})
        self.consumer.subscribe([topic])

    def poll(self):
        return take(self.consumer, 0.2)

    def assignment(self):
        return [part.partition for part in self.consumer.assignment()]

    def commit(self):
        for part in self.consumer.commit(asynchronous=False):
            if part.error:
                raise KafkaException(part.error)

    def close(self):
        self.consumer.close()


def take(consumer, seconds_max):
    """What arrives within the time, as `Record`s."""
    records = []
    for message in consumer.consume(500, seconds_max) if seconds_max < 1 else first_of(consumer, seconds_max):
        if message.error():
            if message.error().code() == KafkaError._PARTITION_EOF:
                continue
            raise KafkaException(message.error())
        records.append(Record(message.key(), message.value(), message.headers() or [], message.timestamp()[1],
                              message.partition(), message.offset()))
    return records


def first_of(consumer, seconds_max):
    """Waits long for the first message only."""
    first = consumer.poll(seconds_max)
    return [first, *consumer.consume(500, 0.1)] if first else []


run(Behaviour(ConfluentKafka()).all())
