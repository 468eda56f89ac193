"""A broker with small limits: groups, sessions, offsets, connections, frames, fetches, quotas, and what is forbidden.

Played by the suite `wire-limits`; `limits.py` has the limits.
"""

import socket
import threading
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


# What connections were made before are forgotten after this.
WINDOWS_SECONDS = 3.2


def opened(scene, number):
    """So many connections at once: when the last was served, in tenths of a second, and how many within half a second."""
    begun = time.monotonic()
    all = [scene.connect() for _ in range(number)]
    for connection in all:
        connection.send(connection.frame("Metadata", 9, {"topics": []}))
    times = []
    for connection in all:
        connection.answer("Metadata", 9)
        times.append(time.monotonic() - begun)
    for connection in all:
        connection.socket.close()
    return times[-1], sum(each < 0.4 for each in times)


def connections_created(scene):
    """Those that come too fast wait: as many at once as two seconds allow, and then four a second."""
    def alter(**values):
        with scene.connect() as connection:
            altered(scene, connection, **values)

    def note(label, number):
        time.sleep(WINDOWS_SECONDS)
        seconds, at_once = opened(scene, number)
        scene.note(label, {"the last within 1 to 5 s": 1 <= seconds <= 5, "about 8 at once": 6 <= at_once <= 11})
        print(f"# {label}: {seconds:.1f} s, {at_once} at once", flush=True)
    broker, listener = "max_connection_creation_rate", "listener_name_plaintext_max_connection_creation_rate"
    for key in (broker, listener):
        alter(**{key: "4"})
        note(key, 14)
        alter(**{key: None})
        scene.note(f"without {key}", {"all at once": opened(scene, 14)[1] == 14})
    alter(**{broker: "1000", listener: "4"})
    note("the listener's is the smaller", 14)
    alter(**{broker: None, listener: None})


def connections_of_a_listener(scene):
    with scene.connect() as steady:
        altered(scene, steady, listener_name_plaintext_max_connections="3")
        here = [scene.connect() for _ in range(3)]
        scene.note("three of a listener", [is_served(connection) for connection in [steady, *here[:2]]])
        late = here[2]
        late.send(late.frame("Metadata", 9, {"topics": []}))
        scene.note("one more", late.fate(1.5))
        altered(scene, steady, listener_name_plaintext_max_connections="4")
        scene.note("it is served when there may be more", late.fate(3))
        altered(scene, steady, listener_name_plaintext_max_connections="1")
        scene.note("what is there stays when there may be fewer", [is_served(connection) for connection in [steady, *here[:2]]])
        altered(scene, steady, listener_name_plaintext_max_connections=None)
        for connection in here:
            connection.socket.close()


def too_many_connections(scene):
    """A limit below what there is closes connections until it holds."""
    with scene.connect() as steady:
        here = [scene.connect() for _ in range(6)]
        for connection in [*here, steady, here[1], here[4]]:
            connection.ask("Metadata", 9, {"topics": []})
            time.sleep(0.05)
        altered(scene, steady, max_connections="3")
        time.sleep(2)
        # Kafka's threads close each of its own, so which of the older ones go is chance.
        served = [is_served(connection) for connection in [*here, steady]]
        scene.note("of seven", {"served": served.count("served"), "closed": served.count("closed"), "the last that spoke": served[-1]})
        altered(scene, steady, max_connections=None)
        for connection in here:
            connection.socket.close()


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
        wanted = (len(content) - 2) * 1000
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


def commit(group, topic, version=8, member="", generation=-1, **more):
    return ("OffsetCommit", version, {"groupId": group, "generationIdOrMemberEpoch": generation, "memberId": member, "topics": [
        {"name": topic, "partitions": [{"partitionIndex": 0, "committedOffset": 7, "committedMetadata": ""}]}]} | more)


def only_member(scene, group):
    """It has committed for the topic that it is subscribed to, and for another."""
    with scene.connect() as connection:
        subscribed = bytes.fromhex("0000" "00000001" "0008") + b"expiring" + bytes.fromhex("ffffffff")
        asked = join(group) | {"sessionTimeoutMs": 20_000, "protocolType": "connect" if group == "stays-connect" else "consumer",
                               "protocols": [{"name": "range", "metadata": b"?" if group == "stays-strange" else subscribed}]}
        member = connection.ask("JoinGroup", 5, asked)["memberId"]
        generation = connection.ask("JoinGroup", 5, asked | {"memberId": member})["generationId"]
        known = {"groupId": group, "generationId": generation, "memberId": member}
        synced = connection.ask("SyncGroup", 3, known | {"assignments": [{"memberId": member, "assignment": b""}]})
        assert synced["errorCode"] == 0, synced
        for topic in ("expiring", "expiring-too"):
            connection.ask(*commit(group, topic, member=member, generation=generation))
        return known


class Expiring:
    """What `offsets_that_will_expire` has left for `expired_offsets`, which comes last: offsets are kept for a minute."""

    ALONE = ["alone", "alone-brief", "alone-default", "alone-long", "alone-never"]
    STAYING = ["stays", "stays-strange", "stays-connect"]

    def begin(self, scene):
        self.begun, self.over = time.monotonic(), threading.Event()
        self.members = [only_member(scene, group) for group in self.STAYING]
        # One connection, so that nobody is in the way of those that count connections.
        self.thread = threading.Thread(target=self.beat, args=[scene.connect()], daemon=True)
        self.thread.start()

    def beat(self, connection):
        while not self.over.wait(2):
            for known in self.members:
                assert connection.ask("Heartbeat", 3, known)["errorCode"] == 0, known

    def wait(self):
        time.sleep(max(0, self.begun + 63 - time.monotonic()))


expiring = Expiring()


def offsets_that_will_expire(scene):
    coordinator_ready(scene)
    create(scene, "expiring")
    create(scene, "expiring-too")
    scene.ask("of nobody", *commit("alone", "expiring"))
    scene.ask("of nobody, for three seconds", *commit("alone-brief", "expiring", version=2, retentionTimeMs=3000))
    scene.ask("of nobody, as long as the broker says", *commit("alone-default", "expiring", version=4, retentionTimeMs=-1))
    scene.ask("of nobody, for two hours", *commit("alone-long", "expiring", version=3, retentionTimeMs=7_200_000))
    scene.ask("for no time", *commit("alone-never", "expiring", version=2, retentionTimeMs=0))
    left = only_member(scene, "leaves")
    with scene.connect() as connection:
        connection.ask("LeaveGroup", 3, {"groupId": "leaves", "members": [{"memberId": left["memberId"]}]})
    expiring.begin(scene)
    time.sleep(5)
    scene.connection = None  # Nobody may be silent for so long here.
    scene.ask("three seconds are over", "OffsetFetch", 8, {"groups": [{"groupId": group, "topics": None} for group in expiring.ALONE]})


def expired_offsets(scene):
    with scene.connect() as connection:
        # Half a minute later: this one is still there at the end.
        connection.ask(*commit("alone-late", "expiring"))
    expiring.wait()
    expiring.over.set()
    expiring.thread.join()
    groups = [*expiring.ALONE, "alone-late", "leaves", *expiring.STAYING]
    scene.ask("a minute is over", "OffsetFetch", 8, {"groups": [{"groupId": group, "topics": None} for group in groups]})
    listed = scene.connect().ask("ListGroups", 4, {})["groups"]
    scene.connection = None
    scene.note("those that there are", sorted(group["groupId"] for group in listed if group["groupId"] in groups))
    described = scene.connect().ask("DescribeGroups", 5, {"groups": groups})["groups"]
    scene.note("described", {group["groupId"]: group["groupState"] for group in described})


# Connections are counted first: one that was closed while it waited to join a group is noticed only when it is answered,
# here as in Kafka.
SCENES = [connections, connections_of_a_listener, too_many_connections, offsets_that_will_expire, connections_created, group_sizes, session_bounds, offset_metadata, topics_that_stay, sizes, fetch_session_slots, idle_connections, a_byte_a_second, expired_offsets]
