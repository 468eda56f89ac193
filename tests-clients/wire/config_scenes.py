"""What may be configured: every key of the broker with all that is told of it, and odd values for every key that can be
altered, of brokers and of topics; who belongs to the cluster; what a topic's compression makes of batches.

They come after `admin_scenes.py` on the same broker.
"""

import struct
import time
import zlib

import batches as b
from batches import batch, record
from scenes import NO_ID, SOME_ID, create, fetch, list_offsets, produce
from transcript import OWN_CONFIGS

TOPIC, BROKER, CLIENT_METRICS, GROUP = 2, 4, 16, 32
SET = 0
# Different in each run.
OWN_VALUES = {"advertised.listeners", "controller.quorum.voters", "listeners", "log.dirs"}
BOOLEAN, STRING, INT, SHORT, LONG, DOUBLE, LIST, CLASS, PASSWORD = range(1, 10)
ODD_VALUES = {
    BOOLEAN: ["maybe", "TRUE", " true "], STRING: ["x", ""], SHORT: ["0", "x", "40000"],
    INT: ["-2", "-1", "0", "1", "x", "2147483648", " 7 ", "+5", "1.5", "1k"],
    LONG: ["-3", "-2", "-1", "0", "1", "x", "9223372036854775808", "9223372036854775807", "1h"],
    DOUBLE: ["-1", "0.5", "1.1", "x"], LIST: ["", "a,b", "*", "0:0", "compact,delete", "delete,"], CLASS: ["no.such.Class"],
    PASSWORD: ["secret"],
}


def described(scene, kind, name):
    with scene.connect() as connection:
        answer = connection.ask("DescribeConfigs", 4, {"includeSynonyms": True, "includeDocumentation": True, "resources": [
            {"resourceType": kind, "resourceName": name, "configurationKeys": None}]})
        return sorted(answer["results"][0]["configs"], key=lambda config: config["name"])


def is_own(name):
    """Ottla's own keys, which Kafka does not have."""
    return name in OWN_CONFIGS or name.startswith("ottla.") or name == "log.durability"


def broker_configs(scene):
    for config in described(scene, BROKER, "0"):
        name = config["name"]
        if is_own(name):
            continue
        shown = {key: config[key] for key in ("value", "readOnly", "configSource", "isSensitive", "configType")}
        shown["synonyms"] = [[synonym["name"], synonym["value"], synonym["source"]] for synonym in config["synonyms"]]
        shown["documented"] = bool(config["documentation"])
        if name in OWN_VALUES:
            shown["value"] = shown["value"] is not None
            shown["synonyms"] = [synonym[::2] for synonym in shown["synonyms"]]
        scene.note(name, shown)


def altered(scene, label, kind, name, key, value):
    scene.ask(label, "IncrementalAlterConfigs", 1, {"validateOnly": True, "resources": [
        {"resourceType": kind, "resourceName": name, "configs": [{"name": key, "configOperation": SET, "value": value}]}]})


def broker_configs_altered(scene):
    """Each key that may be altered while the broker runs, and some that may not."""
    for config in described(scene, BROKER, "0"):
        key = config["name"]
        if is_own(key):
            continue
        values = ODD_VALUES[config["configType"]]
        for value in values[:1] if config["readOnly"] else values:
            # One in twenty of those that may not be, whichever others there are.
            if not config["readOnly"] or zlib.crc32(key.encode()) % 20 == 0:
                for name in ("0", ""):
                    altered(scene, f"{key}='{value}' of '{name}'".replace(": ", " "), BROKER, name, key, value)
    altered(scene, "an unknown key", BROKER, "0", "no.such", "1")


def topic_configs_altered(scene):
    create(scene, "odd-values")
    for config in described(scene, TOPIC, "odd-values"):
        if not is_own(config["name"]):
            for value in ODD_VALUES[config["configType"]]:
                altered(scene, f"{config['name']}='{value}'".replace(": ", " "), TOPIC, "odd-values", config["name"], value)


def broker_configs_followed(scene):
    """What is set for all brokers holds for topics that do not say otherwise, while they are open."""
    create(scene, "follows")

    def alter(key, value, how=SET):
        with scene.connect() as connection:
            answer = connection.ask("IncrementalAlterConfigs", 1, {"resources": [{"resourceType": BROKER, "resourceName": "", "configs": [
                {"name": key, "configOperation": how, "value": value}]}]})
            assert answer["responses"][0]["errorCode"] == 0, answer
        time.sleep(1)
    ask = lambda label: scene.ask(label, "DescribeConfigs", 4, {"includeSynonyms": True, "resources": [
        {"resourceType": TOPIC, "resourceName": "follows", "configurationKeys": ["max.message.bytes", "message.timestamp.type"]}]})
    large = produce("follows", batch([record(value=bytes(500))]))
    ask("before")
    scene.ask("a large one before", "Produce", 9, large)
    alter("message.max.bytes", "300")
    alter("log.message.timestamp.type", "LogAppendTime")
    ask("while it is set")
    scene.ask("a large one", "Produce", 9, large)
    scene.ask("a small one", "Produce", 9, produce("follows", batch()))
    alter("message.max.bytes", None, 1)
    alter("log.message.timestamp.type", None, 1)
    ask("after")
    scene.ask("a large one after", "Produce", 9, large)


def cluster_members(scene):
    with scene.connect() as connection:
        cluster = connection.ask("DescribeCluster", 0, {})["clusterId"]
    for id in (9, -1):  # Not its own: Kafka would be no use any more.
        scene.ask(f"broker {id} is unregistered", "UnregisterBroker", 0, {"brokerId": id})
    for id in (9, 0, -1):
        scene.ask(f"controller {id} is unregistered", "UnregisterController", 0, {"controllerId": id})
    listeners = lambda *names: [{"name": name, "host": "box", "port": 65530 + place} for place, name in enumerate(names)]
    voter = {"clusterId": cluster, "timeoutMs": 5000, "voterId": 9, "voterDirectoryId": SOME_ID, "listeners": listeners("CONTROLLER")}
    add = lambda label, version=1, **more: scene.ask(f"add {label}", "AddRaftVoter", version, voter | more)
    add("v0", 0)
    add("v1", ackWhenCommitted=False)
    add("to another cluster", clusterId="another")
    add("to an empty cluster", clusterId="")
    add("to no cluster", clusterId=None)
    add("voter -1", voterId=-1)
    add("voter 0", voterId=0)
    add("no directory", voterDirectoryId=NO_ID)
    add("no listener", listeners=[])
    add("other listeners", listeners=listeners("X", "y"))
    add("the listener in small letters", listeners=listeners("controller"))
    add("to another cluster, voter -1", clusterId="another", voterId=-1)
    add("in no time", timeoutMs=-1)
    known = {"clusterId": cluster, "voterId": 9, "voterDirectoryId": SOME_ID}
    remove = lambda label, **more: scene.ask(f"remove {label}", "RemoveRaftVoter", 0, known | more)
    remove("one")
    remove("its own", voterId=0)
    remove("of another cluster", clusterId="another")
    remove("of no cluster", clusterId=None)
    remove("voter -1", voterId=-1)
    remove("no directory", voterDirectoryId=NO_ID)


CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def compressed(scene):
    """A batch of each codec into a topic of each compression.type: what is kept, by its header and by its records."""
    import cramjam
    inflate = {0: bytes, 1: lambda content: bytes(cramjam.gzip.decompress(content)), 2: unsnappied,
               3: lambda content: bytes(cramjam.lz4.decompress(content)), 4: lambda content: bytes(cramjam.zstd.decompress(content))}
    records = [record(i, 7 * i, key=b"k" * 20, value=b"v" * 100, headers=[(b"h", b"x")]) for i in range(10)]
    plain = b"".join(records)

    def kept(label, topic):
        with scene.connect() as connection:
            answer = connection.ask("Fetch", 11, fetch(topic, 0))
        content, found = answer["responses"][0]["partitions"][0]["records"] or b"", []
        while content:
            size = 12 + struct.unpack_from(">i", content, b.BATCH_LENGTH_AT)[0]
            base = struct.unpack_from(">q", content)[0]
            attributes, last_delta, first, most, producer, epoch, sequence, count = struct.unpack_from(">hiqqqhii", content, b.ATTRIBUTES_AT)
            body = inflate[attributes & 7](content[b.HEADER_BYTES:size])
            found.append({"base": base, "attributes": attributes, "lastDelta": last_delta, "producer": [producer, epoch, sequence], "count": count,
                          "first": first if first < 2 * b.SOME_TIME - 10**12 and not attributes & 8 else "<time>",
                          "most": "<time>" if attributes & 8 else most, "the same records": body == plain, "length": len(body)})
            content = content[size:]
        scene.note(label, found)
    for target in ("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"):
        topic = create(scene, f"compressed-{target}", compression_type=target)
        for codec in CODECS:
            scene.ask(f"{codec} into {target}", "Produce", 9, produce(topic, batch(records, codec=codec)))
        kept(f"kept as {target}", topic)
        scene.ask(f"the end of {target}", "ListOffsets", 5, list_offsets(topic, -1))
    levels = {"gzip": ("1", "9", "-1"), "lz4": ("1", "17"), "zstd": ("-131072", "1", "22")}
    for codec, values in levels.items():
        for level in values:
            topic = create(scene, f"level-{codec}-{level.replace('-', 'minus')}",
                           **{"compression_type": codec, f"compression_{codec}_level": level})
            scene.ask(f"into {codec} {level}", "Produce", 9, produce(topic, batch(records)))
            kept(f"kept as {codec} {level}", topic)
    for codec in ("gzip", "none"):  # With the time of the append the records stay, and so does the first time.
        topic = create(scene, f"stamped-{codec}", compression_type="producer", message_timestamp_type="LogAppendTime")
        scene.ask(f"stamped, {codec}", "Produce", 9, produce(topic, batch(records, codec=codec, producer=(9000, 0, 0))))
        kept(f"kept, stamped, {codec}", topic)
    topic = create(scene, "stamped-again", compression_type="zstd", message_timestamp_type="LogAppendTime")
    scene.ask("stamped and compressed anew", "Produce", 9, produce(topic, batch(records, codec="gzip", producer=(9001, 3, 0))))
    kept("kept, stamped and compressed anew", topic)


def unsnappied(content):
    """Raw, or in the frames of xerial's library for Java, which Kafka writes."""
    import cramjam
    if not content.startswith(b"\x82SNAPPY\0"):
        return bytes(cramjam.snappy.decompress_raw(content))
    out, at = b"", 16
    while at < len(content):
        size = struct.unpack_from(">i", content, at)[0]
        out, at = out + bytes(cramjam.snappy.decompress_raw(content[at + 4:at + 4 + size])), at + 4 + size
    return out


def times(scene):
    """message.timestamp.before.max.ms and after.max.ms, and whether they are looked at."""
    now = int(time.time() * 1000)
    hour = 3_600_000

    def ask(label, topic, first, **more):
        answer = scene.connect().ask("Produce", 9, produce(topic, batch([record(0), record(1, 5)], first_time=first, max_time=first + 5, **more)))
        partition = answer["responses"][0]["partitionResponses"][0]
        scene.note(label, {"errorCode": partition["errorCode"], "baseOffset": partition["baseOffset"],
                           "stamped": partition["logAppendTimeMs"] > 0,
                           "at fault": [record["batchIndex"] for record in partition["recordErrors"]]})
    create(scene, "times-before", message_timestamp_before_max_ms="60000")
    create(scene, "times-after", message_timestamp_after_max_ms="60000")
    create(scene, "times-none", message_timestamp_before_max_ms="0", message_timestamp_after_max_ms="0")
    create(scene, "times-append", message_timestamp_type="LogAppendTime", message_timestamp_before_max_ms="60000",
           message_timestamp_after_max_ms="60000")
    for topic in ("times-before", "times-after", "times-append"):
        for label, first in (("now", now), ("an hour ago", now - hour), ("in an hour", now + hour), ("never", -1), ("at 0", 0)):
            ask(f"{topic}, {label}", topic, first)
            ask(f"{topic}, {label}, gzip", topic, first, codec="gzip")
    ask("times-none, an hour ago", "times-none", now - hour)
    ask("times-none, never", "times-none", -1)


def listener_configs(scene):
    """What may be set for one listener, and for one that there is not."""
    def ask(label, name, value, resource="0", operation=0, only=True):
        scene.ask(label, "IncrementalAlterConfigs", 1, {"validateOnly": only, "resources": [{
            "resourceType": BROKER, "resourceName": resource, "configs": [{"name": name, "configOperation": operation, "value": value}]}]})
    names = ["max.connections", "max.connection.creation.rate", "num.network.threads", "connections.max.idle.ms", "ssl.keystore.location", "no.such"]
    for name in [f"listener.name.{listener}.{name}" for listener in ("plaintext", "other") for name in names]:
        for value in ("-1", "0", "5", "x", ""):
            for resource in ("0", ""):
                ask(f"{name}={value!r} of {resource!r}", name, value, resource)
    ask("appended", "listener.name.plaintext.max.connections", "1", operation=2)
    ask("nothing to append to", "no.such.key", "1", operation=2)
    mine = ["listener.name.plaintext.max.connections", "listener.name.plaintext.max.connection.creation.rate", "listener.name.other.max.connections"]
    for resource in ("", "0"):
        for name in mine[:2 if resource else 3]:
            ask(f"set {name} of {resource!r}", name, f" {10_000 + len(resource)} ", resource, only=False)
    time.sleep(1)
    for resource in ("0", ""):
        for synonyms in (True, False):
            with scene.connect() as connection:
                found = connection.ask("DescribeConfigs", 4, {"includeSynonyms": synonyms, "includeDocumentation": True, "resources": [
                    {"resourceType": BROKER, "resourceName": resource, "configurationKeys": None}]})["results"][0]["configs"]
            for config in sorted(found, key=lambda config: config["name"]):
                if config["name"].startswith("listener.name."):
                    scene.note(f"{config['name']} of {resource!r}, synonyms {synonyms}", config)
    scene.ask("asked for by name", "DescribeConfigs", 4, {"resources": [
        {"resourceType": BROKER, "resourceName": "0", "configurationKeys": [mine[0], "listener.name.plaintext.no.such", "max.connections"]}]})
    for resource in ("", "0"):
        for name in mine[:2 if resource else 3]:
            ask(f"taken back {name} of {resource!r}", name, None, resource, operation=1, only=False)


def broker_configs_taken_back(scene):
    """What may not be altered may be taken back; a list is what can be added to."""
    def ask(label, name, value, resource, operation, only=True):
        scene.ask(label, "IncrementalAlterConfigs", 1, {"validateOnly": only, "resources": [{
            "resourceType": BROKER, "resourceName": resource, "configs": [{"name": name, "configOperation": operation, "value": value}]}]})
    for name in ("num.partitions", "advertised.listeners", "ssl.keystore.location", "log.cleaner.threads", "cordoned.log.dirs", "node.id",
                 "listener.name.plaintext.ssl.keystore.location", "no.such"):
        for resource in ("0", ""):
            for only in (True, False):
                ask(f"{name} of {resource!r} taken back{', only validated' if only else ''}", name, None, resource, 1, only)
    ask("min.insync.replicas of '0' taken back", "min.insync.replicas", None, "0", 1)
    for what, operation in (("appended", 2), ("subtracted", 3)):
        for name in ("log.retention.ms", "num.partitions", "log.cleanup.policy", "unclean.leader.election.enable", "min.insync.replicas", "no.such"):
            for resource in ("0", ""):
                ask(f"{name} of {resource!r} {what}", name, "5", resource, operation)
        for value in ("delete", "compact", "compact,delete", "", "x", " compact"):
            ask(f"log.cleanup.policy {value!r} {what}", "log.cleanup.policy", value, "", operation)


def as_given(scene):
    """CreateTopics answers with the text that was given, DescribeConfigs with the value that it stands for."""
    def described(kind, resource, name):
        time.sleep(0.3)  # Kafka's broker hears of what its controller has decided a moment later.
        scene.ask(f"{name} of {resource} described", "DescribeConfigs", 4, {"includeSynonyms": True, "resources": [
            {"resourceType": kind, "resourceName": resource, "configurationKeys": [name]}]})
    for name, value in (("retention.ms", " 010 "), ("min.cleanable.dirty.ratio", "1"), ("preallocate", "TRUE"), ("cleanup.policy", " compact , delete "),
                        ("leader.replication.throttled.replicas", " 0:0 "), ("compression.type", " gzip "), ("max.message.bytes", "+5")):
        for only in (True, False):
            with scene.connect() as connection:
                answer = connection.ask("CreateTopics", 7, {"timeoutMs": 10_000, "validateOnly": only, "topics": [
                    {"name": f"given-{name}", "numPartitions": 1, "replicationFactor": 1, "configs": [{"name": name, "value": value}]}]})["topics"][0]
            scene.note(f"{name}={value!r}{', only validated' if only else ''}", {"errorCode": answer["errorCode"], "configs": [
                config for config in answer["configs"] if config["name"] == name]})
        described(TOPIC, f"given-{name}", name)
    for kind, name, value in ((CLIENT_METRICS, "interval.ms", " 0200 "), (CLIENT_METRICS, "metrics", " a , b "), (CLIENT_METRICS, "match", " client_id = a "),
                              (GROUP, "consumer.session.timeout.ms", " +050000 "), (GROUP, "share.auto.offset.reset", "earliest")):
        for operation in (SET, 1):
            scene.ask(f"{name}={value!r}{', taken back' if operation else ''}", "IncrementalAlterConfigs", 1, {"resources": [
                {"resourceType": kind, "resourceName": "given", "configs": [{"name": name, "configOperation": operation, "value": value}]}]})
            if operation == SET:
                described(kind, "given", name)


def segments_of_tests(scene):
    """internal.segment.bytes is told of a topic that has it, and counts instead of segment.bytes."""
    of = lambda value: [{"name": "internal.segment.bytes", "value": value}]

    def create_with(label, value, version=4, name="tested", validate=True):
        with scene.connect() as connection:
            answer = connection.ask("CreateTopics", version, {"timeoutMs": 10_000, "validateOnly": validate, "topics": [
                {"name": name, "numPartitions": 1, "replicationFactor": 1, "configs": of(value)}]})
        for topic in answer["topics"]:
            topic["configs"] = [config for config in topic.get("configs") or [] if "segment.bytes" in config["name"]]
        scene.note(label, answer)

    def described(label, *names, synonyms=False):
        time.sleep(0.5)  # Kafka's broker hears of it a moment later.
        scene.ask(label, "DescribeConfigs", 4, {"includeSynonyms": synonyms, "resources": [
            {"resourceType": TOPIC, "resourceName": "tested", "configurationKeys": list(names)}]})

    def alter(label, value, how=SET, validate=False):
        scene.ask(label, "IncrementalAlterConfigs", 1, {"validateOnly": validate, "resources": [{"resourceType": TOPIC, "resourceName": "tested", "configs": [
            {"name": "internal.segment.bytes", "configOperation": how, "value": value}]}]})
    for value in ("x", "", "-1", "0", " 13 ", "1.5", "2147483648", None):
        create_with(f"create with {value!r}", value)
    create_with("created, v7", "200", 7, validate=False)
    both = ("internal.segment.bytes", "segment.bytes")
    described("it is set", *both)
    described("it is set, with synonyms", *both, synonyms=True)
    for value in ("x", "", "-5", "2147483648"):
        alter(f"alter to {value!r}", value, validate=True)
    alter("append", "1", 2)
    scene.ask("too large", "Produce", 9, produce("tested", batch([record(value=bytes(150))])))
    scene.ask("small enough", "Produce", 9, produce("tested", batch([record(value=bytes(100))])))
    alter("altered", "-5")
    described("it is negative", *both)
    scene.ask("nothing is small enough", "Produce", 9, produce("tested", batch()))
    alter("taken back", None, 1)
    described("it is not set", *both)
    scene.ask("all is small enough", "Produce", 9, produce("tested", batch([record(value=bytes(150))])))


def orders(scene):
    """Of several that are wrong Kafka names the first in its hash map, or all in its order."""
    create(scene, "orders")
    several = [("alpha", "zeta", "mid", "no.such", "other.thing"), ("a", "b"), ("b", "a"), ("retention.ms", "aa", "zz"),
               tuple(f"x{number}" for number in range(1, 16)), tuple(f"key.{number}" for number in range(30))]
    for names in several:
        label = " ".join(names[:5])
        for kind, name in ((TOPIC, "orders"), (CLIENT_METRICS, "orders"), (GROUP, "orders")):
            for how in (SET, 2):
                scene.ask(f"{kind} {how} to {label}", "IncrementalAlterConfigs", 1, {"resources": [{"resourceType": kind, "resourceName": name, "configs": [
                    {"name": each, "configOperation": how, "value": "1"} for each in names]}]})
            scene.ask(f"{kind} anew to {label}", "AlterConfigs", 2, {"resources": [{"resourceType": kind, "resourceName": name, "configs": [
                {"name": each, "value": "1"} for each in names]}]})
        scene.ask(f"created with {label}", "CreateTopics", 4, {"timeoutMs": 10_000, "topics": [{"name": "orders-never", "numPartitions": 1, "replicationFactor": 1, "configs": [
            {"name": each, "value": "1"} for each in names]}]})
    of_brokers = [("group.max.size", "delete.topic.enable", "fetch.max.bytes"), ("num.partitions", "node.id"),
                  ("broker.rack", "fetch.max.bytes", "group.max.size", "offsets.topic.num.partitions"),
                  ("ssl.truststore.type", "ssl.keystore.type"), ("ssl.keystore.type", "log.retention.ms", "node.id"), ("listeners", "log.retention.ms"),
                  ("listener.name.x.ssl.keystore.type", "listener.name.x.ssl.keystore.location"), ("listeners", "cordoned.log.dirs")]
    for name, several in (("", of_brokers), ("0", of_brokers[:6])):
        for names in several:
            scene.ask(f"broker {name} to {' '.join(names)}", "IncrementalAlterConfigs", 1, {"validateOnly": True, "resources": [{"resourceType": BROKER, "resourceName": name, "configs": [
                {"name": each, "configOperation": SET, "value": "x"} for each in names]}]})
    quotas = [((("zeta", "1"), ("alpha", "2"), ("user", "u")), ()), ((("user", None), ("client-id", "c"), ("ip", "1")), ()),
              ((("user", "u"),), (("producer_byte_rate", -1.0), ("consumer_byte_rate", 0.0))), ((("user", "u"),), (("aa", 1.0), ("zz", 1.0), ("producer_byte_rate", -1.0))),
              ((("ip", "127.0.0.1"),), (("request_percentage", 1.0), ("producer_byte_rate", 1.0)))]
    for number, (entity, ops) in enumerate(quotas):
        entry = {"entity": [{"entityType": kind, "entityName": name} for kind, name in entity],
                 "ops": [{"key": key, "value": value, "remove": False} for key, value in ops]}
        for times in (1, 2):
            scene.ask(f"quota {number}, {times} times", "AlterClientQuotas", 1, {"validateOnly": True, "entries": [entry] * times})


SCENES = [broker_configs, listener_configs, broker_configs_altered, topic_configs_altered, broker_configs_followed, cluster_members, compressed, times,
          broker_configs_taken_back, as_given, segments_of_tests, orders]
