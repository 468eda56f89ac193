"""Real flights through four clients while the broker is killed again and again; then the log and every
consumer are checked record by record. Run by `../run.py`, or alone with BOOTSTRAP and CONTROL set.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from array import array
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))

import check
from checks import kill_and_restart_broker
from client import digest

BOOTSTRAP = os.environ["BOOTSTRAP"]
TOPIC, PARTITIONS = "flights", 12
TOPIC_JS, PARTITIONS_JS = "flights-js", 4
KILLS, KILLS_OF_SLICE = 5, 2
# A slice is produced at a rate that leaves time for the kills.
SLICE_SECONDS = 15
# Record times are the flights' times of 2001, the order kept, pressed into the last hour before the run. Kafka
# forgets an idempotent producer by the time of its last record (producer.id.expiration.ms, a day): with
# records of 2001 it has forgotten all of them after a kill, takes a repeated batch for a new one, and the
# flights are in its log twice. (ProducerStateManager.isProducerExpired compares with batch.maxTimestamp.)
RECORDS_SPAN_MS = 3_600_000
GIVE_UP_SECONDS = 1500
# Which part of the flights each producer has; a key belongs to one of them.
SHARES = {"java": 0.40, "confluent": 0.30, "kafka_python": 0.15, "kafkajs": 0.15}


class Flights:
    """The flights, dealt to the producers: a file for each, and what is needed to check afterwards."""

    def __init__(self, parquet, work, limit):
        self.files = {name: work / f"{name}.tsv" for name in SHARES}
        self.digests = array("Q")
        self.keys = []
        self.ids = {name: array("I") for name in SHARES}
        self.middle_time = None
        self.deal(parquet, limit)

    def deal(self, parquet, limit):
        import pyarrow.compute as compute
        import pyarrow.parquet as pq
        table = pq.read_table(parquet).slice(0, limit)
        owner = self.owners(compute.value_counts(table["origin"]).to_pylist())
        out = {name: open(file, "wb") for name, file in self.files.items()}
        times = self.pressed(table["date"])
        self.middle_time = compute.quantile(times, 0.5, interpolation="nearest")[0].as_py()
        flight = 0
        for batch in table.append_column("time", times).to_batches(max_chunksize=65_536):
            columns = [batch[name].to_pylist() for name in
                       ("date", "delay", "distance", "origin", "destination", "time")]
            for date, delay, distance, origin, destination, timestamp in zip(*columns):
                value = json.dumps({"id": flight, "date": date.isoformat(), "delay": delay, "distance": distance,
                                    "origin": origin, "destination": destination}, separators=(",", ":")).encode()
                key = origin.encode()
                out[owner[origin]].write(b"%d\t%b\t%d\t%b\n" % (flight, key, timestamp, value))
                self.digests.append(int(digest(key, timestamp, value), 16))
                self.keys.append(sys.intern(origin))
                self.ids[owner[origin]].append(flight)
                flight += 1
        for file in out.values():
            file.close()

    @staticmethod
    def pressed(dates):
        import pyarrow as arrow
        import pyarrow.compute as compute
        times = dates.cast(arrow.timestamp("ms")).cast("int64")
        first, last = (bound.as_py() for bound in compute.min_max(times).values())
        run_began = time.time_ns() // 1_000_000
        since_first = compute.divide(compute.multiply(compute.subtract(times, first), RECORDS_SPAN_MS), last - first)
        return compute.add(since_first, run_began - RECORDS_SPAN_MS)

    @staticmethod
    def owners(counts):
        """Gives each key to the producer that is furthest below its share; deals out the large keys first."""
        owner, has = {}, dict.fromkeys(SHARES, 0)
        for entry in sorted(counts, key=lambda entry: (-entry["counts"], entry["values"])):
            name = min(SHARES, key=lambda name: has[name] / SHARES[name])
            owner[entry["values"]] = name
            has[name] += entry["counts"]
        return owner

    def of_topic(self, topic):
        return self.ids["kafkajs"] if topic == TOPIC_JS else array(
            "I", sorted(self.ids["java"] + self.ids["confluent"] + self.ids["kafka_python"]))

    def count(self):
        return len(self.digests)


class Clients:
    """Starts the programs of the four clients, and knows how far the producers are."""

    def __init__(self, given):
        self.java = ["java", "-Xmx512m", f"-Dlog4j2.configurationFile={HERE.parent / 'java/log4j2.properties'}",
                     "-cp", given.java, "FlightsWithJava"]
        self.node = ["node", HERE / "with_kafkajs.js"]
        self.node_modules = given.node_modules
        self.work = given.work
        self.acked = {}

    def command(self, client, mode, *arguments):
        if client == "java":
            return [*self.java, mode, BOOTSTRAP, *arguments]
        if client == "kafkajs":
            return [*self.node, mode, self.node_modules, BOOTSTRAP, *arguments]
        return [sys.executable, HERE / f"with_{client}.py", mode, BOOTSTRAP, *arguments]

    def start(self, client, mode, *arguments, **options):
        return subprocess.Popen([str(part) for part in self.command(client, mode, *arguments)],
                                stdin=subprocess.DEVNULL, stderr=open(self.work / f"{client}-{mode}.err", "a"),
                                stdout=options.get("stdout") or open(self.work / f"{client}-{mode}.out", "a"))

    def run(self, client, mode, *arguments):
        process = self.start(client, mode, *arguments)
        code = process.wait(GIVE_UP_SECONDS)
        assert code == 0, f"{client} {mode} exits with {code}: {(self.work / f'{client}-{mode}.err').read_text()[-300:]}"

    def start_producer(self, client, topic, file, per_second):
        process = self.start(client, "produce", topic, file, per_second, stdout=subprocess.PIPE)
        self.acked[client] = 0

        def follow():
            for line in process.stdout:
                if line.startswith(b"acked "):
                    self.acked[client] = int(line.split()[1])
        threading.Thread(target=follow, daemon=True).start()
        return process


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--java", required=True, help="class path of FlightsWithJava")
    parser.add_argument("--node-modules", type=Path, required=True)
    parser.add_argument("--slice", type=int, metavar="N", help="only the first N flights, at a gentle rate")
    return parser.parse_args()


def create_topics():
    from confluent_kafka.admin import AdminClient, NewTopic
    config = {"retention.ms": "-1"}
    wanted = [NewTopic(TOPIC, PARTITIONS, 1, config=config), NewTopic(TOPIC_JS, PARTITIONS_JS, 1, config=config)]
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    for created in admin.create_topics(wanted).values():
        created.result(30)


def ends(topic, partitions):
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "asks-for-ends"})
    found = [consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30)[1] for p in range(partitions)]
    consumer.close()
    return found


def committed(group, topic, partitions):
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": group})
    found = consumer.committed([TopicPartition(topic, p) for p in range(partitions)], timeout=30)
    consumer.close()
    return [max(0, part.offset) for part in found]


def wait_for(condition, what, failed, seconds_max=GIVE_UP_SECONDS):
    deadline = time.monotonic() + seconds_max
    while not condition():
        if reason := failed():
            raise AssertionError(reason)
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds_max} s: {what}")
        time.sleep(0.1)


def produce_and_consume(flights, clients, given):
    """Everything at once, five kills in between; returns the journals of the two groups."""
    stop = given.work / "stop"
    journals = {name: given.work / f"{name}.journal" for name in SHARES}
    consumers = {name: clients.start(name, "consume", *((TOPIC_JS, "flights-js-group") if name == "kafkajs" else
                                                         (TOPIC, "flights-group")), journals[name], stop)
                 for name in SHARES}
    producers = {}
    for name in SHARES:
        per_second = max(50, len(flights.ids[name]) // SLICE_SECONDS) if given.slice else 0
        topic = TOPIC_JS if name == "kafkajs" else TOPIC
        producers[name] = clients.start_producer(name, topic, flights.files[name], per_second)

    def died():
        for what, processes in (("producer", producers), ("consumer", consumers)):
            for name, process in processes.items():
                if process.poll() not in (None, 0) or (what == "consumer" and process.poll() is not None):
                    return f"the {what} of {name} exits with {process.returncode}"
    try:
        for kill in range(1, given.kills + 1):
            wait_for(lambda: sum(clients.acked.values()) >= flights.count() * kill // (given.kills + 1),
                     f"kill {kill}", died)
            killed_at = time.monotonic()
            kill_and_restart_broker()
            remark(f"kill {kill} at {clients.acked}, ready again after {time.monotonic() - killed_at:.1f} s")
        wait_for(lambda: all(process.poll() == 0 for process in producers.values()), "all is produced", died)
        remark(f"produced {clients.acked}")
        for group, topic, partitions in (("flights-group", TOPIC, PARTITIONS),
                                         ("flights-js-group", TOPIC_JS, PARTITIONS_JS)):
            wanted = ends(topic, partitions)
            wait_for(lambda: committed(group, topic, partitions) == wanted, f"{group} has committed {wanted}", died)
        remark("consumed and committed")
        stop.touch()
        for name, process in consumers.items():
            assert process.wait(60) == 0, f"the consumer of {name} exits with {process.returncode}"
    finally:
        for process in [*producers.values(), *consumers.values()]:
            if process.poll() is None:
                process.kill()
    return [journals[name] for name in SHARES if name != "kafkajs"], [journals["kafkajs"]]


STARTED = time.monotonic()


def remark(text):
    print(f"# {time.monotonic() - STARTED:5.1f} s: {text}", flush=True)


class Report:
    """One line a check, as `../python/checks.py` prints them."""

    def __init__(self):
        self.failed = False

    def check(self, name, function, *arguments):
        try:
            found = function(*arguments)
            print(f"ok - {name}", flush=True)
            if found is not None:
                print(f"# {name}: {found}", flush=True)
        except Exception as error:
            self.failed = True
            print(f"not ok - {name}: {type(error).__name__}: {error}", flush=True)


def second_reads(clients, flights, topic, log, work):
    """Two reads more: from a time, and from offsets committed half-way."""
    by_time, by_offset = work / f"{topic}-time.journal", work / f"{topic}-half.journal"
    half = [len(digests) // 2 for digests in log.digests]

    def from_time():
        if topic == TOPIC_JS:
            clients.run("kafkajs", "read", topic, "time", flights.middle_time, by_time)
        else:
            clients.run("java", "read", topic, flights.middle_time, by_time)
        check.read_agrees(by_time, log, log.from_time)

    def from_committed():
        if topic == TOPIC_JS:
            clients.run("kafkajs", "read", topic, "committed", "half", by_offset)
        else:
            clients.run("kafka_python", "commit", topic, "half", *half)
            clients.run("confluent", "read", topic, "half", by_offset)
        check.read_agrees(by_offset, log, half)
    return from_time, from_committed


def main():
    given = arguments()
    given.kills = KILLS_OF_SLICE if given.slice else KILLS
    parquet = given.node_modules / "vega-datasets/data/flights-3m.parquet"
    flights = Flights(parquet, given.work, given.slice)
    remark(f"{flights.count()} flights: { {name: len(ids) for name, ids in flights.ids.items()} }")
    clients, report = Clients(given), Report()
    create_topics()
    journals = {}

    def live():
        journals[TOPIC], journals[TOPIC_JS] = produce_and_consume(flights, clients, given)
    report.check(f"produced and consumed through {given.kills} kills", live)
    if not report.failed:
        for topic, partitions in ((TOPIC, PARTITIONS), (TOPIC_JS, PARTITIONS_JS)):
            log, keys_at = check.read_log(BOOTSTRAP, topic, flights.middle_time)
            from_time, from_committed = second_reads(clients, flights, topic, log, given.work)
            report.check(f"{topic}: the log holds every flight once, byte for byte",
                         check.once_each, log, flights.digests, flights.of_topic(topic))
            report.check(f"{topic}: in order per key", check.in_order_per_key, log, flights.keys)
            report.check(f"{topic}: each key where murmur2 puts it", check.partitioned_by_murmur2, keys_at, partitions)
            report.check(f"{topic}: the group saw every record, again only from a committed offset on",
                         lambda: f"{check.group_saw_everything(journals[topic], log)} deliveries again")
            report.check(f"{topic}: a read from a point in time agrees", from_time)
            report.check(f"{topic}: a read from offsets committed half-way agrees", from_committed)
    remark("checked")
    print("all checks done", flush=True)
    if not report.failed:
        for file in [*given.work.glob("*.tsv"), *given.work.glob("*.journal")]:
            file.unlink()
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
