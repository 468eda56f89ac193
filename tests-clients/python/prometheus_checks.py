"""What `/metrics` says, read by Prometheus' reader for Python while confluent-kafka makes traffic."""

import os
import time
import urllib.request

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_prometheus

from checks import BOOTSTRAP, eventually, run, unique

HTTP = os.environ["HTTP"]
ALL = "dialect=kafka-exporter,kafka-lag-exporter,strimzi,confluent&detail=partition"
RECORDS, TAKEN = 60, 25
TOPIC, GROUP = unique("metrics"), unique('a "group" with \\ and ü')
COMMON = {"bootstrap.servers": BOOTSTRAP, "log_level": 3}
ADMIN = AdminClient(COMMON)


def scrape(openmetrics=False, query=ALL):
    """{family: type}, {(sample, labels): value}"""
    accept = "application/openmetrics-text;version=1.0.0" if openmetrics else "text/plain;version=0.0.4"
    request = urllib.request.Request(f"http://{HTTP}/metrics?{query}", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert accept.split(";")[0] in answer.headers["Content-Type"]
        text = answer.read().decode()
    families = list((read_openmetrics if openmetrics else read_prometheus)(text))
    samples = [(sample.name, frozenset(sample.labels.items()), sample.value)
               for family in families for sample in family.samples]
    assert len({sample[:2] for sample in samples}) == len(samples), "a series is there twice"
    return {family.name: family.type for family in families}, {sample[:2]: sample[2] for sample in samples}


def value(samples, name, **labels):
    return samples[name, frozenset(labels.items())]


def make_traffic():
    ADMIN.create_topics([NewTopic(TOPIC, 2, 1)])[TOPIC].result(30)
    producer = Producer(COMMON)
    for index in range(RECORDS):
        producer.produce(TOPIC, b"%d" % index, partition=index % 2)
    assert producer.flush(60) == 0


def both_formats_are_read():
    make_traffic()
    strict, samples = scrape(openmetrics=True)
    plain, others = scrape()
    # The reader of the plain format gives every counter a `_total`.
    series = [{(name.removesuffix("_total"), labels) for name, labels in found} for found in (samples, others)]
    assert len(strict) > 100 and series[0] == series[1], series[0] ^ series[1]
    assert not {kind for kind in plain.values() if kind in ("unknown", "untyped")}
    assert {name for name, kind in strict.items() if kind == "histogram"} == {
        name for name, kind in plain.items() if kind == "histogram"} != set()


def lag_is_what_the_consumer_reckons():
    consumer = Consumer(COMMON | {"group.id": GROUP, "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe([TOPIC])
    taken = []
    while len(taken) < TAKEN:
        taken += [message for message in consumer.consume(TAKEN - len(taken), 1) if not message.error()]
    consumer.commit(message=None, asynchronous=False)
    partitions = consumer.committed([TopicPartition(TOPIC, index) for index in range(2)], timeout=10)
    _, samples = scrape()
    lags = []
    for partition in partitions:
        _, end = consumer.get_watermark_offsets(partition, timeout=10)
        committed = max(partition.offset, 0)
        labels = {"consumergroup": GROUP, "topic": TOPIC, "partition": str(partition.partition)}
        if partition.offset >= 0:
            lags.append(end - committed)
            assert value(samples, "kafka_consumergroup_lag", **labels) == end - committed
            assert value(samples, "kafka_consumergroup_current_offset", **labels) == committed
    assert sum(lags) > 0
    assert value(samples, "kafka_consumergroup_lag_sum", consumergroup=GROUP, topic=TOPIC) == sum(lags)
    assert value(samples, "kafka_consumergroup_members", consumergroup=GROUP) == 1
    assert value(samples, "kafka_coordinator_group_groupmetadatamanager_numgroupsstable") >= 1

    def seconds(samples):
        found = [seconds for (name, labels), seconds in samples.items()
                 if name == "kafka_consumergroup_group_max_lag_seconds" and ("group", GROUP) in labels]
        return found[0]
    before = seconds(samples)
    assert 0 <= before < 120
    time.sleep(2)
    assert before + 1.5 < seconds(scrape()[1]) < before + 60, "time goes on for who stands still"
    rest = RECORDS - TAKEN
    while rest:
        rest -= sum(not message.error() for message in consumer.consume(rest, 1))
    consumer.commit(asynchronous=False)
    assert seconds(scrape()[1]) == 0
    consumer.close()
    eventually(lambda: value(scrape()[1], "kafka_consumergroup_members", consumergroup=GROUP) == 0, "it has left")


def counters_add_up_and_never_go_back():
    kinds, before = scrape()
    assert value(before, "kafka_server_brokertopicmetrics_messagesin_total", topic=TOPIC) == RECORDS
    of_topics = [number for (name, labels), number in before.items()
                 if name == "kafka_server_brokertopicmetrics_messagesin_total" and labels]
    assert value(before, "kafka_server_brokertopicmetrics_messagesin_total") >= sum(of_topics)
    for request in ("Produce", "Metadata"):
        counts = {value(before, name, request=request) for name in (
            "kafka_network_requestmetrics_requests_total", "kafka_network_requestmetrics_totaltimems_count",
            "kafka_network_requestmetrics_remotetimems_count", "ottla_request_seconds_count")}
        assert len(counts) == 1, counts
    ADMIN.delete_topics([TOPIC])[TOPIC].result(30)
    _, after = scrape()
    # The reader for Python calls the family of a counter by its name without `_total`.
    counters = {name for name, kind in kinds.items() if kind == "counter"}
    fell = [key for key, number in before.items() if key in after and after[key] < number
            and key[0].removesuffix("_total") in counters]
    assert not fell, fell
    assert not [labels for _, labels in after if ("topic", TOPIC) in labels and ("group", GROUP) not in labels
                and ("consumergroup", GROUP) not in labels], "a topic's metrics go with it"


CHECKS = [
    ("both text formats are read", both_formats_are_read),
    ("a group's lag is what its consumer reckons", lag_is_what_the_consumer_reckons),
    ("counters add up and never go back", counters_add_up_and_never_go_back),
]

if __name__ == "__main__":
    if HTTP:
        run(CHECKS)
    for name, _ in CHECKS:
        print(f"ok - {name} # NA Kafka has beans, and no /metrics")
    print("all checks done")
