"""A thousand topics made and deleted while clients write to them, read them and commit offsets for them: everybody is
answered in time, nothing acknowledged is lost where it should be, and afterwards files, descriptors and memory are back.
"""

import os
import random
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))

from batches import batch, record
from checks import BOOTSTRAP, eventually, kill_and_restart_broker, run
from connection import Connection
from scenes import coordinator_ready, create, fetch, list_offsets, produce
from schema import Schemas
from transcript import Scene

MIB = 1 << 20
ROUNDS, TOPICS_EACH, PARTITIONS = 25, 40, 2
USERS = 3
ANSWER_SECONDS_MAX = 10
GROUP = "churners"
DATA, KAFKA = Path(os.environ["DATA"]), os.environ["BROKER"] == "kafka"
# Java keeps what its heap once took.
MEMORY_GROWTH_MAX = (400 if KAFKA else 48) * MIB
DESCRIPTORS_GROWTH_MAX = 30
# Ottla makes its directory once records go from the lane to segments.
STAYS = {"churn-stays-0"}
# Of a topic that comes to be or goes: unknown, not led (yet, or here), an id that is gone, files that go.
PASSING = {0, 3, 5, 6, 56, 100}
SCHEMAS = Schemas(sys.argv[1])
SCENE = Scene(BOOTSTRAP, SCHEMAS)
PID = os.environ["BROKER_PID"]


def memory():
    with open(f"/proc/{PID}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def descriptors():
    return len(os.listdir(f"/proc/{PID}/fd"))


def directories():
    """Those of topics of this test, also on their way out."""
    names = (path.name for path in DATA.iterdir() if path.name.startswith("churn-"))
    # Ottla writes something behind the name of each, Kafka behind those that go.
    return {name if name.endswith("-delete") else name.split(".")[0] for name in names}


def connect():
    return Connection(BOOTSTRAP, SCHEMAS, timeout=ANSWER_SECONDS_MAX)


class Users:
    """Clients that use whatever topics there are, and one that writes to a topic that stays."""

    def __init__(self):
        self.topics, self.over, self.failed, self.codes = [], threading.Event(), [], set()
        self.acked = 0
        self.requests = 0

    def __enter__(self):
        self.threads = [threading.Thread(target=self.guarded, args=(self.use, place)) for place in range(USERS)]
        self.threads.append(threading.Thread(target=self.guarded, args=(self.write_steadily, 0)))
        [thread.start() for thread in self.threads]
        return self

    def __exit__(self, *_):
        self.over.set()
        [thread.join() for thread in self.threads]

    def guarded(self, function, place):
        try:
            function(place)
        except Exception as error:
            self.failed.append(f"{type(error).__name__}: {error}")
            self.over.set()

    def use(self, place):
        chance = random.Random(place)
        with connect() as connection:
            while not self.over.is_set():
                topics = self.topics
                topic = chance.choice(topics) if topics else "churn-not-yet"
                partition = chance.randrange(PARTITIONS)
                commit = {"groupId": GROUP, "generationIdOrMemberEpoch": -1, "memberId": "", "topics": [
                    {"name": topic, "partitions": [{"partitionIndex": partition, "committedOffset": 1, "committedMetadata": ""}]}]}
                for api, version, body in (
                        ("Produce", 9, produce(topic, batch(), partition)), ("Fetch", 12, fetch(topic, 0, partition) | {"maxWaitMs": 5}),
                        ("ListOffsets", 5, list_offsets(topic, -1, partition)), ("OffsetCommit", 8, commit),
                        ("Metadata", 9, {"topics": [{"name": topic}], "allowAutoTopicCreation": False})):
                    self.note(connection.ask(api, version, body))

    def note(self, answer):
        self.requests += 1
        found = set()
        for topic in answer.get("responses", []) + answer.get("topics", []):
            found.add(topic.get("errorCode", 0))
            for part in topic.get("partitionResponses", []) + topic.get("partitions", []):
                found.add(part["errorCode"])
        self.codes |= found
        assert found <= PASSING, f"answered {found - PASSING}: {answer}"

    def write_steadily(self, _):
        with connect() as connection:
            while not self.over.is_set():
                answer = connection.ask("Produce", 9, produce("churn-stays", batch([record(value=b"%d" % self.acked)])))
                part = answer["responses"][0]["partitionResponses"][0]
                assert part["errorCode"] == 0 and part["baseOffset"] == self.acked, part
                self.acked += 1
                time.sleep(0.002)


def made_and_deleted():
    coordinator_ready(SCENE)
    create(SCENE, "churn-stays")
    one_round(Users(), "warm")
    eventually(lambda: directories() <= STAYS, "the first topics' files are gone", 90)
    before, open_before = memory(), descriptors()
    with Users() as users:
        for nth in range(ROUNDS):
            one_round(users, nth)
            assert not users.failed, users.failed
    assert not users.failed, users.failed
    print(f"# {ROUNDS * TOPICS_EACH} topics, {users.requests} requests answered with {sorted(users.codes)}, {users.acked} records stay",
          flush=True)
    assert users.requests > 500 and 3 in users.codes and 0 in users.codes, "nobody used them"
    with connect() as connection:
        end = connection.ask("ListOffsets", 5, list_offsets("churn-stays", -1))["topics"][0]["partitions"][0]["offset"]
        assert end == users.acked, f"{users.acked} records were acknowledged, the log ends at {end}"
        kept = connection.ask("OffsetFetch", 7, {"groupId": GROUP, "topics": None})["topics"]
        assert not kept, f"offsets of topics that are gone: {[topic['name'] for topic in kept][:5]}"
    eventually(lambda: directories() <= STAYS, "only the files of what stays are there", 90)
    eventually(lambda: descriptors() <= open_before + DESCRIPTORS_GROWTH_MAX, "descriptors are given back", 60)
    grown = memory() - before
    print(f"# memory grew by {grown / MIB:.0f} MiB", flush=True)
    assert grown < MEMORY_GROWTH_MAX, f"memory grew by {grown / MIB:.0f} MiB"


def one_round(users, nth):
    names = [f"churn-{nth}-{place}" for place in range(TOPICS_EACH)]
    with connect() as connection:
        made = connection.ask("CreateTopics", 5, {"timeoutMs": 10_000, "topics": [
            {"name": name, "numPartitions": PARTITIONS, "replicationFactor": 1} for name in names]})
        assert all(topic["errorCode"] == 0 for topic in made["topics"]), made
        users.topics = names
        time.sleep(0.3)
        # They are still used while they go.
        gone = connection.ask("DeleteTopics", 5, {"timeoutMs": 10_000, "topicNames": names})
        assert all(topic["errorCode"] == 0 for topic in gone["responses"]), gone


def gone_after_a_kill():
    kill_and_restart_broker()
    eventually(lambda: directories() <= STAYS, "only the files of what stays are there", 90)
    with connect() as connection:
        topics = connection.ask("Metadata", 9, {"topics": None})["topics"]
        assert [topic["name"] for topic in topics if topic["name"].startswith("churn-")] == ["churn-stays"], topics


if __name__ == "__main__":
    run([("topics are made and deleted while they are used", made_and_deleted), ("they are gone after a kill, too", gone_after_a_kill)])
