"""A broker with small limits: groups, sessions, offsets, connections, frames, fetches, quotas, and what is forbidden.

Played by the suite `wire-limits`; `limits.py` has the limits.
"""

import socket
import time

from admin_scenes import BROKER, entity
from batches import batch, record
from connection import Closed, Connection
from scenes import NO_ID, coordinator_ready, create, fetch, join, produce


def group_sizes(scene):
    coordinator_ready(scene)
    for version in range(10):
        group, members = f"two-{version}", []
        asked = lambda member="": {key: value for key, value in join(group, member).items()
                                   if version or key != "rebalanceTimeoutMs"}
        waiting = []
        for place in range(4):
            connection = scene.connect()
            member = ""
            if version >= 4:
                answer = connection.ask("JoinGroup", version, asked())
                scene.note(f"v{version}, member {place} asks for an id", answer)
                if answer["errorCode"] != 79:
                    connection.socket.close()
                    continue
                member = answer["memberId"]
            connection.send(connection.frame("JoinGroup", version, asked(member)))
            connection.socket.settimeout(1)
            try:
                scene.note(f"v{version}, member {place} joins", {"errorCode": connection.answer("JoinGroup", version)["errorCode"]})
            except TimeoutError:
                scene.note(f"v{version}, member {place} joins", "waits")
            waiting.append(connection)
        for connection in waiting:
            connection.socket.close()


def session_bounds(scene):
    coordinator_ready(scene)
    for version in (0, 1, 3, 5, 9):
        for milliseconds in (0, 999, 1000, 20_000, 20_001, 2**31 - 1, -1):
            asked = join(f"bounds-{version}-{milliseconds}") | {"sessionTimeoutMs": milliseconds}
            if not version:
                del asked["rebalanceTimeoutMs"]
            scene.ask(f"v{version}, {milliseconds} ms", "JoinGroup", version, asked)


def offset_metadata(scene):
    coordinator_ready(scene)
    create(scene, "metadata", 3)
    for version in (2, 9):
        parts = [{"partitionIndex": place, "committedOffset": 1, "committedMetadata": text}
                 for place, text in enumerate(("m" * 10, "m" * 11, "ä" * 6))]
        scene.ask(f"v{version}", "OffsetCommit", version, {
            "groupId": "metadata", "generationIdOrMemberEpoch": -1, "memberId": "", "topics": [{"name": "metadata", "partitions": parts}]})
    scene.ask("kept", "OffsetFetch", 8, {"groups": [{"groupId": "metadata", "topics": None}]})


def topics_that_stay(scene):
    create(scene, "stays")
    for version in range(1, 6):
        scene.ask(f"deleted, v{version}", "DeleteTopics", version, {"topicNames": ["stays", "never-was"], "timeoutMs": 5000})
    scene.ask("deleted, v6", "DeleteTopics", 6, {"topics": [{"name": "stays"}, {"name": None, "topicId": NO_ID}], "timeoutMs": 5000})
    scene.ask("none deleted", "DeleteTopics", 6, {"topics": [], "timeoutMs": 5000})
    scene.ask("none deleted, v2", "DeleteTopics", 2, {"topicNames": [], "timeoutMs": 5000})
    for version in (0, 1, 4, 9, 12):
        scene.ask(f"metadata of an unknown one, v{version}", "Metadata", version, {"topics": [{"name": f"unmade-{version}"}]})
    scene.ask("produce to an unknown one", "Produce", 9, produce("unmade", batch()))


def sizes(scene):
    create(scene, "sizes", 7)
    scene.ask("parts without a limit", "DescribeTopicPartitions", 0, {"topics": [{"name": "sizes"}]})
    scene.ask("parts with a larger limit", "DescribeTopicPartitions", 0, {"topics": [{"name": "sizes"}], "responsePartitionLimit": 5})
    scene.ask("parts from a cursor", "DescribeTopicPartitions", 0, {"topics": [{"name": "sizes"}], "cursor": {"topicName": "sizes", "partitionIndex": 5}})
    scene.ask("a batch too large", "Produce", 9, produce("sizes", batch([record(value=bytes(3000))])))
    for partition in (0, 1, 2):
        scene.ask("a batch that fits", "Produce", 9, produce("sizes", batch([record(value=bytes(900))]), partition=partition))
    parts = [{"partition": partition, "fetchOffset": 0, "partitionMaxBytes": 1 << 20} for partition in (0, 1, 2)]
    scene.ask("fetch of more than is allowed", "Fetch", 12, fetch("sizes", 0) | {"topics": [{"topic": "sizes", "partitions": parts}]})
    scene.ask("and wants at least so much", "Fetch", 12, fetch("sizes", 0) | {
        "minBytes": 1 << 20, "maxWaitMs": 300, "topics": [{"topic": "sizes", "partitions": parts}]})
    for size in (20_000, 20_001):
        with scene.connect() as connection:
            head = connection.frame("Produce", 9, produce("sizes", b""))
            body = produce("sizes", bytes(size - len(head) + 3))  # Its length takes two bytes more.
            content = connection.frame("Produce", 9, body)
            content = content if len(content) - 4 == size else connection.frame("Produce", 9, produce("sizes", bytes(size - len(head) + 3 + size + 4 - len(content))))
            connection.send(content)
            scene.note(f"a frame of {len(content) - 4} bytes", connection.fate())


def fetch_session_slots(scene):
    create(scene, "slots", 2)
    part = lambda index: {"partition": index, "fetchOffset": 0, "partitionMaxBytes": 1000}

    def full(parts):
        with scene.connect() as connection:
            return connection.ask("Fetch", 12, {"maxWaitMs": 0, "minBytes": 0, "maxBytes": 1000, "sessionEpoch": 0, "topics": [
                {"topic": "slots", "partitions": parts}]})["sessionId"]
    sessions = [full([part(0)]) for _ in range(12)]
    scene.note("sessions of twelve", sum(session != 0 for session in sessions))
    scene.note("a larger one takes a place", full([part(0), part(1)]) != 0)
    with scene.connect() as connection:
        alive = [connection.ask("Fetch", 12, {"maxWaitMs": 0, "minBytes": 0, "maxBytes": 1000, "sessionId": session, "sessionEpoch": 1,
                                              "topics": []})["errorCode"] for session in sessions if session]
        scene.note("what became of them", sorted(alive))
        closed = connection.ask("Fetch", 12, {"maxWaitMs": 0, "minBytes": 0, "maxBytes": 1000, "sessionId": sessions[0], "sessionEpoch": -1, "topics": []})
        scene.note("one is closed", closed["errorCode"])
    # Kafka has eight shelves of one place, and goes from one to the next.
    scene.note("its place is free", any(full([part(0)]) for _ in range(8)))


class From(Connection):
    """A connection from another address of this machine."""

    def __init__(self, address, schemas, source):
        self.schemas, self.client_id, self.correlation = schemas, "wire", 0
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=20, source_address=(source, 0))


def is_served(connection, within_seconds=1.5):
    connection.socket.settimeout(within_seconds)
    try:
        connection.ask("Metadata", 9, {"topics": []})
        return "served"
    except Closed:
        return "closed"
    except TimeoutError:
        return "waits"


def altered(scene, steady, **values):
    answer = steady.ask("IncrementalAlterConfigs", 1, {"resources": [{"resourceType": BROKER, "resourceName": "", "configs": [
        {"name": key.replace("_", "."), "configOperation": 1 if value is None else 0, "value": value} for key, value in values.items()]}]})
    assert answer["responses"][0]["errorCode"] == 0, answer
    time.sleep(1)


def connections(scene):
    with scene.connect() as steady:
        of_two = [From(scene.address, scene.schemas, "127.0.0.2") for _ in range(5)]
        scene.note("five from an address that may have three", [is_served(connection) for connection in of_two])
        of_three = [From(scene.address, scene.schemas, "127.0.0.3") for _ in range(5)]
        scene.note("five from another", [is_served(connection) for connection in of_three])
        of_two[0].socket.close()
        time.sleep(0.5)
        with From(scene.address, scene.schemas, "127.0.0.2") as connection:
            scene.note("one more when one has gone", is_served(connection))
        for connection in of_two + of_three:
            connection.socket.close()
        altered(scene, steady, max_connections_per_ip_overrides="127.0.0.2:1,127.0.0.3:2")
        of_two = [From(scene.address, scene.schemas, "127.0.0.2") for _ in range(2)]
        of_three = [From(scene.address, scene.schemas, "127.0.0.3") for _ in range(3)]
        scene.note("other numbers while it runs", [is_served(connection) for connection in of_two + of_three])
        for connection in of_two + of_three:
            connection.socket.close()
        altered(scene, steady, max_connections_per_ip_overrides=None, max_connections_per_ip="4")
        here = [scene.connect() for _ in range(5)]  # And the steady one.
        scene.note("four from here", [is_served(connection) for connection in here])
        for connection in here:
            connection.socket.close()
        altered(scene, steady, max_connections_per_ip=None, max_connections="3")
        here = [scene.connect() for _ in range(3)]
        scene.note("three in all", [is_served(connection) for connection in here[:2]])
        late = here[2]
        late.send(late.frame("Metadata", 9, {"topics": []}))
        scene.note("one more", late.fate(1.5))
        here[0].socket.close()
        scene.note("it is served when another has gone", late.fate(3))
        for connection in here:
            connection.socket.close()
        altered(scene, steady, max_connections=None)
    with scene.connect() as connection:
        scene.note("without a limit", is_served(connection))


def idle_connections(scene):
    with scene.connect() as idle, scene.connect() as busy:
        idle.ask("Metadata", 9, {"topics": []})
        for _ in range(7):
            busy.ask("Metadata", 9, {"topics": []})
            time.sleep(1)
        scene.note("one that said nothing for seven seconds", idle.fate(1))
        scene.note("one that spoke each second", is_served(busy))
    with scene.connect() as never:
        time.sleep(7)
        scene.note("one that never spoke", never.fate(1))


def a_byte_a_second(scene):
    """The least quota that there is: told in the answer, and nobody else is disturbed."""
    create(scene, "tiny")

    def alter(**ops):
        with scene.connect() as connection:
            answer = connection.ask("AlterClientQuotas", 1, {"entries": [{"entity": entity(client_id="tiny"), "ops": [
                {"key": key, "value": value or 0.0, "remove": value is None} for key, value in ops.items()]}]})
            assert answer["entries"][0]["errorCode"] == 0, answer
        time.sleep(1)
    alter(producer_byte_rate=1.0, consumer_byte_rate=1.0)
    with scene.connect() as connection:
        connection.client_id = "tiny"
        content = connection.frame("Produce", 9, produce("tiny", batch([record(value=bytes(1000))])))
        connection.send(content)
        answer = connection.answer("Produce", 9)
        # What was too much, at a byte a second.
        wanted = (len(content) - 10) * 1000
        scene.note("produce", {"errorCode": answer["responses"][0]["partitionResponses"][0]["errorCode"],
                               "throttled as long as it takes": abs(answer["throttleTimeMs"] - wanted) < 0.1 * wanted})
        connection.send(connection.frame("Metadata", 9, {"topics": []}))
        scene.note("and then", connection.fate(2))
    with scene.connect() as connection:
        connection.client_id = "tiny"
        answer = connection.ask("Fetch", 12, fetch("tiny", 0))
        scene.note("fetch", {"throttled": answer["throttleTimeMs"] > 0,
                             "records": [len(part["records"] or b"") for topic in answer["responses"] for part in topic["partitions"]]})
    with scene.connect() as connection:
        connection.client_id = "another"
        answer = connection.ask("Produce", 9, produce("tiny", batch()))
        scene.note("another client", {"throttled": answer["throttleTimeMs"] > 0})
    alter(producer_byte_rate=None, consumer_byte_rate=None)
    with scene.connect() as connection:
        connection.client_id = "tiny"
        scene.note("without it", {"throttled": connection.ask("Produce", 9, produce("tiny", batch()))["throttleTimeMs"] > 0})


# Connections are counted first: one that was closed while it waited to join a group is noticed only when it is answered,
# here as in Kafka.
SCENES = [connections, group_sizes, session_bounds, offset_metadata, topics_that_stay, sizes, fetch_session_slots, idle_connections, a_byte_a_second]
