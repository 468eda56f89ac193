"""The conversations of the transcript: right and wrong requests, one function a subject.

Topics and groups have fixed names, since every run has a broker of its own; scenes do not share them.
"""

import struct
import time
import uuid

import batches as b
from batches import batch, patched, record
from connection import API_VERSIONS
from transcript import OWN_CONFIGS

BAD_NAMES = ["", ".", "..", "a/b", "a\0b", "a b", "x" * 249, "x" * 250, "ünder", "a\nb", "__consumer_offsets_", "ok.name"]
NO_ID = uuid.UUID(int=0)
SOME_ID = uuid.UUID(int=0x1234)


def create(scene, name, partitions=1, **configs):
    """Not part of the transcript: what a scene needs."""
    with scene.connect() as connection:
        answer = connection.ask("CreateTopics", 4, {"timeoutMs": 10_000, "topics": [
            {"name": name, "numPartitions": partitions, "replicationFactor": 1,
             "configs": [{"name": key.replace("_", "."), "value": value} for key, value in configs.items()]}]})
        assert answer["topics"][0]["errorCode"] == 0, answer
        for partition in range(partitions):
            until_led(connection, name, partition)
    return name


def until_led(connection, name, partition):
    for _ in range(200):
        answer = connection.ask("ListOffsets", 1, list_offsets(name, -1, partition))
        if answer["topics"][0]["partitions"][0]["errorCode"] == 0:
            return
        time.sleep(0.05)
    raise AssertionError(f"{name}-{partition} has no leader")


def coordinator_ready(scene):
    """The offsets topic is made and led when first asked for; until then every answer is `not yet`."""
    with scene.connect() as connection:
        for _ in range(200):
            heartbeat = {"groupId": "ready", "generationId": 1, "memberId": "nobody"}
            if (connection.ask("FindCoordinator", 2, {"key": "ready"})["errorCode"] == 0
                    and connection.ask("Heartbeat", 4, heartbeat)["errorCode"] == 25):
                return
            time.sleep(0.05)
    raise AssertionError("no coordinator")


def produce(topic, records, partition=0, acks=-1, **more):
    return {"acks": acks, "timeoutMs": 10_000,
            "topicData": [{"name": topic, "partitionData": [{"index": partition, "records": records}]}]} | more


def fetch(topic, offset, partition=0, **more):
    part = {"partition": partition, "fetchOffset": offset, "partitionMaxBytes": 1 << 20}
    part |= {key: more.pop(key) for key in list(more) if key in ("partitionMaxBytes", "currentLeaderEpoch", "logStartOffset")}
    return {"maxWaitMs": 100, "minBytes": 1, "maxBytes": 1 << 24, "sessionEpoch": -1,
            "topics": [{"topic": topic, "partitions": [part]}]} | more


def list_offsets(topic, timestamp, partition=0, **more):
    return {"replicaId": -1, "topics": [
        {"name": topic, "partitions": [{"partitionIndex": partition, "timestamp": timestamp} | more]}]}


# ---- frames

def frames(scene):
    good = scene.connect().frame("Metadata", 1, {"topics": None})
    scene.send_raw("length -1", struct.pack(">i", -1))
    scene.send_raw("length 0", struct.pack(">i", 0))
    scene.send_raw("length 2^31-1", struct.pack(">i", 2**31 - 1))
    scene.send_raw("length 100 MiB + 1", struct.pack(">i", 104_857_601))
    scene.send_raw("three bytes of header", struct.pack(">i3s", 3, b"abc"))
    scene.send_raw("header only, no body", struct.pack(">i", 10) + good[4:14])
    scene.send_raw("client id longer than the frame", struct.pack(">ihhih", 12, 3, 1, 1, 500) + b"ab")
    scene.send_raw("client id of length -2", struct.pack(">ihhih", 14, 3, 1, 1, -2) + b"\xff\xff\xff\xff")
    scene.send_raw("http", b"GET / HTTP/1.1\r\nHost: kafka\r\n\r\n")
    scene.send_raw("tls", bytes.fromhex("16030100c8010000c40303") + bytes(200))
    scene.send_raw("a whole frame and half another", good + good[:9], "Metadata", 1)


def lying_bodies(scene):
    raw = scene.connect()

    def body(content, key=3, version=1):
        header = struct.pack(">hhih", key, version, 1, 4) + b"wire" + (b"\0" if version >= 9 and key == 3 else b"")
        return struct.pack(">i", len(header + content)) + header + content
    scene.send_raw("more topics than bytes", body(struct.pack(">i", 1000) + b"\0\1a"))
    scene.send_raw("two thousand million topics", body(struct.pack(">i", 2_000_000_000)))
    scene.send_raw("an array of length -2", body(struct.pack(">i", -2)))
    scene.send_raw("a string beyond the end", body(struct.pack(">ih", 1, 100) + b"a"))
    scene.send_raw("a string of length -1 that may not be null", body(struct.pack(">ih", 1, -1)))
    scene.send_raw("a string that is not UTF-8", body(struct.pack(">ih", 1, 2) + b"\xc3\x28"), "Metadata", 1)
    scene.send_raw("bytes behind the body", body(struct.pack(">i", 0) + b"left over"), "Metadata", 1)
    scene.send_raw("compact array too long", body(b"\xff\xff\xff\xff\x0f", version=9))
    scene.send_raw("varint of six bytes", body(b"\xff\xff\xff\xff\xff\x01", version=9))
    tagged = b"\x01\x00\x00\x00"
    scene.send_raw("an unknown tag", body(tagged + b"\x01\x63\x02hi", version=9), "Metadata", 9)
    scene.send_raw("the same tag twice", body(tagged + b"\x02\x63\x01a\x63\x01b", version=9), "Metadata", 9)
    scene.send_raw("tags out of order", body(tagged + b"\x02\x63\x01a\x62\x01b", version=9), "Metadata", 9)
    scene.send_raw("a tag longer than the frame", body(tagged + b"\x01\x63\x7fhi", version=9))
    scene.send_raw("a million tags announced", body(tagged + b"\xc0\x84\x3d", version=9))
    raw.socket.close()


def unknown_keys_and_versions(scene):
    for label, key, version in [("key 9999", 9999, 0), ("key -1", -1, 0), ("key 4, removed", 4, 0), ("Produce v2", 0, 2),
                                ("Produce v0", 0, 0), ("Produce v99", 0, 99), ("Produce v-1", 0, -1), ("Fetch v3", 1, 3),
                                ("Fetch v99", 1, 99), ("Metadata v99", 3, 99), ("ListOffsets v0", 2, 0),
                                ("JoinGroup v1", 11, 1), ("CreateTopics v1", 19, 1)]:
        content = struct.pack(">hhih", key, version, 1, 4) + b"wire" + bytes(40)
        scene.send_raw(label, struct.pack(">i", len(content)) + content)


SERVED = {*range(4), *range(8, 24), *range(29, 52), 55, 57, 60, 61, 65, 66, 74, 75}


def api_versions(scene):
    with scene.connect() as connection:
        for version in range(5):
            body = {"clientSoftwareName": "wire", "clientSoftwareVersion": "1.0"} if version >= 3 else {}
            answer = connection.ask("ApiVersions", version, body)
            keys = {key["apiKey"]: f"{key['minVersion']}-{key['maxVersion']}" for key in answer["apiKeys"]}
            scene.note(f"v{version}", {"errorCode": answer["errorCode"],
                                       "served": {key: keys.get(key) for key in sorted(SERVED)}})
    for version in (5, 99, 32767):
        content = struct.pack(">hhih", API_VERSIONS, version, 1, 4) + b"wire" + b"\0\5name\2v\0"
        scene.send_raw(f"v{version}", struct.pack(">i", len(content)) + content, "ApiVersions", 0)
    for name, software in [("", "1"), ("bad name", "1"), ("-name", "1"), ("name", "")]:
        with scene.connect() as connection:
            answer = connection.ask("ApiVersions", 3, {"clientSoftwareName": name, "clientSoftwareVersion": software})
            scene.note(f"name '{name}' version '{software}'", {"errorCode": answer["errorCode"]})


# ---- topics

def topic_names(scene):
    for name in BAD_NAMES:
        label = name if len(name) < 100 else f"{len(name)} characters"
        scene.ask(f"create {label!r}", "CreateTopics", 4, {"timeoutMs": 10_000, "topics": [
            {"name": name, "numPartitions": 1, "replicationFactor": 1}]})
    for name in BAD_NAMES[:6]:
        for version, created in ((1, True), (12, True), (12, False)):
            topics = [{"name": name}]
            body = {"topics": topics} | ({"allowAutoTopicCreation": created} if version > 4 else {})
            scene.ask(f"metadata v{version} {name!r}, auto {created}", "Metadata", version, body)
        scene.ask(f"produce {name!r}", "Produce", 9, produce(name, batch()))
        scene.ask(f"fetch {name!r}", "Fetch", 12, fetch(name, 0))
        scene.ask(f"offsets {name!r}", "ListOffsets", 5, list_offsets(name, -1))
        scene.ask(f"delete {name!r}", "DeleteTopics", 4, {"topicNames": [name], "timeoutMs": 10_000})
    create(scene, "names.one")
    scene.ask("collides", "CreateTopics", 4, {"timeoutMs": 10_000, "topics": [
        {"name": "names_one", "numPartitions": 1, "replicationFactor": 1}]})


def create_topics(scene):
    def ask(label, version=4, validate=False, **topic):
        scene.ask(label, "CreateTopics", version, {"timeoutMs": 10_000, "validateOnly": validate, "topics": [
            {"name": "creates", "numPartitions": 1, "replicationFactor": 1} | topic]})
    ask("no partitions", numPartitions=0)
    ask("-2 partitions", numPartitions=-2)
    ask("no replicas", replicationFactor=0)
    ask("two replicas", replicationFactor=2)
    ask("assignment and counts", assignments=[{"partitionIndex": 0, "brokerIds": [0]}])
    ask("assignment to nobody", numPartitions=-1, replicationFactor=-1, assignments=[{"partitionIndex": 0, "brokerIds": [9]}])
    ask("assignment twice to one", numPartitions=-1, replicationFactor=-1, assignments=[{"partitionIndex": 0, "brokerIds": [0, 0]}])
    ask("assignment with a hole", numPartitions=-1, replicationFactor=-1, assignments=[{"partitionIndex": 1, "brokerIds": [0]}])
    ask("unknown config", configs=[{"name": "no.such", "value": "1"}])
    ask("bad config", configs=[{"name": "retention.ms", "value": "soon"}])
    ask("bad config, out of range", configs=[{"name": "segment.bytes", "value": "1"}])
    ask("bad config, not one of", configs=[{"name": "cleanup.policy", "value": "shred"}])
    ask("config null", configs=[{"name": "retention.ms", "value": None}])
    ask("config twice", configs=[{"name": "retention.ms", "value": "1"}, {"name": "retention.ms", "value": "2"}])
    ask("only validated", validate=True)
    ask("only validated, v7", 7, validate=True)
    ask("created")
    ask("again")
    ask("again, only validated", validate=True)
    scene.ask("twice in one request", "CreateTopics", 4, {"timeoutMs": 10_000, "topics": [
        {"name": "creates-2", "numPartitions": 1, "replicationFactor": 1},
        {"name": "creates-2", "numPartitions": 2, "replicationFactor": 1},
        {"name": "creates-3", "numPartitions": 1, "replicationFactor": 1}]})
    for version in range(2, 8):
        ask(f"v{version}", version, name=f"creates-v{version}", numPartitions=2)
    ask("defaults", 5, name="creates-defaults", numPartitions=-1, replicationFactor=-1)
    scene.ask("none", "CreateTopics", 5, {"timeoutMs": 10_000, "topics": []})


def delete_topics(scene):
    for version in range(1, 6):
        name = create(scene, f"deletes-v{version}")
        scene.ask(f"v{version}", "DeleteTopics", version, {"topicNames": [name, "never-was"], "timeoutMs": 10_000})
    name = create(scene, "deletes-v6")
    scene.ask("v6 by name", "DeleteTopics", 6, {"topics": [{"name": name}, {"name": "never-was"}], "timeoutMs": 10_000})
    scene.ask("v6 by unknown id", "DeleteTopics", 6, {"topics": [{"name": None, "topicId": SOME_ID}], "timeoutMs": 10_000})
    scene.ask("v6 by no id", "DeleteTopics", 6, {"topics": [{"name": None, "topicId": NO_ID}], "timeoutMs": 10_000})
    scene.ask("v6 by both", "DeleteTopics", 6, {"topics": [{"name": "a", "topicId": SOME_ID}], "timeoutMs": 10_000})
    scene.ask("none", "DeleteTopics", 4, {"topicNames": [], "timeoutMs": 10_000})
    name = create(scene, "deletes-twice")
    scene.ask("twice", "DeleteTopics", 4, {"topicNames": [name, name], "timeoutMs": 10_000})


def create_partitions(scene):
    create(scene, "grows", 2)

    def ask(label, count, version=1, name="grows", **more):
        validate = more.pop("validateOnly", False)
        scene.ask(label, "CreatePartitions", version, {"timeoutMs": 10_000, "validateOnly": validate, "topics": [
            {"name": name, "count": count, "assignments": None} | more]})
    ask("fewer", 1)
    ask("as many", 2)
    ask("none", 0)
    ask("negative", -1)
    ask("unknown topic", 3, name="never-was")
    ask("assignment to nobody", 3, assignments=[{"brokerIds": [9]}])
    ask("too few assignments", 4, assignments=[{"brokerIds": [0]}])
    ask("only validated", 3, validateOnly=True)
    for version in range(4):
        ask(f"v{version}", 3 + version, version)
    scene.ask("twice", "CreatePartitions", 1, {"timeoutMs": 10_000, "topics": [
        {"name": "grows", "count": 8, "assignments": None}, {"name": "grows", "count": 9, "assignments": None}]})


def metadata(scene):
    create(scene, "meta", 2)
    for version in range(14):
        scene.ask(f"v{version} of one", "Metadata", version, {"topics": [{"name": "meta"}]})
    for version in (1, 4, 9, 12, 13):
        scene.ask(f"v{version} of none", "Metadata", version, {"topics": []})
        answer = scene.connect().ask("Metadata", version, {"topics": None})
        names = [topic["name"] for topic in answer["topics"]]
        scene.note(f"v{version} of all", "has it" if "meta" in names else f"has it not: {names}")
        more = {"allowAutoTopicCreation": False} if version >= 4 else {}
        if version >= 4:
            scene.ask(f"v{version} of an unknown one", "Metadata", version, {"topics": [{"name": "meta-never-was"}]} | more)
    for version in (10, 11):
        scene.ask(f"v{version} by id", "Metadata", version, {"topics": [{"name": None, "topicId": SOME_ID}]})
    for version in (12, 13):
        scene.ask(f"v{version} by unknown id", "Metadata", version, {"topics": [{"name": None, "topicId": SOME_ID}]})
        scene.ask(f"v{version} by id and name", "Metadata", version, {"topics": [{"name": "meta", "topicId": SOME_ID}]})
        scene.ask(f"v{version} by neither", "Metadata", version, {"topics": [{"name": None, "topicId": NO_ID}]})
    scene.ask("the same twice", "Metadata", 9, {"topics": [{"name": "meta"}, {"name": "meta"}]})
    scene.ask("authorized operations", "Metadata", 9, {"topics": [{"name": "meta"}], "includeTopicAuthorizedOperations": True})


def describe_topic_partitions(scene):
    create(scene, "parts-a", 3)
    create(scene, "parts-b", 3)
    both = [{"name": "parts-b"}, {"name": "parts-a"}]
    ask = lambda label, **body: scene.ask(label, "DescribeTopicPartitions", 0, body)
    ask("both", topics=both)
    ask("limit 2", topics=both, responsePartitionLimit=2)
    ask("limit 0", topics=both, responsePartitionLimit=0)
    ask("from a cursor", topics=both, responsePartitionLimit=4, cursor={"topicName": "parts-a", "partitionIndex": 2})
    ask("cursor beyond", topics=both, cursor={"topicName": "parts-b", "partitionIndex": 9})
    ask("cursor negative", topics=both, cursor={"topicName": "parts-b", "partitionIndex": -1})
    ask("unknown and bad", topics=[{"name": "never-was"}, {"name": "a/b"}])
    ask("cursor, not asked for", topics=[{"name": "parts-b"}], cursor={"topicName": "parts-a", "partitionIndex": 0})


def cluster(scene):
    for version in range(3):
        scene.ask(f"v{version}", "DescribeCluster", version, {})
    scene.ask("authorized operations", "DescribeCluster", 1, {"includeClusterAuthorizedOperations": True})
    scene.ask("controllers of a broker", "DescribeCluster", 1, {"endpointType": 2})
    scene.ask("endpoint type 9", "DescribeCluster", 1, {"endpointType": 9})


# ---- produce

def produce_versions(scene):
    topic_id = None
    create(scene, "pv")
    for version in range(3, 13):
        scene.ask(f"v{version}", "Produce", version, produce("pv", batch()))
        scene.ask(f"v{version} unknown topic", "Produce", version, produce("never-was", batch()))
        scene.ask(f"v{version} unknown partition", "Produce", version, produce("pv", batch(), partition=7))
    with scene.connect() as connection:
        topic_id = connection.ask("Metadata", 12, {"topics": [{"name": "pv"}]})["topics"][0]["topicId"]
    by_id = lambda id, **more: {"acks": -1, "timeoutMs": 10_000, "topicData": [
        {"topicId": id, "partitionData": [{"index": 0, "records": batch()} | more]}]}
    scene.ask("v13", "Produce", 13, by_id(topic_id))
    scene.ask("v13 unknown id", "Produce", 13, by_id(SOME_ID))
    scene.ask("v13 no id", "Produce", 13, by_id(NO_ID))
    scene.ask("v13 unknown partition", "Produce", 13, by_id(topic_id, index=9))
    scene.ask("nothing", "Produce", 9, {"acks": -1, "timeoutMs": 10_000, "topicData": []})
    scene.ask("no partition", "Produce", 9, {"acks": -1, "timeoutMs": 10_000, "topicData": [{"name": "pv", "partitionData": []}]})


def produce_acks(scene):
    create(scene, "pa")
    for acks in (1, -1, 2, -2, 100):
        scene.ask(f"acks={acks}", "Produce", 9, produce("pa", batch(), acks=acks))
    # A refused batch that nobody waits for: only a closed connection can tell.
    for label, body in [("unknown topic", produce("never-was", batch(), acks=0)),
                        ("wrong crc", produce("pa", patched(batch(), 30, b"\x77", keep_crc=True), acks=0))]:
        with scene.connect() as connection:
            connection.send(connection.frame("Produce", 9, body))
            scene.note(f"acks=0, {label}", connection.fate())
    with scene.connect() as connection:
        connection.send(connection.frame("Produce", 9, produce("pa", batch(), acks=0)))
        # What is not on the disk yet is not below the high watermark of Ottla: a moment is granted.
        ends = (connection.ask("ListOffsets", 5, list_offsets("pa", -1))["topics"][0]["partitions"][0] for _ in range(200))
        scene.note("acks=0 and then another request", next((end for end in ends if end["offset"] == 3), "never seen"))
    scene.ask("timeout -1", "Produce", 9, produce("pa", batch(), timeoutMs=-1))
    scene.ask("timeout 0", "Produce", 9, produce("pa", batch(), timeoutMs=0))
    scene.ask("a transactional id, a plain batch", "Produce", 9, produce("pa", batch(), transactionalId="tx"))
    scene.ask("the end", "ListOffsets", 5, list_offsets("pa", -1))


def produce_bad_batches(scene):
    create(scene, "bad")
    good, three = batch(), [record(i) for i in range(3)]
    cases = {  # Null records are left out: Kafka never answers them.
        "empty": b"",
        "one byte": b"\0",
        "header cut": good[:40],
        "last byte cut": good[:-1],
        "a byte behind": good + b"\0",
        "two batches": good + good,
        "two batches, the second cut": good + good[:30],
        "wrong crc": patched(good, len(good) - 1, b"\x55", keep_crc=True),
        "magic 0": patched(good, b.MAGIC_AT, b"\0", keep_crc=True),
        "magic 1": patched(good, b.MAGIC_AT, b"\1", keep_crc=True),
        "magic 3": patched(good, b.MAGIC_AT, b"\3", keep_crc=True),
        "magic -1": patched(good, b.MAGIC_AT, b"\xff", keep_crc=True),
        "length 0": patched(good, b.BATCH_LENGTH_AT, struct.pack(">i", 0), keep_crc=True),
        "length -1": patched(good, b.BATCH_LENGTH_AT, struct.pack(">i", -1), keep_crc=True),
        "length too long": patched(good, b.BATCH_LENGTH_AT, struct.pack(">i", len(good)), keep_crc=True),
        "length too short": patched(good, b.BATCH_LENGTH_AT, struct.pack(">i", len(good) - 20), keep_crc=True),
        "length 2^31-1": patched(good, b.BATCH_LENGTH_AT, struct.pack(">i", 2**31 - 1), keep_crc=True),
        "no record": batch([], count=0),
        "count 0": batch(three, count=0, last_delta=2),
        "count too high": batch(three, count=5, last_delta=2),
        "count too low": batch(three, count=2, last_delta=2),
        "count 2^31-1": batch(three, count=2**31 - 1, last_delta=2),
        "count -1": batch(three, count=-1, last_delta=2),
        "last delta too high": batch(three, last_delta=9),
        "last delta too low": batch(three, last_delta=1),
        "last delta -1": batch(three, last_delta=-1),
        "deltas that do not rise": batch([record(0), record(0), record(1)]),
        "deltas with a hole": batch([record(0), record(2)]),
        "deltas from 1": batch([record(1), record(2)]),
        "base offset 77": batch(three, base_offset=77),
        "base offset -5": batch(three, base_offset=-5),
        "control": batch(attributes=0x20),
        "transactional, no producer": batch(attributes=0x10),
        "transactional": batch(attributes=0x10, producer=(4000, 0, 0)),
        "append time claimed": batch(attributes=0x08),
        "delete horizon claimed": batch(attributes=0x40),
        "unknown attribute": batch(attributes=0x80),
        "codec 5": batch(attributes=5),
        "codec 7": batch(attributes=7),
        "gzip of nothing": batch(codec="gzip", payload=b""),
        "gzip of garbage": batch(codec="gzip", payload=b"not gzip at all"),
        "gzip cut": batch(three, codec="gzip", payload=batch(three, codec="gzip")[b.HEADER_BYTES:-9]),
        "snappy of garbage": batch(codec="snappy", payload=b"\xff\xff\xff\xff\x0fnot snappy"),
        "snappy that lies about its size": batch(codec="snappy", payload=b"\xff\xff\xff\x7f\x00a"),
        "lz4 of garbage": batch(codec="lz4", payload=b"not lz4 at all...."),
        "zstd of garbage": batch(codec="zstd", payload=b"not zstd at all..."),
        "gzip, count too high": batch(three, count=5, codec="gzip"),
        "gzip, count too low": batch(three, count=2, last_delta=1, codec="gzip"),
        "zstd, bytes behind the records": batch(three + [b"\0\0\0"], count=3, codec="zstd"),
        "record longer than the batch": batch([b"\x7e" + record()[1:]]),
        "record shorter than its fields": batch([b"\x04" + record()[1:]]),
        "record of length -1": batch([b"\x01" + record()[1:]]),
        "record of length 0": batch([b"\x00"]),
        "varint without end": batch([b"\xff" * 12]),
        "key of length -5": batch([record()[:4] + b"\x09" + record()[5:]]),
        "value longer than the record": batch([record()[:6] + b"\x7e" + record()[7:]]),
        "header count -1": batch([record()[:-1] + b"\x01"]),
        "header count too high": batch([record()[:-1] + b"\x7e"]),
        "header without a key": batch([record(headers=[(None, b"x")])]),
        "header key that is not UTF-8": batch([record(headers=[(b"\xc3\x28", b"x")])]),
        "record attributes": batch([record(attributes=0x7f)]),
        "null key and value": batch([record(key=None, value=None)]),
        "time -1": batch(first_time=-1),
        "time -2": batch(first_time=-2),
        "max time below first": batch(max_time=b.SOME_TIME - 5),
        "max time above all": batch(max_time=b.SOME_TIME + 5),
        "far future": batch(first_time=2**62),
    }
    for label, content in cases.items():
        scene.ask(label, "Produce", 9, produce("bad", content))
    scene.ask("zstd at v3", "Produce", 3, produce("bad", batch(codec="zstd")))
    scene.ask("zstd at v7", "Produce", 7, produce("bad", batch(codec="zstd")))
    scene.ask("the end", "ListOffsets", 5, list_offsets("bad", -1))
    create(scene, "small", max_message_bytes="200")
    scene.ask("too large", "Produce", 9, produce("small", batch([record(value=bytes(300))])))
    scene.ask("just right", "Produce", 9, produce("small", batch([record(value=bytes(100))])))
    scene.ask("two, each fits", "Produce", 9, produce("small", batch([record(value=bytes(70))]) * 2))
    scene.ask("small enough when compressed", "Produce", 9, produce("small", batch([record(value=bytes(5000))], codec="gzip")))
    create(scene, "append", message_timestamp_type="LogAppendTime")
    scene.ask("append time", "Produce", 9, produce("append", batch(three)))
    scene.ask("append time, far future", "Produce", 9, produce("append", batch(first_time=2**62)))


def producer_state(scene):
    create(scene, "seq")
    ask = lambda label, *producer, count=1, **more: scene.ask(label, "Produce", 9, produce(
        "seq", batch([record(i) for i in range(count)], producer=producer, **more)))
    ask("a new producer from 0", 1000, 0, 0, count=3)
    ask("goes on", 1000, 0, 3)
    ask("the same again", 1000, 0, 3)
    ask("an older one again", 1000, 0, 0, count=3)
    ask("part of an older one", 1000, 0, 1)
    ask("a gap", 1000, 0, 9)
    ask("an epoch more, not from 0", 1000, 1, 5)
    ask("an epoch more, from 0", 1000, 1, 0)
    ask("the former epoch", 1000, 0, 4)
    for i in range(1, 8):
        ask(f"five are remembered, {i}", 1000, 1, i)
    ask("the fifth from the end again", 1000, 1, 3)
    ask("the sixth from the end again", 1000, 1, 2)
    ask("an unknown producer, not from 0", 1001, 0, 7)
    ask("just before the wrap", 1002, 0, 2**31 - 2, count=2)
    ask("wrapped", 1002, 0, 0)
    ask("over the wrap", 1003, 0, 2**31 - 2, count=5)
    ask("goes on behind the wrap", 1003, 0, 3)
    ask("sequence -1", 1004, 0, -1)
    ask("sequence -2", 1004, 0, -2)
    ask("epoch -1", 1005, -1, 0)
    ask("producer -2", -2, 0, 0)
    ask("no producer but a sequence", -1, -1, 5)
    two = batch(producer=(1006, 0, 0)) + batch(producer=(1006, 0, 1))
    scene.ask("two batches of a producer", "Produce", 9, produce("seq", two))
    scene.ask("the end", "ListOffsets", 5, list_offsets("seq", -1))


def init_producer_id(scene):
    for _ in range(100):  # Kafka fetches a block of ids first.
        answer = scene.connect().ask("InitProducerId", 0, {"transactionalId": None, "transactionTimeoutMs": 60_000})
        if answer["errorCode"] == 0:
            break
        time.sleep(0.05)
    for version in range(6):
        scene.ask(f"v{version}", "InitProducerId", version, {"transactionalId": None, "transactionTimeoutMs": 60_000})
    scene.ask("an id without an epoch", "InitProducerId", 4, {"transactionalId": None, "transactionTimeoutMs": 1, "producerId": 5})
    scene.ask("an epoch without an id", "InitProducerId", 4, {"transactionalId": None, "transactionTimeoutMs": 1, "producerEpoch": 5})
    scene.ask("both, no transaction", "InitProducerId", 4,
              {"transactionalId": None, "transactionTimeoutMs": 1, "producerId": 5, "producerEpoch": 5})
    scene.ask("empty transactional id", "InitProducerId", 4, {"transactionalId": "", "transactionTimeoutMs": 60_000})


# ---- fetch and offsets

def fetch_versions(scene):
    create(scene, "fv")
    scene.ask("written", "Produce", 9, produce("fv", batch([record(i) for i in range(3)])))
    with scene.connect() as connection:
        topic_id = connection.ask("Metadata", 12, {"topics": [{"name": "fv"}]})["topics"][0]["topicId"]
    for version in range(4, 13):
        scene.ask(f"v{version}", "Fetch", version, fetch("fv", 0))
        scene.ask(f"v{version} unknown topic", "Fetch", version, fetch("never-was", 0))
    for version in range(13, 19):
        by_id = lambda id: {"maxWaitMs": 100, "minBytes": 1, "maxBytes": 1 << 24, "sessionEpoch": -1, "topics": [
            {"topicId": id, "partitions": [{"partition": 0, "fetchOffset": 0, "partitionMaxBytes": 1 << 20}]}]}
        scene.ask(f"v{version}", "Fetch", version, by_id(topic_id))
        scene.ask(f"v{version} unknown id", "Fetch", version, by_id(SOME_ID))
        scene.ask(f"v{version} no id", "Fetch", version, by_id(NO_ID))


def fetch_places(scene):
    create(scene, "places", 2)
    for _ in range(3):
        scene.ask("written", "Produce", 9, produce("places", batch([record(i, value=bytes(500)) for i in range(4)])))
    ask = lambda label, *given, **more: scene.ask(label, "Fetch", 12, fetch("places", *given, **more))
    ask("from the start", 0)
    ask("from inside a batch", 5)
    ask("at the end", 12)
    ask("beyond the end", 13)
    ask("at -1", -1)
    ask("at -2", -2)
    ask("at 2^63-1", 2**63 - 1)
    ask("unknown partition", 0, 5)
    ask("partition -1", 0, -1)
    ask("one byte", 0, maxBytes=1)
    ask("one byte of the partition", 0, partitionMaxBytes=1)
    ask("no byte", 0, maxBytes=0)
    ask("no byte of the partition", 0, partitionMaxBytes=0)
    ask("-1 bytes", 0, maxBytes=-1)
    ask("-1 bytes of the partition", 0, partitionMaxBytes=-1)
    ask("one batch and a bit", 0, partitionMaxBytes=2200)
    ask("more than there is", 8, minBytes=100_000)
    ask("waits -1 ms", 12, maxWaitMs=-1)
    ask("wants -1 bytes", 12, minBytes=-1)
    ask("read committed", 0, isolationLevel=1)
    ask("isolation level 9", 0, isolationLevel=9)
    ask("the right epoch", 0, currentLeaderEpoch=0)
    ask("an epoch to come", 0, currentLeaderEpoch=7)
    ask("a log start of a consumer", 0, logStartOffset=3)
    both = [{"topic": "places", "partitions": [
        {"partition": p, "fetchOffset": 0, "partitionMaxBytes": 1 << 20} for p in (1, 0, 9)]}]
    ask("several partitions", 0, topics=both)
    ask("the same twice", 0, topics=[{"topic": "places", "partitions": [both[0]["partitions"][1]] * 2}])
    ask("nothing", 0, topics=[])
    ask("as a replica that is none", 0, replicaId=5)
    scene.ask("epoch too old", "Fetch", 12, fetch("places", 0, currentLeaderEpoch=-5))


def fetch_sessions(scene):
    create(scene, "sessions", 2)
    part = lambda p, offset: {"partition": p, "fetchOffset": offset, "partitionMaxBytes": 1 << 20}

    def ask(label, session, epoch, parts=(), forgotten=()):
        body = {"maxWaitMs": 50, "minBytes": 1, "maxBytes": 1 << 24, "sessionId": session, "sessionEpoch": epoch,
                "topics": [{"topic": "sessions", "partitions": list(parts)}] if parts else [],
                "forgottenTopicsData": [{"topic": "sessions", "partitions": list(forgotten)}] if forgotten else []}
        if scene.connection is None:
            scene.connection = scene.connect()
        answer = scene.connection.ask("Fetch", 12, body)
        shown = dict(answer)
        shown["sessionId"] = "<session>" if answer["sessionId"] else 0
        scene.note(label, shown)
        return answer
    scene.ask("written", "Produce", 9, produce("sessions", batch()))
    ask("unknown session", 12345, 1)
    ask("epoch without a session", 0, 1)
    ask("no session wanted", 0, -1, [part(0, 0), part(1, 0)])
    session = ask("a full one", 0, 0, [part(0, 0), part(1, 0)])["sessionId"]
    ask("nothing new is wanted", session, 1, [part(0, 1)])
    scene.ask("written", "Produce", 9, produce("sessions", batch(), partition=1))
    ask("only what has changed", session, 2)
    ask("the same epoch again", session, 2)
    ask("an epoch too far", session, 9)
    ask("goes on all the same", session, 3, [part(1, 1)])
    ask("forgets one", session, 4, forgotten=[1])
    scene.ask("written", "Produce", 9, produce("sessions", batch(), partition=1))
    ask("is not told of it", session, 5)
    ask("forgets what it never had", session, 6, forgotten=[7])
    ask("an unknown partition joins", session, 7, [part(9, 0)])
    ask("out of range", session, 8, [part(0, 99)])
    ask("and again without being asked", session, 9)
    ask("the session ends", session, -1, [part(0, 1)])
    ask("and is gone", session, 10)


def offsets(scene):
    create(scene, "offs")
    for i in range(3):
        records = [record(j, 10 * j) for j in range(4)]
        scene.ask("written", "Produce", 9, produce("offs", batch(records, first_time=b.SOME_TIME + 100 * i,
                                                                max_time=b.SOME_TIME + 100 * i + 30)))
    for version in range(1, 12):
        scene.ask(f"v{version}", "ListOffsets", version, list_offsets("offs", -1))
    times = {"earliest": -2, "latest": -1, "of the youngest": -3, "earliest local": -4, "latest tiered": -5,
             "earliest pending upload": -6, "-7": -7, "-100": -100, "0": 0, "the first": b.SOME_TIME, "between": b.SOME_TIME + 15,
             "in the second batch": b.SOME_TIME + 110, "the last": b.SOME_TIME + 230, "after the last": b.SOME_TIME + 231,
             "2^63-1": 2**63 - 1}
    for label, time in times.items():
        scene.ask(label, "ListOffsets", 11, list_offsets("offs", time))
    for version, time in ((6, -3), (7, -3), (7, -4), (8, -4), (8, -5), (9, -5), (10, -6)):
        scene.ask(f"{time} at v{version}", "ListOffsets", version, list_offsets("offs", time))
    scene.ask("unknown topic", "ListOffsets", 9, list_offsets("never-was", -1))
    scene.ask("unknown partition", "ListOffsets", 9, list_offsets("offs", -1, 4))
    scene.ask("an epoch to come", "ListOffsets", 9, list_offsets("offs", -1, currentLeaderEpoch=9))
    scene.ask("read committed", "ListOffsets", 9, list_offsets("offs", -1) | {"isolationLevel": 1})
    twice = list_offsets("offs", -1)
    twice["topics"][0]["partitions"] *= 2
    scene.ask("the same twice", "ListOffsets", 9, twice)
    for version in (2, 3, 4):
        for epoch, current in ((0, -1), (5, -1), (-1, -1), (0, 0), (0, 9)):
            body = {"topics": [{"topic": "offs", "partitions": [
                {"partition": 0, "leaderEpoch": epoch, "currentLeaderEpoch": current}]}]}
            scene.ask(f"end of epoch {epoch}, current {current}, v{version}", "OffsetForLeaderEpoch", version,
                      body | ({"replicaId": -1} if version > 2 else {}))


def delete_records(scene):
    create(scene, "dels")
    for _ in range(3):
        scene.ask("written", "Produce", 9, produce("dels", batch([record(i) for i in range(4)])))

    def ask(label, offset, partition=0, topic="dels", version=2):
        scene.ask(label, "DeleteRecords", version, {"timeoutMs": 5_000, "topics": [
            {"name": topic, "partitions": [{"partitionIndex": partition, "offset": offset}]}]})
    ask("beyond the end", 13)
    ask("-2", -2)
    ask("inside a batch", 5)
    ask("below the start", 3)
    ask("again", 5)
    scene.ask("the start", "ListOffsets", 5, list_offsets("dels", -2))
    scene.ask("fetch below the start", "Fetch", 12, fetch("dels", 4))
    scene.ask("fetch from the start", "Fetch", 12, fetch("dels", 5))
    ask("all", -1)
    for version in range(3):
        ask(f"v{version}", 12, version=version)
    ask("unknown topic", 0, topic="never-was")
    ask("unknown partition", 0, partition=9)
    scene.ask("fetch at the end", "Fetch", 12, fetch("dels", 12))


# ---- groups

def join(group="g", member="", protocols=(("range", b"\0"),), **more):
    return {"groupId": group, "sessionTimeoutMs": 10_000, "rebalanceTimeoutMs": 5_000, "memberId": member,
            "protocolType": "consumer", "protocols": [{"name": name, "metadata": meta} for name, meta in protocols]} | more


def group_errors(scene):
    coordinator_ready(scene)
    ask = lambda label, version, group="g", **more: scene.ask(label, "JoinGroup", version, join(group, **more))
    ask("empty group id", 9, "")
    ask("session too short", 9, sessionTimeoutMs=1)
    ask("session too long", 9, sessionTimeoutMs=2**31 - 1)
    ask("session -1", 9, sessionTimeoutMs=-1)
    ask("unknown member", 9, member="nobody")
    ask("no protocols", 9, protocols=())
    ask("no protocol type", 9, protocolType="")
    ask("member id is required", 9)
    ask("member id is required of all", 4)
    ask("unknown member of a static one", 9, member="nobody", groupInstanceId="one")
    ask("instance id of bad letters", 9, "g2", groupInstanceId="a/b")
    ask("instance id, empty", 9, "g3", groupInstanceId="")
    sync = {"groupId": "g", "generationId": 1, "memberId": "nobody", "assignments": []}
    scene.ask("sync of nobody", "SyncGroup", 5, sync)
    scene.ask("sync without group", "SyncGroup", 5, sync | {"groupId": ""})
    scene.ask("heartbeat of nobody", "Heartbeat", 4, {"groupId": "g", "generationId": 1, "memberId": "nobody"})
    scene.ask("heartbeat of no group", "Heartbeat", 4, {"groupId": "never-was", "generationId": 1, "memberId": "nobody"})
    scene.ask("leave of nobody", "LeaveGroup", 5, {"groupId": "g", "members": [{"memberId": "nobody"}]})
    scene.ask("leave of no group", "LeaveGroup", 5, {"groupId": "never-was", "members": [{"memberId": "nobody"}]})
    scene.ask("leave v2", "LeaveGroup", 2, {"groupId": "never-was", "memberId": "nobody"})
    for version in (0, 4, 5, 6):
        scene.ask(f"describe v{version} of no group", "DescribeGroups", version, {"groups": ["never-was", ""]})
    for version in range(3):
        scene.ask(f"delete v{version} of no group", "DeleteGroups", version, {"groupsNames": ["never-was", ""]})
    scene.ask("offset delete of no group", "OffsetDelete", 0, {"groupId": "never-was", "topics": []})
    for version in range(3):
        scene.ask(f"coordinator v{version}", "FindCoordinator", version, {"key": "g"})
    for version in range(4, 7):
        scene.ask(f"coordinator v{version}", "FindCoordinator", version, {"keyType": 0, "coordinatorKeys": ["g", ""]})
    scene.ask("coordinator of type 9", "FindCoordinator", 4, {"keyType": 9, "coordinatorKeys": ["g"]})
    scene.ask("list of a state that is none", "ListGroups", 4, {"statesFilter": ["Sleepy"]})
    scene.ask("list of a type that is none", "ListGroups", 5, {"typesFilter": ["sleepy"]})


def group_of_one(scene):
    """The whole life of a group with one member, at the newest versions."""
    coordinator_ready(scene)
    create(scene, "grp", 2)
    member = scene.ask("join", "JoinGroup", 9, join("life"))["memberId"]
    joined = scene.ask("join with the id", "JoinGroup", 9, join("life", member, reason="test"))
    generation = joined["generationId"]
    known = {"groupId": "life", "generationId": generation, "memberId": member}
    scene.ask("join again, the same", "JoinGroup", 9, join("life", member))
    generation = known["generationId"] = generation + 1
    sync = lambda **more: known | {"protocolType": "consumer", "protocolName": "range",
                                   "assignments": [{"memberId": member, "assignment": b"mine"}]} | more
    scene.ask("heartbeat before sync", "Heartbeat", 4, known)
    scene.ask("sync of another protocol", "SyncGroup", 5, sync(protocolName="sticky"))
    scene.ask("sync of another type", "SyncGroup", 5, sync(protocolType="connect"))
    scene.ask("sync of another generation", "SyncGroup", 5, sync(generationId=99))
    scene.ask("sync", "SyncGroup", 5, sync())
    scene.ask("sync again", "SyncGroup", 5, sync(assignments=[]))
    scene.ask("heartbeat", "Heartbeat", 4, known)
    scene.ask("heartbeat of another generation", "Heartbeat", 4, known | {"generationId": 99})
    scene.ask("heartbeat of another member", "Heartbeat", 4, known | {"memberId": "nobody"})
    scene.ask("heartbeat with an instance id", "Heartbeat", 4, known | {"groupInstanceId": "one"})
    scene.ask("join of another protocol type", "JoinGroup", 9, join("life", protocolType="connect"))
    scene.ask("join of another protocol", "JoinGroup", 9, join("life", protocols=(("sticky", b""),)))
    for version in range(7):
        scene.ask(f"describe v{version}", "DescribeGroups", version, {"groups": ["life"]})
    for version in range(6):
        answer = scene.connect().ask("ListGroups", version, {})
        answer["groups"] = [group for group in answer["groups"] if group["groupId"] == "life"]
        scene.note(f"list v{version}", answer)
    for version, filters in ((4, {"statesFilter": ["Stable"]}), (4, {"statesFilter": ["stable"]}), (4, {"statesFilter": ["Empty"]}),
                             (5, {"typesFilter": ["classic"]}), (5, {"typesFilter": ["Classic"]}), (5, {"typesFilter": ["consumer"]})):
        answer = scene.connect().ask("ListGroups", version, filters)
        scene.note(f"list {filters}", "has it" if "life" in [group["groupId"] for group in answer["groups"]] else "has it not")
    scene.ask("delete", "DeleteGroups", 2, {"groupsNames": ["life"]})
    commit = lambda **more: {"groupId": "life", "generationIdOrMemberEpoch": generation, "memberId": member, "topics": [
        {"name": "grp", "partitions": [{"partitionIndex": 0, "committedOffset": 5, "committedMetadata": "m"}]}]} | more
    scene.ask("commit", "OffsetCommit", 9, commit())
    scene.ask("commit of another generation", "OffsetCommit", 9, commit(generationIdOrMemberEpoch=99))
    scene.ask("commit of another member", "OffsetCommit", 9, commit(memberId="nobody"))
    scene.ask("commit of nobody", "OffsetCommit", 9, commit(memberId="", generationIdOrMemberEpoch=-1))
    scene.ask("offset delete", "OffsetDelete", 0, {"groupId": "life", "topics": [{"name": "grp", "partitions": [{"partitionIndex": 0}]}]})
    scene.ask("leave of another", "LeaveGroup", 5, {"groupId": "life", "members": [{"memberId": "nobody"}]})
    scene.ask("leave", "LeaveGroup", 5, {"groupId": "life", "members": [{"memberId": member, "reason": "done"}]})
    scene.ask("heartbeat after", "Heartbeat", 4, known)
    scene.ask("describe after", "DescribeGroups", 6, {"groups": ["life"]})
    scene.ask("fetch after", "OffsetFetch", 8, {"groups": [{"groupId": "life", "topics": None}]})
    scene.ask("delete after", "DeleteGroups", 2, {"groupsNames": ["life"]})
    scene.ask("fetch when gone", "OffsetFetch", 8, {"groups": [{"groupId": "life", "topics": None}]})


def static_members(scene):
    coordinator_ready(scene)
    first = scene.ask("join", "JoinGroup", 9, join("still", groupInstanceId="one"))
    known = {"groupId": "still", "generationId": first["generationId"], "memberId": first["memberId"], "groupInstanceId": "one"}
    scene.ask("sync", "SyncGroup", 5, known | {"protocolType": "consumer", "protocolName": "range",
                                               "assignments": [{"memberId": first["memberId"], "assignment": b"mine"}]})
    scene.ask("describe", "DescribeGroups", 5, {"groups": ["still"]})
    second = scene.ask("its double joins", "JoinGroup", 9, join("still", groupInstanceId="one"))
    scene.ask("the first beats", "Heartbeat", 4, known)
    scene.ask("the first syncs", "SyncGroup", 5, known | {"protocolType": "consumer", "protocolName": "range", "assignments": []})
    scene.ask("the first joins", "JoinGroup", 9, join("still", first["memberId"], groupInstanceId="one"))
    scene.ask("the first commits", "OffsetCommit", 9, {
        "groupId": "still", "generationIdOrMemberEpoch": first["generationId"], "memberId": first["memberId"], "groupInstanceId": "one",
        "topics": []})
    now = known | {"memberId": second["memberId"], "generationId": second["generationId"]}
    scene.ask("the second syncs", "SyncGroup", 5, now | {"protocolType": "consumer", "protocolName": "range", "assignments": []})
    scene.ask("the second beats", "Heartbeat", 4, now)
    scene.ask("unknown instance leaves", "LeaveGroup", 5, {"groupId": "still", "members": [{"memberId": "", "groupInstanceId": "two"}]})
    scene.ask("removed by its instance", "LeaveGroup", 5, {"groupId": "still", "members": [{"memberId": "", "groupInstanceId": "one"}]})
    scene.ask("describe after", "DescribeGroups", 5, {"groups": ["still"]})


def join_versions(scene):
    coordinator_ready(scene)
    for version in range(2, 10):
        answer = scene.ask(f"v{version}", "JoinGroup", version, join(f"join-v{version}"))
        if answer["errorCode"]:
            answer = scene.ask(f"v{version} again", "JoinGroup", version, join(f"join-v{version}", answer["memberId"]))
        known = {"groupId": f"join-v{version}", "generationId": answer["generationId"], "memberId": answer["memberId"]}
        mine = [{"memberId": answer["memberId"], "assignment": b"v"}]
        names = {"protocolType": "consumer", "protocolName": "range"} if version > 5 else {}
        scene.ask(f"v{version} sync", "SyncGroup", min(version - 2, 5), known | {"assignments": mine} | (names if version > 6 else {}))
        scene.ask(f"v{version} beat", "Heartbeat", min(version - 2, 4), known)
        leave = {"groupId": known["groupId"]}
        leave |= {"memberId": known["memberId"]} if version < 5 else {"members": [{"memberId": known["memberId"]}]}
        scene.ask(f"v{version} leave", "LeaveGroup", min(version - 2, 5), leave)


def committed_offsets(scene):
    coordinator_ready(scene)
    create(scene, "commits", 3)

    def commit(label, version=9, topic="commits", partition=0, offset=7, metadata="", group="simple", **more):
        part = {"partitionIndex": partition, "committedOffset": offset, "committedMetadata": metadata}
        scene.ask(label, "OffsetCommit", version, {
            "groupId": group, "generationIdOrMemberEpoch": -1, "memberId": "",
            "topics": [{"name": topic, "partitions": [part | more]}]})
    for version in range(2, 10):
        commit(f"v{version}", version, offset=version)
    commit("to an empty group id", group="")
    commit("unknown topic", topic="never-was")
    commit("unknown partition", partition=9)
    commit("bad topic name", topic="a/b")
    commit("offset -1", partition=1, offset=-1)
    commit("offset -5", partition=2, offset=-5)
    commit("metadata null", partition=1, metadata=None)
    commit("metadata of 4096", partition=1, metadata="m" * 4096)
    commit("metadata of 4097", partition=1, metadata="m" * 4097)
    commit("leader epoch", partition=2, committedLeaderEpoch=3)
    scene.ask("nothing", "OffsetCommit", 9, {"groupId": "simple", "generationIdOrMemberEpoch": -1, "memberId": "", "topics": []})
    scene.ask("generation without members", "OffsetCommit", 9, {
        "groupId": "simple", "generationIdOrMemberEpoch": 5, "memberId": "x", "topics": []})
    for version in range(1, 8):
        scene.ask(f"fetch v{version}", "OffsetFetch", version, {"groupId": "simple", "topics": [
            {"name": "commits", "partitionIndexes": [0, 1, 9]}, {"name": "never-was", "partitionIndexes": [0]}]})
    scene.ask("fetch v2 of all", "OffsetFetch", 2, {"groupId": "simple", "topics": None})
    scene.ask("fetch v5 of an unknown group", "OffsetFetch", 5, {"groupId": "never-was", "topics": None})
    for version in (8, 9):
        scene.ask(f"fetch v{version} of several", "OffsetFetch", version, {"requireStable": True, "groups": [
            {"groupId": "simple", "topics": None},
            {"groupId": "never-was", "topics": [{"name": "commits", "partitionIndexes": [0]}]}, {"groupId": "", "topics": None}]})
    scene.ask("delete unknown", "OffsetDelete", 0, {"groupId": "simple", "topics": [
        {"name": "commits", "partitions": [{"partitionIndex": 0}, {"partitionIndex": 8}]},
        {"name": "never-was", "partitions": [{"partitionIndex": 0}]}]})
    scene.ask("what is left", "OffsetFetch", 8, {"groups": [{"groupId": "simple", "topics": None}]})
    scene.ask("describe", "DescribeGroups", 5, {"groups": ["simple"]})


# ---- configs

def configs(scene):
    create(scene, "cfg", retention_ms="1000")
    topic, broker = {"resourceType": 2, "resourceName": "cfg"}, {"resourceType": 4, "resourceName": "0"}
    keys = ["retention.ms", "cleanup.policy", "max.message.bytes", "no.such"]
    for version in range(1, 5):
        scene.ask(f"describe v{version}", "DescribeConfigs", version, {"resources": [topic | {"configurationKeys": keys}]})
    scene.ask("describe with synonyms", "DescribeConfigs", 4, {"includeSynonyms": True, "resources": [
        topic | {"configurationKeys": ["retention.ms", "segment.bytes", "compression.type"]}]})
    with scene.connect() as connection:
        answer = connection.ask("DescribeConfigs", 4, {"resources": [topic | {"configurationKeys": None}]})
        found = sorted((c["name"], c["value"], c["configSource"], c["isSensitive"], c["readOnly"], c["configType"])
                       for c in answer["results"][0]["configs"])
        for one in found:
            if one[0] not in OWN_CONFIGS:
                scene.note(f"of the topic: {one[0]}".replace(": ", " "), list(one))
    scene.ask("describe of the broker", "DescribeConfigs", 4, {"resources": [broker | {"configurationKeys": ["num.partitions"]}]})
    ask = lambda label, **resource: scene.ask(f"describe {label}", "DescribeConfigs", 4, {"resources": [resource | {"configurationKeys": []}]})
    ask("of an unknown topic", resourceType=2, resourceName="never-was")
    ask("of a bad topic", resourceType=2, resourceName="a/b")
    ask("of an unknown broker", resourceType=4, resourceName="9")
    ask("of a broker that is no number", resourceType=4, resourceName="x")
    ask("of an unknown kind", resourceType=77, resourceName="x")

    def alter(label, *changes, version=1, resource=topic, **more):
        entries = [{"name": name, "configOperation": how, "value": value} for name, how, value in changes]
        scene.ask(label, "IncrementalAlterConfigs", version, {"resources": [resource | {"configs": entries}]} | more)
    alter("set", ("retention.ms", 0, "2000"))
    alter("set v0", ("retention.ms", 0, "3000"), version=0)
    alter("set a wrong value", ("retention.ms", 0, "soon"))
    alter("set to null", ("retention.ms", 0, None))
    alter("set an unknown key", ("no.such", 0, "1"))
    alter("append to no list", ("retention.ms", 2, "1"))
    alter("append to a list", ("leader.replication.throttled.replicas", 2, "0:0"))
    alter("subtract from a list", ("leader.replication.throttled.replicas", 3, "0:0"))
    # An operation that is none is left out: it makes the controller of Kafka resign (a NullPointerException).
    alter("twice the same key", ("retention.ms", 0, "1"), ("retention.ms", 0, "2"))
    alter("only validated", ("retention.ms", 0, "9"), validateOnly=True)
    alter("delete", ("retention.ms", 1, None))
    alter("nothing")
    alter("an unknown topic", ("retention.ms", 0, "1"), resource={"resourceType": 2, "resourceName": "never-was"})
    alter("an unknown kind", ("a", 0, "1"), resource={"resourceType": 77, "resourceName": "x"})
    alter("out of range", ("max.message.bytes", 0, "-1"))
    alter("not one of", ("message.timestamp.type", 0, "Yesterday"))
    scene.ask("the same resource twice", "IncrementalAlterConfigs", 1, {"resources": [
        topic | {"configs": [{"name": "retention.ms", "configOperation": 0, "value": "5"}]}] * 2})
    for version in range(3):
        scene.ask(f"alter v{version}", "AlterConfigs", version, {"resources": [
            topic | {"configs": [{"name": "retention.ms", "value": str(100 + version)}]}]})
    scene.ask("alter to a wrong value", "AlterConfigs", 2, {"resources": [topic | {"configs": [{"name": "retention.ms", "value": "x"}]}]})
    scene.ask("alter to null", "AlterConfigs", 2, {"resources": [topic | {"configs": [{"name": "retention.ms", "value": None}]}]})
    scene.ask("alter drops the others", "AlterConfigs", 2, {"resources": [topic | {"configs": [{"name": "segment.ms", "value": "9999999"}]}]})
    for _ in range(100):  # A broker of Kafka hears of it a moment later.
        now = scene.connect().ask("DescribeConfigs", 4, {"resources": [topic | {"configurationKeys": ["segment.ms"]}]})
        if now["results"][0]["configs"][0]["value"] == "9999999":
            break
        time.sleep(0.05)
    scene.ask("at last", "DescribeConfigs", 4, {"resources": [topic | {"configurationKeys": ["retention.ms", "segment.ms"]}]})


SCENES = [frames, lying_bodies, unknown_keys_and_versions, api_versions, topic_names, create_topics, delete_topics, create_partitions,
          metadata, describe_topic_partitions, cluster, produce_versions, produce_acks, produce_bad_batches, producer_state,
          init_producer_id, fetch_versions, fetch_places, fetch_sessions, offsets, delete_records, group_errors, group_of_one,
          static_members, join_versions, committed_offsets, configs]
