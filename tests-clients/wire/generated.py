"""Requests by chance: each API at each of its versions, from Kafka's own schemas, with what is right, wrong and absurd in
every field. The seed is fixed, so that Kafka was asked the same; a scene of a name is the same in every run.

What the fields are filled with is in `VALUES`, by the name of the field or by `Api.field`.
"""

import os
import random
import time
import uuid

from batches import SOME_TIME, batch, record
from scenes import NO_ID, SOME_ID, coordinator_ready, create, produce
from schema import NUMBERS

TOPICS = ["gen-a", "gen-a", "gen-b", "never-was", "a/b", ""]
GROUPS = ["gen-group", "gen-group", "never-was", ""]
PARTITIONS = [0, 0, 0, 1, 1, 9, -1, 2**31 - 1]
TIMEOUTS = [10_000]
EPOCHS = [-1, -1, -1, 0, 7, -5]
# Where the first of several errors is that of a hash map.
ALONE = {"UpdateFeatures", "AlterClientQuotas"}
# By how many cases each version of an API is asked.
CASES = 12
# `CHANCE=x` asks other requests, for a hunt: first on Kafka with REWRITE, and what that writes is not kept.
OTHERWISE = os.environ.get("CHANCE", "")
MAX_ELEMENTS = 3
IDS = "ids of topics"  # Stands for those of TOPICS, which are known only once they are made.

VALUES = {
    "topic": TOPICS, "topicName": TOPICS, "topicId": IDS, "partition": PARTITIONS, "partitionIndex": PARTITIONS,
    "partitionIndexes": PARTITIONS, "partitions": PARTITIONS, "partitionId": PARTITIONS, "groupId": GROUPS,
    "timeoutMs": TIMEOUTS, "currentLeaderEpoch": EPOCHS, "leaderEpoch": EPOCHS, "isolationLevel": [0, 0, 1],
    "groupInstanceId": [None, None, None, "static", ""], "memberId": ["", "", "nobody"], "generationId": [-1, 0, 1, 99, -7],
    "protocolType": ["consumer", "consumer", "connect", "", None], "protocolName": ["range", "range", "sticky", None],
    "reason": [None, "", "why"], "validateOnly": [True],
    "clusterId": [None, "another"], "brokerIds": [0, 0, 1, -1], "replicas": [0, 0, 1, -1],
    "Produce.name": TOPICS, "Produce.transactionalId": [None], "Produce.acks": [-1, -1, 1, 5],
    "Produce.index": PARTITIONS,
    "Fetch.replicaId": [-1], "Fetch.replicaState": [{}], "Fetch.maxWaitMs": [0, -1, 20], "Fetch.minBytes": [0, 1, -1],
    "Fetch.maxBytes": [0, 1, 300, 1 << 20, 2**31 - 1], "Fetch.partitionMaxBytes": [0, 1, 1 << 20], "Fetch.sessionId": [0, 0, 0, 99],
    "Fetch.sessionEpoch": [-1, -1, -1, 1, 5], "Fetch.fetchOffset": [0, 0, 2, 6, 9, 10, -1, 2**63 - 1],
    "Fetch.logStartOffset": [-1, 3], "Fetch.lastFetchedEpoch": [-1], "Fetch.highWatermark": [2**63 - 1],
    "Fetch.replicaDirectoryId": [NO_ID], "Fetch.rackId": ["", "here"],
    "ListOffsets.replicaId": [-1, -1, -2], "ListOffsets.name": TOPICS, "ListOffsets.timeoutMs": [0, 1000],
    "ListOffsets.timestamp": [-1, -2, -3, -4, -5, -6, -7, 0, SOME_TIME, SOME_TIME + 15, 2**63 - 1],
    "Metadata.name": [*TOPICS, None], "Metadata.allowAutoTopicCreation": [False],
    "OffsetCommit.name": TOPICS, "OffsetCommit.committedOffset": [5, 0, -1, -2, 2**63 - 1], "OffsetCommit.generationIdOrMemberEpoch": [-1, -1, 0, 5, -7],
    "OffsetCommit.committedMetadata": ["", None, "m", "m" * 4097], "OffsetCommit.committedLeaderEpoch": [-1, 3],
    "OffsetCommit.retentionTimeMs": [-1, 5], "OffsetCommit.groupId": ["gen-commits", "gen-commits", ""],
    "OffsetCommit.commitTimestamp": [-1],
    "OffsetFetch.name": TOPICS, "OffsetFetch.memberEpoch": [-1, 0, 5], "OffsetFetch.memberId": [None, "", "nobody"],
    "FindCoordinator.key": ["gen-group", ""], "FindCoordinator.coordinatorKeys": ["gen-group", "", "x"],
    "FindCoordinator.keyType": [0, 0, 2, 9, -1],
    "JoinGroup.groupId": ["gen-joins-", ""], "JoinGroup.sessionTimeoutMs": [10_000, 10_000, 1, -1, 2**31 - 1],
    "JoinGroup.rebalanceTimeoutMs": [10_000, 1000], "JoinGroup.name": ["range", "sticky", ""], "JoinGroup.metadata": [b"", b"m"],
    "SyncGroup.assignment": [b"", b"a"],
    "LeaveGroup.memberId": ["", "nobody"],
    "DescribeGroups.groups": GROUPS, "DeleteGroups.groupsNames": ["never-was", "never-was-too", ""],
    "ListGroups.statesFilter": ["Dead", "Sleepy"], "ListGroups.typesFilter": ["share", "sleepy"],
    "CreateTopics.name": ["gen-a", "gen-a", "gen-new", "gen.a", "a/b", "", "__consumer_offsets"],
    "CreateTopics.numPartitions": [1, 1, 3, -1, 0, -2], "CreateTopics.replicationFactor": [1, 1, -1, 0, 2, -2],
    "CreatableTopicConfig.name": ["retention.ms", "cleanup.policy", "no.such", "segment.bytes", ""],
    "CreatableTopicConfig.value": ["1", "delete", "", None, "compact,delete", "104857600"],
    "CreatePartitions.name": TOPICS, "CreatePartitions.count": [3, 4, 2, 1, 0, -1, 2**31 - 1],
    "DeleteTopics.name": ["never-was", "a/b", "", None], "DeleteTopics.topicNames": ["never-was", "a/b", ""],
    "DeleteTopics.topicId": [SOME_ID, NO_ID],
    "DeleteRecords.name": TOPICS, "DeleteRecords.offset": [0, 0, 1, -1, -2, 99],
    "OffsetForLeaderEpoch.replicaId": [-1, -2], "OffsetForLeaderEpoch.leaderEpoch": [0, 0, 1, -1, 99],
    "InitProducerId.transactionalId": [None, None, ""], "InitProducerId.transactionTimeoutMs": [60_000, 0, -1],
    "InitProducerId.producerId": [-1, -1, 5, -7], "InitProducerId.producerEpoch": [-1, -1, 5, 32767],
    "DescribeConfigs.resourceType": [2, 2, 4, 16, 32, 77, 0, -1], "DescribeConfigs.resourceName": ["gen-a", "gen-a", "", "9", "x", "never-was"],
    "DescribeConfigs.configurationKeys": ["retention.ms", "no.such", "cleanup.policy"], "DescribeConfigs.includeDocumentation": [False],
    "resourceType": [2, 2, 2, 4, 16, 32, 77, 0, -1], "resourceName": ["gen-a", "gen-a", "", "9", "x", "never-was"],
    "AlterConfigs.name": ["retention.ms", "segment.bytes", "no.such", "cleanup.policy", "", "interval.ms"],
    "AlterConfigs.value": ["1", "", None, "compact", "-5", " 7 "],
    "IncrementalAlterConfigs.name": ["retention.ms", "segment.bytes", "no.such", "cleanup.policy", "", "interval.ms"],
    "IncrementalAlterConfigs.value": ["1", "", None, "compact", "-5", " 7 "], "IncrementalAlterConfigs.configOperation": [0, 0, 1, 2, 3],
    "AlterReplicaLogDirs.name": TOPICS, "AlterReplicaLogDirs.path": ["/no/such", "relative", ""],
    "CreateAcls.resourceType": [2, 3, 1, 0], "DescribeDelegationToken.principalType": ["User", "Group"],
    "ElectLeaders.electionType": [0, 0, 1, 9], "AlterPartitionReassignments.name": TOPICS,
    "AlterPartitionReassignments.replicas": [9, 1, -1], "ListPartitionReassignments.name": TOPICS,
    "OffsetDelete.name": TOPICS, "OffsetDelete.groupId": GROUPS,
    "entityType": ["client-id", "user", "ip", "planet", ""], "entityName": ["x", "", None, "10.0.0.1"], "matchType": [0, 1, 2, 9], "match": ["x", None, ""],
    "AlterClientQuotas.key": ["producer_byte_rate", "consumer_byte_rate", "no.such", "request_percentage", "connection_creation_rate"],
    "AlterClientQuotas.value": [1.0, 0.0, -1.0, 1e6, 0.5], "AlterClientQuotas.remove": [False, False, True],
    "DescribeUserScramCredentials.name": ["nobody", "", "x"],
    "AlterUserScramCredentials.name": ["x", "y", ""], "mechanism": [1, 2, 0, 9, -1], "iterations": [4096, 1, 99999],
    "salt": [b"s", b""], "saltedPassword": [b"p", b""],
    "UpdateFeatures.feature": ["metadata.version", "no.such", ""], "UpdateFeatures.maxVersionLevel": [33, 0, 99, -1],
    "UpdateFeatures.upgradeType": [1, 2, 9], "UpdateFeatures.allowDowngrade": [False, True],
    "DescribeCluster.endpointType": [1, 1, 2, 9], "DescribeProducers.name": TOPICS,
    "DescribeTransactions.transactionalIds": ["never-was", ""], "ListTransactions.stateFilters": ["Ongoing", "Sleepy"],
    "ListTransactions.producerIdFilters": [7, -1], "ListTransactions.durationFilter": [-1, 5], "ListTransactions.transactionalIdPattern": [None, "", "a.*", "["],
    "ListConfigResources.resourceTypes": [16, 32, 77, 0],
    "DescribeTopicPartitions.name": TOPICS[:-1], "DescribeTopicPartitions.responsePartitionLimit": [2000, 1, 2, 0, -1],
    "brokerId": [9, -1], "controllerId": [9, -1], "voterId": [9, -1, 0],
}
# ListGroups comes before the groups whose members are gone after a while.
APIS = ["ListGroups", "Produce", "Fetch", "ListOffsets", "Metadata", "OffsetCommit", "OffsetFetch", "FindCoordinator", "JoinGroup", "Heartbeat",
        "LeaveGroup", "SyncGroup", "DescribeGroups", "CreateTopics", "CreatePartitions", "DeleteTopics", "DeleteRecords",
        "InitProducerId", "OffsetForLeaderEpoch", "DescribeConfigs", "AlterConfigs", "IncrementalAlterConfigs",
        "AlterReplicaLogDirs", "ElectLeaders", "AlterPartitionReassignments", "ListPartitionReassignments", "OffsetDelete",
        "DescribeClientQuotas", "AlterClientQuotas", "DescribeUserScramCredentials", "AlterUserScramCredentials", "UpdateFeatures",
        "DescribeProducers", "DescribeTransactions", "ListTransactions", "DescribeTopicPartitions", "DeleteGroups",
        "CreateAcls", "DescribeAcls", "DeleteAcls"]


# Where Kafka brings together what is asked twice, in the order of a hash map; `odd_scenes.py` asks twice.
ONCE = {"Produce", "Fetch", "ListOffsets", "OffsetForLeaderEpoch", "OffsetDelete", "DeleteTopics", "ElectLeaders", "JoinGroup"}


def distinct(elements):
    """One of each name or number."""
    key = lambda each: next(iter(each.values()), None) if isinstance(each, dict) else each
    return list({str(key(each)): each for each in elements}.values())


class Generator:
    def __init__(self, schemas, api, ids):
        self.request, self.api, self.ids = schemas.request(api), api, ids

    def body(self, version, case):
        self.chance = random.Random(f"{self.api} {version} {case}{OTHERWISE}")
        return self.struct(self.request.root, self.api, version)

    def struct(self, fields, name, version):
        return {field.name: self.value(field, name, version) for field in fields
                if version in field.versions and not (version in field.tagged and self.chance.random() < 0.7)}

    def value(self, field, owner, version):
        if not field.is_array:
            is_struct = field.element in self.request.structs
            if is_struct and version in field.nullable and self.chance.random() < 0.6:
                return None
            return self.element(field, owner, version)
        if version in field.nullable and self.chance.random() < 0.15:
            return None
        count = self.chance.choice((0, 1, 1, 1, 2, MAX_ELEMENTS))
        elements = [self.element(field, owner, version) for _ in range(min(count, 1) if self.api in ALONE else count)]
        return distinct(elements) if self.api in ONCE else elements

    def element(self, field, owner, version):
        if field.element in self.request.structs and not (values := VALUES.get(f"{self.api}.{field.name}")):
            return self.struct(self.request.structs[field.element], field.element, version)
        values = (VALUES.get(f"{owner}.{field.name}") or VALUES.get(f"{self.api}.{field.name}") or VALUES.get(field.name)
                  or self.any_of(field))
        value = self.chance.choice(self.ids if values is IDS else values)
        if value is None and (field.is_array or version not in field.nullable):
            return ""
        if (self.api, value) == ("Fetch", NO_ID):
            return SOME_ID  # Kafka stumbles over it now and then.
        if self.api == "Metadata" and version < 4 and value == "never-was":
            return "a/b"  # It would be made.
        if value == "gen-joins-":  # A group of its own: nobody is waited for.
            return f"gen-joins-{version}-{self.chance.randrange(10**9)}"
        return value

    def any_of(self, field):
        if field.element == "records":
            return [batch(), batch([record(0), record(1)]), b"", batch()[:-1], batch(count=9)]
        if field.element in NUMBERS:
            return [0, 1, -1]
        return {"bool": [False, True], "string": ["", "x"], "bytes": [b"", b"x"], "uuid": [NO_ID, SOME_ID]}[field.element]


def play(scene, api, ids):
    generator = Generator(scene.schemas, api, ids)
    versions = generator.request.versions
    for version in range(versions.first, versions.last + 1):
        if (api, version) == ("InitProducerId", 6):
            continue  # Not stable yet: nobody serves it.
        for case in range(CASES):
            body = generator.body(version, case)
            scene.ask(f"v{version} {case}", api, version, body)


def made(scene):
    """What the requests are about; ids in the order of names."""
    with scene.connect() as connection:
        topics = connection.ask("Metadata", 12, {"topics": [{"name": "gen-a"}, {"name": "gen-b"}], "allowAutoTopicCreation": False})["topics"]
        if any(topic["errorCode"] for topic in topics):
            coordinator_ready(scene)
            create(scene, "gen-a", 2)
            create(scene, "gen-b", 1, cleanup_policy="compact")
            for place in range(3):
                for name in ("gen-a", "gen-b"):
                    records = [record(i, 10 * i) for i in range(3)]
                    connection.ask("Produce", 9, produce(name, batch(records, first_time=SOME_TIME + 100 * place)))
            until_producer_ids(connection)
            connection.ask("OffsetCommit", 9, {"groupId": "gen-group", "generationIdOrMemberEpoch": -1, "memberId": "", "topics": [
                {"name": "gen-a", "partitions": [{"partitionIndex": 0, "committedOffset": 5, "committedMetadata": "m"}]}]})
            topics = connection.ask("Metadata", 12, {"topics": [{"name": "gen-a"}, {"name": "gen-b"}]})["topics"]
        ids = {topic["name"]: topic["topicId"] for topic in topics}
    return [ids["gen-a"], ids["gen-a"], ids["gen-b"], SOME_ID, NO_ID]


def until_producer_ids(connection):
    """Kafka's broker asks its controller for a block of ids first."""
    for _ in range(200):
        if connection.ask("InitProducerId", 4, {"transactionalId": None, "transactionTimeoutMs": 60_000})["errorCode"] == 0:
            return
        time.sleep(0.05)
    raise AssertionError("no producer ids")


def scene_of(api):
    def scene(scene):
        play(scene, api, made(scene))
    scene.__name__ = f"any_{api}"
    return scene


SCENES = [scene_of(api) for api in APIS]
