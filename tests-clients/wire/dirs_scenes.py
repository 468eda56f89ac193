"""A broker with two log directories: where replicas lie, how they move, and what gets no new ones.

Played by the suite `wire-dirs`; `limits.py` says how. The directories are `a` and `b`.
"""

import os
import time

from admin_scenes import BROKER
from batches import batch, record
from scenes import create, fetch, list_offsets, produce


def ask(scene, api, version, body):
    with scene.connect() as connection:
        return connection.ask(api, version, body)


def paths(scene):
    found = ask(scene, "DescribeLogDirs", 4, {"topics": None})["results"]
    return {os.path.basename(each["logDir"]): each["logDir"] for each in found}


def described(scene, *topics, version=5):
    """By directory: whether it is cordoned, and the partitions of these topics."""
    answer = ask(scene, "DescribeLogDirs", version, {"topics": [{"topic": name, "partitions": list(range(20))} for name in topics]})
    found = {}
    for each in sorted(answer["results"], key=lambda each: each["logDir"]):
        parts = [{"partition": f"{topic['name']}-{part['partitionIndex']}", "has bytes": part["partitionSize"] > 0,
                  "lag": part["offsetLag"], "is future": part["isFutureKey"]} for topic in each["topics"] for part in topic["partitions"]]
        found[os.path.basename(each["logDir"])] = {
            "errorCode": each["errorCode"], "partitions": sorted(parts, key=str)} | {
            key: each[key] for key in each if key in ("isCordoned", "totalBytes", "usableBytes")}
    return found


def holds(scene, *topics):
    """How many partitions of these topics each directory has; those on their way count for both."""
    return {name: len(each["partitions"]) for name, each in described(scene, *topics).items()}


def all_held(scene, topic, partitions):
    """The same, once all of them are made."""
    for _ in range(200):
        found = holds(scene, topic)
        if sum(found.values()) >= partitions:
            break
        time.sleep(0.05)
    return found


def place(scene, topic, partition=0):
    """Where it is, once it is in one place."""
    for _ in range(200):
        here = [(name, part) for name, each in described(scene, topic).items() for part in each["partitions"]
                if part["partition"] == f"{topic}-{partition}"]
        if len(here) == 1 and not here[0][1]["is future"]:
            return here[0][0]
        time.sleep(0.05)
    raise AssertionError(f"{topic}-{partition} is in {here}")


def other(name):
    return {"a": "b", "b": "a"}[name]


def move(scene, label, path, *topics, version=2):
    scene.ask(label, "AlterReplicaLogDirs", version, {"dirs": [{"path": path, "topics": [
        {"name": name, "partitions": partitions} for name, partitions in topics]}]})


def cordon(scene, *names):
    value = ",".join(paths(scene).get(name, name) for name in names)
    answer = ask(scene, "IncrementalAlterConfigs", 1, {"resources": [{"resourceType": BROKER, "resourceName": "0", "configs": [
        {"name": "cordoned.log.dirs", "configOperation": 0 if names else 1, "value": value if names else None}]}]})
    assert answer["responses"][0]["errorCode"] == 0, answer
    time.sleep(3)  # Kafka's broker tells its controller with a heartbeat.


def make(scene, label, name, partitions=1, **more):
    answer = ask(scene, "CreateTopics", 7, {"timeoutMs": 5000, "topics": [
        {"name": name, "numPartitions": partitions, "replicationFactor": 1} | more]})["topics"][0]
    scene.note(label, {key: answer[key] for key in ("errorCode", "errorMessage", "numPartitions", "replicationFactor")})


def two_directories(scene):
    create(scene, "spread", 6)
    scene.note("six partitions", all_held(scene, "spread", 6))
    for partition in range(6):
        scene.ask(f"written to {partition}", "Produce", 9, produce("spread", batch(), partition=partition))
    for version in range(1, 6):
        for name, each in described(scene, "spread", version=version).items():
            parts = [part | {"partition": "<partition>"} for part in each.pop("partitions")]
            scene.note(f"{name} at v{version}", each | {"partitions": parts})
    scene.note("no topics", described(scene))
    scene.note("an unknown one", described(scene, "never-was"))


def moved(scene):
    create(scene, "walks", 2)
    known = paths(scene)
    for number in range(20):
        ask(scene, "Produce", 9, produce("walks", batch([record(i) for i in range(5)])))
    here = place(scene, "walks")
    for version in (1, 2):
        move(scene, f"to where it is, v{version}", known[here], ("walks", [0]), version=version)
    for version in (1, 2):
        there = other(place(scene, "walks"))
        move(scene, f"to the other, v{version}", known[there], ("walks", [0]), version=version)
        time.sleep(1)
        scene.note("it is there", place(scene, "walks") == there)
        scene.ask("written after it", "Produce", 9, produce("walks", batch()))
        scene.ask("its end", "ListOffsets", 7, list_offsets("walks", -1))
        scene.ask("its begin", "ListOffsets", 7, list_offsets("walks", -2))
        answer = ask(scene, "Fetch", 12, fetch("walks", 0, ))
        scene.note("read", {"errorCode": answer["responses"][0]["partitions"][0]["errorCode"],
                            "highWatermark": answer["responses"][0]["partitions"][0]["highWatermark"]})
    move(scene, "to nowhere", "/no/such", ("walks", [0]))
    move(scene, "to nowhere, of an unknown topic", "/no/such", ("never-was", [0]))
    move(scene, "a partition that is not there", known["a"], ("walks", [2]))
    move(scene, "to the directory around both", os.path.dirname(known["a"]), ("walks", [0]))
    move(scene, "both", known["b"], ("walks", [0, 1]))
    move(scene, "and back at once", known["a"], ("walks", [0, 1]))
    time.sleep(1)
    scene.note("both are back", [place(scene, "walks", partition) for partition in (0, 1)])
    scene.ask("both named for two places", "AlterReplicaLogDirs", 2, {"dirs": [
        {"path": known["a"], "topics": [{"name": "walks", "partitions": [0]}]},
        {"path": known["b"], "topics": [{"name": "walks", "partitions": [0]}]}]})
    time.sleep(1)
    scene.note("the last counts", place(scene, "walks"))
    move(scene, "gone while it moves", known["a"], ("walks", [0]))
    scene.ask("deleted", "DeleteTopics", 6, {"topics": [{"name": "walks"}], "timeoutMs": 5000})
    time.sleep(2)
    scene.note("nothing is left", holds(scene, "walks"))
    create(scene, "walks", 2)
    scene.note("made anew", sum(all_held(scene, "walks", 2).values()))


def preferred(scene):
    """A directory that is named for a partition before there is one."""
    known = paths(scene)
    for number, name in enumerate(("b", "a", "b", "b")):
        topic = f"to-come-{number}"
        move(scene, f"{topic} is to be in {name}", known[name], (topic, [0]))
        create(scene, topic)
        scene.note(f"{topic} is there", place(scene, topic) == name)
    move(scene, "named twice", known["a"], ("to-come", [0, 1]))
    move(scene, "and otherwise", known["b"], ("to-come", [0, 1]))
    create(scene, "to-come", 2)
    scene.note("the last counts", [place(scene, "to-come", partition) for partition in (0, 1)])


def cordoned(scene):
    known = paths(scene)
    create(scene, "before", 12)
    cordon(scene, "b")
    scene.note("one is cordoned", {name: each.get("isCordoned") for name, each in described(scene).items()})
    scene.note("as of old", described(scene, version=4))
    make(scene, "made", "beside", 4)
    scene.note("all in the other", all_held(scene, "beside", 4))
    scene.ask("added", "CreatePartitions", 3, {"timeoutMs": 5000, "topics": [{"name": "beside", "count": 6, "assignments": None}]})
    scene.note("they, too", all_held(scene, "beside", 6))
    scene.note("what was there stays", holds(scene, "before")["b"] > 0)
    for partition in range(12):
        scene.ask(f"written to {partition}", "Produce", 9, produce("before", batch(), partition=partition))
    move(scene, "moved to the cordoned one", known["b"], ("beside", [0]))
    time.sleep(1)
    scene.note("where it is", place(scene, "beside"))
    away = next(partition for partition in range(12) if place(scene, "before", partition) == "b")
    for label, path in (("to where it is, in the cordoned one", known["b"]), ("away from it", known["a"])):
        answer = ask(scene, "AlterReplicaLogDirs", 2, {"dirs": [{"path": path, "topics": [{"name": "before", "partitions": [away]}]}]})
        scene.note(label, answer["results"][0]["partitions"][0]["errorCode"])
    time.sleep(1)
    scene.note("where that is", place(scene, "before", away))
    move(scene, "named for one to come", known["b"], ("beside-too", [0]))
    create(scene, "beside-too")
    scene.note("and where that comes", place(scene, "beside-too"))
    before = 12
    for names in (("*",), ("a", "b")):
        cordon(scene, *names)
        label = "*" if names == ("*",) else "both"
        scene.note(f"{label}: cordoned", {name: each.get("isCordoned") for name, each in described(scene).items()})
        make(scene, f"{label}: made", f"nowhere-{len(names)}")
        make(scene, f"{label}: made with two replicas", "nowhere", replicationFactor=2)
        make(scene, f"{label}: made by hand", f"by-hand-{len(names)}", -1, replicationFactor=-1, assignments=[{"partitionIndex": 0, "brokerIds": [0]}])
        scene.ask(f"{label}: added", "CreatePartitions", 3, {"timeoutMs": 5000, "topics": [{"name": "beside", "count": 6 + len(names), "assignments": None}]})
        scene.ask(f"{label}: added by hand", "CreatePartitions", 3, {"timeoutMs": 5000, "topics": [
            {"name": "before", "count": before + 1, "assignments": [{"brokerIds": [0]}]}]})
        before += 1
        scene.ask(f"{label}: used", "Metadata", 9, {"topics": [{"name": f"unmade-{len(names)}"}], "allowAutoTopicCreation": True})
        scene.ask(f"{label}: reassigned", "AlterPartitionReassignments", 0, {"timeoutMs": 5000, "topics": [
            {"name": "before", "partitions": [{"partitionIndex": 0, "replicas": [0]}]}]})
        scene.ask(f"{label}: written", "Produce", 9, produce("before", batch()))
    cordon(scene)
    scene.note("none any more", {name: each.get("isCordoned") for name, each in described(scene).items()})
    make(scene, "made again", "after", 4)
    scene.note("spread", sum(all_held(scene, "after", 4).values()))
    for value in ("/no/such", f"{known['a']},/no/such", f"{known['a']},*", f"{known['a']},{known['a']}", f" {known['a']} , {known['b']}", ",", "", "*,*", known["a"] + "/"):
        label = value.replace(known["a"], "A").replace(known["b"], "B")
        for resource in ("0", ""):
            answer = ask(scene, "IncrementalAlterConfigs", 1, {"validateOnly": True, "resources": [{"resourceType": BROKER, "resourceName": resource, "configs": [
                {"name": "cordoned.log.dirs", "configOperation": 0, "value": value}]}]})["responses"][0]
            scene.note(f"cordoned.log.dirs={label!r} of {resource!r}", {"errorCode": answer["errorCode"], "errorMessage": (answer["errorMessage"] or "").replace(known["a"], "A").replace(known["b"], "B")})
    for operation in (2, 3):
        answer = ask(scene, "IncrementalAlterConfigs", 1, {"validateOnly": True, "resources": [{"resourceType": BROKER, "resourceName": "0", "configs": [
            {"name": "cordoned.log.dirs", "configOperation": operation, "value": known["a"]}]}]})["responses"][0]
        scene.note(f"operation {operation}", {"errorCode": answer["errorCode"]})


SCENES = [two_directories, moved, preferred, cordoned]
