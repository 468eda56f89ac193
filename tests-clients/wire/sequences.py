"""Requests made by chance one after the other, on what the earlier ones have left: topics of odd configs, groups in each
state, producers, deleted records. The same for both by their seed; Kafka's answers are recorded.

Played by the suite `wire-sequences`. Each sequence has topics and groups of its own.
"""

import os
import random
import time

from batches import batch, record
from scenes import coordinator_ready, until_led

SEEDS = 12
STEPS = 60

CONFIGS = [{}, {"cleanup.policy": "compact"}, {"cleanup.policy": "compact,delete"}, {"max.message.bytes": "200"},
           {"message.timestamp.type": "LogAppendTime"}, {"min.insync.replicas": "2"}, {"compression.type": "gzip"},
           {"message.timestamp.before.max.ms": "1000"}, {"segment.bytes": "1048576"}, {"retention.bytes": "0"},
           {"cleanup.policy": "delete", "no.such": "1"}, {"retention.ms": "-2"}]
ALTERED = [("cleanup.policy", "compact"), ("cleanup.policy", "delete"), ("cleanup.policy", ""), ("max.message.bytes", "300"), ("max.message.bytes", "-1"),
           ("max.message.bytes", None), ("min.insync.replicas", "2"), ("min.insync.replicas", None), ("retention.ms", "x"),
           ("message.timestamp.type", "CreateTime"), ("segment.ms", "0"), ("no.such", "1")]


class Sequence:
    def __init__(self, scene, seed):
        self.scene, self.random, self.seed = scene, random.Random(seed), seed
        self.topics = [f"seq-{seed}-{number}" for number in range(3)]
        self.groups = [f"seq-{seed}-g{number}" for number in range(2)]
        self.members = {group: [] for group in self.groups}
        self.generation = dict.fromkeys(self.groups, 0)
        self.producers, self.step = [], 0

    def ask(self, what, api, version, body):
        self.step += 1
        return self.scene.ask(f"{self.step} {what}", api, version, body)

    def pick(self, *choices):
        return self.random.choice(choices)

    def topic(self):
        return self.random.choice(self.topics)

    def partition(self):
        return self.pick(0, 0, 0, 1, 2, 7)

    def group(self):
        return self.random.choice(self.groups)

    def settled(self, topic):
        """Kafka's broker hears of what its controller has decided a moment later."""
        with self.scene.connect() as connection:
            for _ in range(100):
                answer = connection.ask("Metadata", 9, {"topics": [{"name": topic}], "allowAutoTopicCreation": False})["topics"][0]
                if answer["errorCode"] in (3, 17):
                    time.sleep(0.2)
                    return
                if answer["errorCode"] == 0:
                    for part in answer["partitions"]:
                        until_led(connection, topic, part["partitionIndex"])
                    return
                time.sleep(0.05)

    # ---- topics

    def create(self):
        topic = self.topic()
        configs = self.random.choice(CONFIGS)
        self.ask(f"create {topic} {' '.join(f'{name}={value}' for name, value in configs.items())}", "CreateTopics", 4, {"timeoutMs": 5000, "validateOnly": self.pick(False, False, False, True), "topics": [
            {"name": topic, "numPartitions": self.pick(1, 2, 3, -1, 0), "replicationFactor": self.pick(1, 1, -1, 2),
             "configs": [{"name": name, "value": value} for name, value in configs.items()]}]})
        time.sleep(0.1)
        self.settled(topic)

    def delete(self):
        topic = self.topic()
        self.ask(f"delete {topic}", "DeleteTopics", 6, {"topics": [{"name": topic}], "timeoutMs": 5000})
        time.sleep(0.3)

    def grow(self):
        topic = self.topic()
        self.ask(f"grow {topic}", "CreatePartitions", self.pick(1, 3), {"timeoutMs": 5000, "topics": [
            {"name": topic, "count": self.pick(1, 2, 3, 4), "assignments": self.pick(None, None, [{"brokerIds": [0]}], [{"brokerIds": [9]}])}]})
        time.sleep(0.2)
        self.settled(topic)

    def alter(self):
        topic, (name, value) = self.topic(), self.random.choice(ALTERED)
        self.ask(f"alter {topic} {name}={value}", "IncrementalAlterConfigs", 1, {"resources": [{"resourceType": 2, "resourceName": topic, "configs": [
            {"name": name, "configOperation": 1 if value is None else self.pick(0, 0, 0, 2, 3), "value": value}]}]})
        time.sleep(0.3)

    def describe(self):
        topic = self.topic()
        self.ask(f"configs of {topic}", "DescribeConfigs", 4, {"includeSynonyms": self.pick(True, False), "resources": [
            {"resourceType": 2, "resourceName": topic, "configurationKeys": ["cleanup.policy", "max.message.bytes", "retention.ms", "compression.type"]}]})

    def parts(self):
        self.ask("parts", "DescribeTopicPartitions", 0, {"topics": [{"name": name} for name in self.topics], "responsePartitionLimit": self.pick(1, 3, 2000)})

    def elect(self):
        self.ask("elect", "ElectLeaders", 2, {"electionType": self.pick(0, 1), "timeoutMs": 5000, "topicPartitions": [
            {"topic": self.topic(), "partitions": [self.partition()]}]})

    # ---- records

    def init(self):
        with self.scene.connect() as connection:
            for _ in range(100):
                answer = connection.ask("InitProducerId", 4, {"transactionalId": None, "transactionTimeoutMs": 60_000})
                if answer["errorCode"] == 0:
                    self.producers.append([answer["producerId"], 0, {}])
                    return
                time.sleep(0.05)

    def produce(self):
        topic, partition, count = self.topic(), self.partition(), self.pick(1, 1, 3)
        records = [record(number, key=self.pick(None, b"k"), value=bytes(self.pick(5, 5, 150, 400))) for number in range(count)]
        producer, what = None, "plain"
        if self.producers and self.pick(True, False):
            known = self.random.choice(self.producers)
            next = known[2].get((topic, partition), 0)
            sequence = self.pick(next, next, next, next + 1, 0, max(0, next - count))
            producer, what = (known[0], known[1] + self.pick(0, 0, 0, 0, 1, -1), sequence), "idempotent"
            known[2][topic, partition] = sequence + count
        now = int(time.time() * 1000)
        when = self.pick(now, now, now - 3_600_000)
        self.ask(f"{what} {count} to {topic}-{partition}", "Produce", self.pick(3, 8, 9, 12), {"acks": self.pick(-1, -1, 1), "timeoutMs": 5000, "topicData": [
            {"name": topic, "partitionData": [{"index": partition, "records": batch(records, producer=producer or (-1, -1, -1), first_time=when)}]}]})

    def fetch(self):
        topic, partition = self.topic(), self.partition()
        # Records have the time of the run in them: what is told is how many bytes came.
        with self.scene.connect() as connection:
            answer = connection.ask("Fetch", self.pick(4, 11, 12), {"maxWaitMs": 100, "minBytes": 1, "maxBytes": 1 << 20, "topics": [
                {"topic": topic, "partitions": [{"partition": partition, "fetchOffset": self.pick(0, 0, 1, 2, 5, -1, 100), "partitionMaxBytes": self.pick(1 << 20, 1)}]}]})
        self.step += 1
        for each in answer["responses"]:
            for part in each["partitions"]:
                part["records"] = len(part["records"] or b"") > 0
        self.scene.note(f"{self.step} fetch {topic}-{partition}", answer)

    def offsets(self):
        self.ask("list offsets", "ListOffsets", self.pick(4, 7, 8), {"replicaId": -1, "topics": [{"name": self.topic(), "partitions": [
            {"partitionIndex": self.partition(), "currentLeaderEpoch": self.pick(-1, -1, 0, 5), "timestamp": self.pick(-1, -2, 0, -4)}]}]})

    def epoch(self):
        self.ask("epoch", "OffsetForLeaderEpoch", 4, {"replicaId": -1, "topics": [{"topic": self.topic(), "partitions": [
            {"partition": self.partition(), "currentLeaderEpoch": self.pick(-1, 0, 3), "leaderEpoch": self.pick(-1, 0, 1)}]}]})

    def trim(self):
        self.ask("delete records", "DeleteRecords", 2, {"timeoutMs": 5000, "topics": [{"name": self.topic(), "partitions": [
            {"partitionIndex": self.partition(), "offset": self.pick(-1, 0, 1, 2, 100, -5)}]}]})

    def describe_producers(self):
        with self.scene.connect() as connection:
            topic, partition = self.topic(), self.partition()
            answer = connection.ask("DescribeProducers", 0, {"topics": [{"name": topic, "partitionIndexes": [partition]}]})
        self.step += 1
        known = {producer[0]: place for place, producer in enumerate(self.producers)}
        for each in answer["topics"]:
            for part in each["partitions"]:
                part["activeProducers"] = sorted(([known.get(one["producerId"]), one["producerEpoch"], one["lastSequence"]]
                                                  for one in part["activeProducers"]), key=str)
        self.scene.note(f"{self.step} producers of {topic}-{partition}", answer)

    # ---- groups

    def member(self, group):
        return self.random.choice([*self.members[group], *self.members[group], "", "nobody"])

    def join(self):
        group, version = self.group(), self.pick(2, 3, 5, 9)
        member = self.member(group)
        body = {"groupId": group, "sessionTimeoutMs": self.pick(10_000, 10_000, 10_000, 1), "rebalanceTimeoutMs": 300, "memberId": member,
                "protocolType": self.pick("consumer", "consumer", "consumer", "connect"),
                "protocols": [{"name": self.pick("range", "range", "other"), "metadata": b"\0\0\0\0\0\0\0\0\0\0"}]}
        answer = self.ask(f"join {group} as {'one of it' if member in self.members[group] else member or 'new'}", "JoinGroup", version, body)
        if answer and answer["memberId"] and answer["errorCode"] in (0, 79) and answer["memberId"] not in self.members[group]:
            self.members[group].append(answer["memberId"])
        if answer and answer["errorCode"] == 0:
            self.generation[group] = answer["generationId"]
        # Whoever did not join again within its time is out.
        time.sleep(0.5)

    def known(self, group, name="generationId"):
        return {"groupId": group, name: self.pick(*[self.generation[group]] * 4, -1, 99), "memberId": self.member(group)}

    def sync(self):
        group = self.group()
        known = self.known(group)
        self.ask(f"sync {group}", "SyncGroup", 3, known | {"assignments": [{"memberId": known["memberId"], "assignment": b"mine"}]})

    def beat(self):
        group = self.group()
        self.ask(f"beat {group}", "Heartbeat", 3, self.known(group))

    def leave(self):
        group = self.group()
        member = self.member(group)
        self.ask(f"leave {group}", "LeaveGroup", 3, {"groupId": group, "members": [{"memberId": member}]})
        if member in self.members[group]:
            self.members[group].remove(member)

    def commit(self):
        group, topic = self.group(), self.topic()
        known = self.known(group, "generationIdOrMemberEpoch")
        if self.pick(True, False):
            known = {"groupId": group, "generationIdOrMemberEpoch": -1, "memberId": ""}
        self.ask(f"commit {group} {topic}", "OffsetCommit", self.pick(5, 8, 9), known | {"topics": [{"name": topic, "partitions": [
            {"partitionIndex": self.partition(), "committedOffset": self.pick(0, 5, -1), "committedMetadata": self.pick("", "m")}]}]})

    def committed(self):
        group = self.group()
        topics = self.pick(None, [{"name": self.topic(), "partitionIndexes": [0, 1, 7]}])
        self.ask(f"committed of {group}", "OffsetFetch", 8, {"groups": [{"groupId": group, "topics": topics}]})

    def forget(self):
        group = self.group()
        self.ask(f"forget of {group}", "OffsetDelete", 0, {"groupId": group, "topics": [{"name": self.topic(), "partitions": [{"partitionIndex": self.partition()}]}]})

    def describe_groups(self):
        self.ask("groups", "DescribeGroups", self.pick(4, 5, 6), {"groups": [*self.groups, "never-was"]})

    def delete_groups(self):
        self.ask("delete groups", "DeleteGroups", 2, {"groupsNames": [self.group()]})

    def list_groups(self):
        answer = self.scene.connect().ask("ListGroups", 5, {"statesFilter": self.pick([], ["Empty"], ["Stable"]), "typesFilter": []})
        self.step += 1
        own = [group for group in answer["groups"] if group["groupId"] in self.groups]
        self.scene.note(f"{self.step} list", sorted(own, key=lambda group: group["groupId"]))

    STEPS = [create, create, create, delete, grow, alter, describe, parts, elect, init, produce, produce, produce, produce, fetch, fetch, offsets,
             epoch, trim, describe_producers, join, join, sync, sync, beat, leave, commit, commit, committed, forget, describe_groups, delete_groups, list_groups]


def scene_of(seed):
    def scene(scene):
        coordinator_ready(scene)
        sequence = Sequence(scene, seed)
        sequence.create()
        for _ in range(STEPS):
            sequence.random.choice(Sequence.STEPS)(sequence)
    scene.__name__ = f"sequence_{seed}"
    return scene


# `SEEDS=301-320` plays others, for a hunt: first on Kafka with REWRITE, and what that writes is not kept.
FIRST, LAST = map(int, os.environ.get("SEEDS", f"1-{SEEDS}").split("-"))
SCENES = [scene_of(seed) for seed in range(FIRST, LAST + 1)]
