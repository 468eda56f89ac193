"""The flights by confluent-kafka: `produce`, `consume` in a group, `read` from committed offsets to the end."""

import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from client import GIVE_UP_MS, Acks, Journal, asked_to_stop, flights

QUEUE_FULL_WAIT_SECONDS = 0.1
READ_IDLE_SECONDS_MAX = 60


def produce(bootstrap, topic, path, per_second):
    producer = Producer({
        "bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "compression.type": "lz4",
        "partitioner": "murmur2_random", "linger.ms": 20, "message.timeout.ms": GIVE_UP_MS, "log_level": 3})
    acks, failures = Acks(), []

    def delivered(error, _message):
        if error:
            failures.append(error)
        else:
            acks.add()
    for key, timestamp, value in flights(path, int(per_second)):
        while True:
            try:
                producer.produce(topic, value, key, timestamp=timestamp, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(QUEUE_FULL_WAIT_SECONDS)
        producer.poll(0)
    left = producer.flush(GIVE_UP_MS / 1000)
    acks.tell()
    if failures or left:
        sys.exit(f"{left} records not acknowledged, errors: {failures[:3]}")


def consume(bootstrap, topic, group, journal_path, stop_file):
    journal = Journal(journal_path)
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": group, "partition.assignment.strategy": "roundrobin",
        "auto.offset.reset": "earliest", "enable.auto.commit": False, "session.timeout.ms": 15_000,
        "log_level": 3})

    def commit(offsets):
        wanted = [TopicPartition(topic, p, offset) for p, offset in offsets.items()]
        for part in consumer.commit(offsets=wanted, asynchronous=False):
            if part.error:
                raise KafkaException(part.error)

    def on_assign(_consumer, parts):
        for part in parts:
            journal.assigned(part.partition)

    def on_revoke(_consumer, _parts):
        journal.commit(commit)
        journal.revoked()

    def on_lost(_consumer, _parts):
        journal.revoked()
    consumer.subscribe([topic], on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost)
    while not asked_to_stop(stop_file):
        for message in consumer.consume(500, 0.2):
            if message.error():
                print("told of", message.error(), flush=True)
                continue
            journal.record(message.partition(), message.offset(), message.key(), message.timestamp()[1],
                           message.value())
        if journal.commit_is_due():
            journal.commit(commit)
    consumer.close()
    journal.close()


def read(bootstrap, topic, group, journal_path):
    """From the offsets that `group` has committed to the end of each partition."""
    journal = Journal(journal_path)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False})
    count = len(consumer.list_topics(topic).topics[topic].partitions)
    parts = consumer.committed([TopicPartition(topic, p) for p in range(count)], timeout=30)
    left = 0
    for part in parts:
        journal.assigned(part.partition)
        left += consumer.get_watermark_offsets(part)[1] - part.offset
    consumer.assign(parts)
    heard_at = time.monotonic()
    while left > 0 and time.monotonic() - heard_at < READ_IDLE_SECONDS_MAX:
        for message in consumer.consume(5000, 0.5):
            if message.error():
                raise KafkaException(message.error())
            journal.record(message.partition(), message.offset(), message.key(), message.timestamp()[1],
                           message.value())
            left -= 1
            heard_at = time.monotonic()
    consumer.close()
    journal.close()


if __name__ == "__main__":
    {"produce": produce, "consume": consume, "read": read}[sys.argv[1]](*sys.argv[2:])
