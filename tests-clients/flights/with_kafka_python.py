"""The flights by kafka-python: `produce`, `consume` in a group, `commit` offsets half-way for another client."""

import logging
import sys

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from client import GIVE_UP_MS, Acks, Journal, asked_to_stop, flights

IN_FLIGHT_MAX = 20_000
# As in ../python/kafka_python_checks.py: with a short one a member is lost in the middle of joining.
POLL_MS = 2_000


def produce(bootstrap, topic, path, per_second):
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, compression_type="snappy",
        linger_ms=20, batch_size=65_536, delivery_timeout_ms=GIVE_UP_MS, max_block_ms=GIVE_UP_MS)
    acks, failures = Acks(), []

    def failed(error):
        failures.append(error)
    sent = 0
    for key, timestamp, value in flights(path, int(per_second)):
        future = producer.send(topic, value, key, timestamp_ms=timestamp)
        future.add_callback(lambda _: acks.add())
        future.add_errback(failed)
        sent += 1
        if sent - acks.count - len(failures) > IN_FLIGHT_MAX:
            future.get(GIVE_UP_MS / 1000)
    producer.flush(GIVE_UP_MS / 1000)
    acks.tell()
    if failures or acks.count != sent:
        sys.exit(f"{sent - acks.count} records not acknowledged, errors: {failures[:3]}")


def consume(bootstrap, topic, group, journal_path, stop_file):
    journal = Journal(journal_path)
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, partition_assignment_strategy=[RoundRobinPartitionAssignor],
        auto_offset_reset="earliest", enable_auto_commit=False, session_timeout_ms=15_000)

    def commit(offsets):
        consumer.commit({TopicPartition(topic, p): OffsetAndMetadata(offset, "", -1) for p, offset in offsets.items()})

    class Listener(ConsumerRebalanceListener):
        def on_partitions_assigned(self, assigned):
            for part in assigned:
                journal.assigned(part.partition)

        def on_partitions_revoked(self, revoked):
            if revoked:
                journal.commit(commit)
            journal.revoked()
    consumer.subscribe([topic], listener=Listener())
    while not asked_to_stop(stop_file):
        for batch in consumer.poll(POLL_MS).values():
            for r in batch:
                journal.record(r.partition, r.offset, r.key, r.timestamp, r.value)
        if journal.commit_is_due():
            journal.commit(commit)
    consumer.close()
    journal.close()


def commit(bootstrap, topic, group, *offsets):
    """Commits one offset for each partition, in order."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    wanted = {TopicPartition(topic, p): OffsetAndMetadata(int(offset), "", -1) for p, offset in enumerate(offsets)}
    consumer.assign(list(wanted))
    consumer.commit(wanted)
    consumer.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    {"produce": produce, "consume": consume, "commit": commit}[sys.argv[1]](*sys.argv[2:])
