"""A broker that is stopped or killed and started again: what clients see of it in leader epochs.

Played by the suite `wire-restarts`, in this order: each scene goes on with what the earlier ones left.
"""

import os
import urllib.request

from batches import batch, record
from scenes import coordinator_ready, create, fetch, list_offsets, produce, until_led

TOPIC = "restarted"


def restart(how):
    request = urllib.request.Request(f"{os.environ['CONTROL']}/{how}-and-restart", method="POST")
    with urllib.request.urlopen(request, timeout=120) as answer:
        assert answer.status == 200


def read(scene, label, **more):
    """Without the records: whether an answer goes beyond the first segment is nobody's business."""
    with scene.connect() as connection:
        part = connection.ask("Fetch", 12, fetch(TOPIC, 0, **more))["responses"][0]["partitions"][0]
        scene.note(label, {key: value for key, value in part.items() if key != "records"})


def seen(scene, moment):
    """Everything that tells a leader epoch, of a partition that is written and one that is not."""
    with scene.connect() as connection:
        for partition in (0, 1):
            until_led(connection, TOPIC, partition)
        coordinator_ready(scene)
        topic = connection.ask("Metadata", 12, {"topics": [{"name": TOPIC}]})["topics"][0]
        keys = ("partitionIndex", "leaderId", "leaderEpoch", "replicaNodes", "isrNodes", "offlineReplicas")
        scene.note(f"{moment}: metadata", [{key: each[key] for key in keys} for each in sorted(topic["partitions"], key=str)])
        topic = connection.ask("DescribeTopicPartitions", 0, {"topics": [{"name": TOPIC}]})["topics"][0]
        keys = ("leaderEpoch", "isrNodes", "eligibleLeaderReplicas", "lastKnownElr")
        scene.note(f"{moment}: parts", [{key: each[key] for key in keys} for each in sorted(topic["partitions"], key=lambda each: each["partitionIndex"])])
        epoch = topic["partitions"][0]["leaderEpoch"]
        for asked in range(max(0, epoch - 3), epoch + 2):
            scene.ask(f"{moment}: end of epoch {asked}", "OffsetForLeaderEpoch", 4, {"replicaId": -1, "topics": [
                {"topic": TOPIC, "partitions": [{"partition": 0, "currentLeaderEpoch": -1, "leaderEpoch": asked}]}]})
            read(scene, f"{moment}: read in epoch {asked}", currentLeaderEpoch=asked)
        for timestamp in (-1, -2, -3):
            scene.ask(f"{moment}: offsets of {timestamp}", "ListOffsets", 7, list_offsets(TOPIC, timestamp))
        scene.ask(f"{moment}: offsets of the quiet one", "ListOffsets", 7, list_offsets(TOPIC, -1, 1))


def write(scene, label, number=2):
    scene.ask(label, "Produce", 9, produce(TOPIC, batch([record(i) for i in range(number)])))
    read(scene, f"{label}, read")


def again(scene, how, label):
    restart(how)
    scene.connection = None
    seen(scene, label)


def before(scene):
    create(scene, TOPIC, 2)
    write(scene, "written")
    seen(scene, "made")


def stopped(scene):
    again(scene, "stop", "stopped")
    write(scene, "written after a stop")
    seen(scene, "written after a stop")


def killed(scene):
    again(scene, "kill", "killed")
    write(scene, "written after a kill")
    seen(scene, "written after a kill")


def killed_again(scene):
    """Nothing was written since."""
    again(scene, "kill", "killed again")
    write(scene, "written at last")
    seen(scene, "written at last")


SCENES = [before, stopped, killed, killed_again]
