"""The conversations of administrators: log directories, quotas, elections, credentials, and what one node without an
authorizer, a secret key or a telemetry receiver refuses.

They come after `scenes.py` on the same broker, and look only at what they made themselves.
"""

import time

from batches import batch, record
from connection import Closed
from scenes import SOME_ID, NO_ID, create, produce

EXACT, DEFAULT, ANY = 0, 1, 2
TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32


def own_directory(scene):
    with scene.connect() as connection:
        return connection.ask("DescribeLogDirs", 4, {"topics": None})["results"][0]["logDir"]


def until(scene, api, version, body, is_so):
    """Kafka's broker hears of what its controller has decided a moment later."""
    for _ in range(200):
        with scene.connect() as connection:
            if is_so(connection.ask(api, version, body)):
                return
        time.sleep(0.05)
    raise AssertionError(f"{api} never came to it: {body}")


# ---- log directories and producers

def log_dirs(scene):
    create(scene, "dirs", 3)
    scene.ask("written", "Produce", 9, produce("dirs", batch([record(i) for i in range(3)]), partition=1))
    of_it = [{"topic": "dirs", "partitions": [0, 1, 2]}]
    for version in range(1, 6):
        scene.ask(f"v{version}", "DescribeLogDirs", version, {"topics": of_it})
    ask = lambda label, topics: scene.ask(label, "DescribeLogDirs", 4, {"topics": topics})
    ask("one partition", [{"topic": "dirs", "partitions": [1]}])
    ask("unknown partition", [{"topic": "dirs", "partitions": [1, 7, -1]}])
    ask("unknown topic", [{"topic": "never-was", "partitions": [0]}])
    ask("a topic without partitions", [{"topic": "dirs", "partitions": []}])
    ask("the same topic twice", [{"topic": "dirs", "partitions": [0]}, {"topic": "dirs", "partitions": [1]}])
    ask("the same partition twice", [{"topic": "dirs", "partitions": [0, 0]}])
    ask("a bad name", [{"topic": "a/b", "partitions": [0]}])
    ask("no topics", [])
    with scene.connect() as connection:
        answer = connection.ask("DescribeLogDirs", 4, {"topics": None})
        topics = [topic["name"] for topic in answer["results"][0]["topics"]]
        scene.note("of all", {"errorCode": answer["errorCode"], "directories": len(answer["results"]),
                              "has it": "dirs" in topics, "has the log of metadata": "__cluster_metadata" in topics})


def alter_replica_log_dirs(scene):
    create(scene, "moves", 2)
    own = own_directory(scene)

    def ask(label, *dirs, version=2):
        scene.ask(label, "AlterReplicaLogDirs", version, {"dirs": [
            {"path": path, "topics": [{"name": name, "partitions": partitions} for name, partitions in topics]}
            for path, topics in dirs]})
    for version in (1, 2):
        ask(f"to where it is, v{version}", (own, [("moves", [0])]), version=version)
    ask("to nowhere", ("/no/such", [("moves", [0])]))
    ask("a relative path", ("data", [("moves", [0])]))
    ask("an empty path", ("", [("moves", [0])]))
    ask("with a slash behind it", (own + "/", [("moves", [0])]))
    ask("unknown partition", (own, [("moves", [9])]))
    ask("unknown topic", (own, [("never-was", [0])]))
    ask("a bad name", (own, [("a/b", [0])]))
    ask("a name too long to move", ("/no/such", [("x" * 213, [0]), ("x" * 214, [0]), ("x" * 213, [10])]))
    ask("unknown topic to nowhere", ("/no/such", [("never-was", [0])]))
    ask("partition -1", (own, [("moves", [-1])]))
    ask("several", (own, [("moves", [0, 1])]), ("/no/such", [("moves", [1])]))
    ask("nothing")
    ask("a directory without topics", (own, []))
    ask("a topic without partitions", (own, [("moves", [])]))
    ask("the same twice", (own, [("moves", [0, 0])]))


def describe_producers(scene):
    create(scene, "prods", 2)
    producers = []
    with scene.connect() as connection:
        while len(producers) < 2:  # The first block of ids takes a moment.
            answer = connection.ask("InitProducerId", 4, {"transactionalId": None, "transactionTimeoutMs": 60_000})
            producers += [answer["producerId"]] if answer["errorCode"] == 0 else []

    def ask(label, *topics):
        scene.ask(label, "DescribeProducers", 0, {"topics": [
            {"name": name, "partitionIndexes": indexes} for name, indexes in topics]})
    now = int(time.time() * 1000)
    ask("nobody", ("prods", [0]))
    scene.ask("without a producer", "Produce", 9, produce("prods", batch()))
    ask("still nobody", ("prods", [0]))
    scene.ask("written long ago", "Produce", 9, produce("prods", batch(producer=(producers[0], 0, 0))))
    ask("one that has expired", ("prods", [0]))
    scene.ask("written", "Produce", 9, produce("prods", batch([record(i) for i in range(3)], producer=(producers[0], 1, 0),
                                                             first_time=now)))
    ask("one", ("prods", [0]))
    scene.ask("written on", "Produce", 9, produce("prods", batch([record(i) for i in range(2)], producer=(producers[0], 1, 3),
                                                                first_time=now + 1)))
    ask("the same, further", ("prods", [0, 1]))
    scene.ask("of another", "Produce", 9, produce("prods", batch(producer=(producers[1], 4, 0), first_time=now), partition=1))
    ask("both partitions", ("prods", [1, 0]))
    ask("unknown partition", ("prods", [0, 9, -1]))
    ask("unknown topic", ("never-was", [0]))
    ask("a bad name", ("a/b", [0]))
    ask("an empty name", ("", [0]))
    ask("no partitions", ("prods", []))
    ask("no topics")
    ask("the same topic twice", ("prods", [1]), ("prods", [0]))
    ask("the same partition twice", ("prods", [1, 1]))


# ---- quotas

def entity(*parts, **named):
    return [{"entityType": kind.replace("_", "-"), "entityName": name} for kind, name in [*parts, *named.items()]]


def client_quotas(scene):
    def alter(label, given, *ops, version=1, validate=False):
        ops = [{"key": key, "value": 0.0 if value is None else value, "remove": value is None} for key, value in ops]
        return scene.ask(label, "AlterClientQuotas", version, {
            "validateOnly": validate, "entries": [{"entity": given, "ops": ops}]})

    def describe(label, *components, strict=False, version=1):
        body = {"strict": strict, "components": [
            {"entityType": kind, "matchType": how, "match": match} for kind, how, match in components]}
        time.sleep(0.1)  # Kafka's broker hears of what its controller has decided a moment later.
        scene.ask(label, "DescribeClientQuotas", version, body)

    mine, rate = entity(client_id="quoted"), ("producer_byte_rate", 5e9)
    for version in (0, 1):
        alter(f"set v{version}", mine, rate, version=version)
    alter("no operation", mine)
    alter("an unknown key", mine, ("no.such", 1.0))
    alter("zero", mine, ("producer_byte_rate", 0.0))
    alter("negative", mine, ("producer_byte_rate", -1.0))
    alter("a fraction of a byte", mine, ("producer_byte_rate", 1000.5))
    alter("almost a whole byte", mine, ("consumer_byte_rate", 5e9 + 1e-7))
    alter("too large", mine, ("producer_byte_rate", 1e19))
    alter("infinite", mine, ("producer_byte_rate", float("inf")))
    alter("infinite percentage", mine, ("request_percentage", float("inf")))
    alter("not a number", mine, ("producer_byte_rate", float("nan")))
    alter("not a percentage", mine, ("request_percentage", float("nan")))
    alter("a fraction of a percent", mine, ("request_percentage", 1000.5))
    alter("connections of a client", mine, ("connection_creation_rate", 5.0))
    alter("mutations of a client", mine, ("controller_mutation_rate", 1e6))
    alter("rate of an address", entity(ip="10.0.0.1"), rate)
    alter("connections of an address", entity(ip="10.0.0.1"), ("connection_creation_rate", 5000.0))
    alter("connections, a fraction", entity(ip="10.0.0.1"), ("connection_creation_rate", 5000.5))
    alter("connections of a name", entity(ip="localhost"), ("connection_creation_rate", 5000.0))
    alter("connections of no address", entity(ip="no such host."), ("connection_creation_rate", 5000.0))
    alter("connections of an empty address", entity(ip=""), ("connection_creation_rate", 5000.0))
    alter("connections of any address", entity(ip=None), ("connection_creation_rate", 5000.0))
    alter("an address and a user", entity(ip="10.0.0.1", user="u"), ("connection_creation_rate", 5000.0))
    alter("a kind that is none", entity(planet="earth"), rate)
    alter("an empty kind", entity(("", "x")), rate)
    alter("nobody", [], rate)
    alter("an empty client", entity(client_id=""), rate)
    alter("an empty user", entity(user=""), rate)
    alter("the same kind twice", entity(("user", "a"), ("user", "b")), rate)
    alter("of a user", entity(user="ada"), rate, ("consumer_byte_rate", 6e9))
    alter("of a user and a client", entity(user="ada", client_id="quoted"), rate)
    alter("of any user", entity(user=None), rate)
    alter("of any client", entity(client_id=None), ("consumer_byte_rate", 7e9))
    alter("of any user and any client", entity(user=None, client_id=None), rate)
    alter("a client, then its user", entity(("client-id", "quoted"), ("user", "bob")), rate)
    alter("a key twice", mine, ("producer_byte_rate", 1e9), ("producer_byte_rate", 2e9))
    describe("after a key twice", ("client-id", EXACT, "quoted"), strict=True)
    alter("a key set and removed", mine, ("producer_byte_rate", 1e9), ("producer_byte_rate", None))
    describe("after a key set and removed", ("client-id", EXACT, "quoted"), strict=True)
    alter("set again", mine, rate)
    alter("only validated", mine, ("producer_byte_rate", 9e9), validate=True)
    alter("only validated, wrong", mine, ("producer_byte_rate", -9.0), validate=True)
    alter("what was never set is removed", mine, ("request_percentage", None))
    alter("an unknown key is removed", mine, ("no.such", None))
    alter("of nobody known is removed", entity(user="nobody"), ("producer_byte_rate", None))
    alter("one right and one wrong", mine, ("producer_byte_rate", 8e9), ("no.such", 1.0))
    scene.ask("no entries", "AlterClientQuotas", 1, {"entries": []})
    op = lambda value: [{"key": "consumer_byte_rate", "value": value, "remove": False}]
    scene.ask("the same entity twice", "AlterClientQuotas", 1, {"entries": [
        {"entity": entity(user="twice"), "ops": op(1e9)}, {"entity": entity(user="twice"), "ops": op(2e9)}]})
    scene.ask("one of two is wrong", "AlterClientQuotas", 1, {"entries": [
        {"entity": entity(user="fine"), "ops": op(1e9)}, {"entity": entity(user="wrong"), "ops": op(-2e9)}]})
    alter("the last one", entity(user="last"), rate)
    until(scene, "DescribeClientQuotas", 1, {"components": [{"entityType": "user", "matchType": EXACT, "match": "last"}]},
          lambda answer: answer["entries"])

    for version in (0, 1):
        describe(f"all v{version}", version=version)
    describe("all, strictly", strict=True)
    describe("one client", ("client-id", EXACT, "quoted"))
    describe("one client, strictly", ("client-id", EXACT, "quoted"), strict=True)
    describe("any client", ("client-id", ANY, None))
    describe("any client, strictly", ("client-id", ANY, None), strict=True)
    describe("the default client", ("client-id", DEFAULT, None))
    describe("the default client, strictly", ("client-id", DEFAULT, None), strict=True)
    describe("one user", ("user", EXACT, "ada"))
    describe("one user, strictly", ("user", EXACT, "ada"), strict=True)
    describe("a user and a client", ("user", EXACT, "ada"), ("client-id", ANY, None))
    describe("a user and a client, strictly", ("user", EXACT, "ada"), ("client-id", EXACT, "quoted"), strict=True)
    describe("the default user and client", ("user", DEFAULT, None), ("client-id", DEFAULT, None))
    describe("addresses", ("ip", ANY, None))
    describe("an address", ("ip", EXACT, "10.0.0.1"))
    describe("the default address", ("ip", DEFAULT, None))
    describe("an address and a user", ("ip", ANY, None), ("user", ANY, None))
    describe("nobody known", ("user", EXACT, "never-was"))
    describe("the same kind twice", ("user", EXACT, "ada"), ("user", ANY, None))
    describe("a kind that is none", ("planet", EXACT, "earth"))
    describe("an empty kind", ("", EXACT, "x"))
    describe("exactly nothing", ("user", EXACT, None))
    describe("exactly an empty name", ("user", EXACT, ""))
    describe("the default, named", ("user", DEFAULT, "ada"))
    describe("any, named", ("user", ANY, "ada"))
    describe("a match that is none", ("user", 9, None))
    describe("a negative match", ("user", -1, None))
    for given in (mine, entity(ip="10.0.0.1"), entity(ip=None), entity(ip="localhost"), entity(user="ada"), entity(user="last"),
                  entity(user="b"), entity(user="twice"), entity(user="fine"), entity(user="ada", client_id="quoted"), entity(user=None),
                  entity(client_id=None), entity(user=None, client_id=None), entity(user="bob", client_id="quoted")):
        kinds = ["connection_creation_rate"] if given[0]["entityType"] == "ip" else [
            "producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"]
        alter(f"removed of {given}".replace(": ", " "), given, *((key, None) for key in kinds))
    until(scene, "DescribeClientQuotas", 1, {"components": [{"entityType": "user", "matchType": EXACT, "match": "bob"}]},
          lambda answer: not answer["entries"])
    describe("none is left")


def throttling(scene):
    """A client over its quota is told so in the answer, and its connection is silent for as long. Times are not noted."""
    create(scene, "slow")

    def alter(client, **ops):
        with scene.connect() as connection:
            answer = connection.ask("AlterClientQuotas", 1, {"entries": [{"entity": entity(client_id=client), "ops": [
                {"key": key, "value": value or 0.0, "remove": value is None} for key, value in ops.items()]}]})
            assert answer["entries"][0]["errorCode"] == 0, answer
        until(scene, "DescribeClientQuotas", 1, {"components": [
            {"entityType": "client-id", "matchType": EXACT, "match": client}]},
            lambda answer: bool(answer["entries"]) == (None not in ops.values()))
        time.sleep(0.3)  # It is seen in the image before it is in force.

    def throttle_of(label, connection, api, version, body):
        begun = time.monotonic()
        answer = connection.ask(api, version, body)
        assert time.monotonic() - begun < 1.5, "the answer itself is late"
        throttle = answer["throttleTimeMs"]
        # 30 kB more than 50 kB in a window of ten seconds, at 5 kB a second: two seconds, and what has passed of a window.
        scene.note(label, "not throttled" if not throttle else "for about two seconds" if 1000 <= throttle <= 2500 else throttle)
        return answer

    def silence(label, connection):
        begun = time.monotonic()
        answer = connection.ask("Metadata", 9, {"topics": []})
        scene.note(label, {"silent": time.monotonic() - begun > 0.5, "throttled itself": answer["throttleTimeMs"] > 0})

    big = batch([record(value=bytes(30_000))])
    fetch = {"maxWaitMs": 100, "minBytes": 1, "maxBytes": 1 << 20, "sessionEpoch": -1, "topics": [
        {"topic": "slow", "partitions": [{"partition": 0, "fetchOffset": 0, "partitionMaxBytes": 1000}]}]}
    for client in ("slow", "free"):
        if client == "slow":
            alter(client, producer_byte_rate=5000.0, consumer_byte_rate=5000.0)
        with scene.connect() as connection:
            connection.client_id = client
            for nth in ("first", "second"):
                throttle_of(f"{client}, {nth} produce", connection, "Produce", 9, produce("slow", big))
            silence(f"{client}, after produces", connection)
        with scene.connect() as connection:
            connection.client_id = client
            for nth in ("first", "second"):
                answer = throttle_of(f"{client}, {nth} fetch", connection, "Fetch", 12, fetch)
                partition = [part for topic in answer["responses"] for part in topic["partitions"]]
                scene.note(f"{client}, {nth} fetch has", sum(len(part["records"] or b"") for part in partition))
            silence(f"{client}, after fetches", connection)
    with scene.connect() as connection:  # Quotas are a client's, not a connection's.
        connection.client_id = "slow"
        scene.note("another connection of it", connection.ask("Produce", 9, produce("slow", batch()))["throttleTimeMs"] > 0)
    with scene.connect() as connection:
        connection.client_id = "slow"
        connection.send(connection.frame("Produce", 9, produce("slow", big, acks=0)))
        silence("without acks", connection)
    alter("slow", producer_byte_rate=None, consumer_byte_rate=None)
    with scene.connect() as connection:
        connection.client_id = "slow"
        throttle_of("without a quota again", connection, "Produce", 9, produce("slow", big))
    alter("busy", request_percentage=0.0001)
    with scene.connect() as connection:
        connection.client_id = "busy"
        # A hundred at most: to a quick broker three of them are less than the quota.
        answers = [connection.ask("Metadata", 9, {"topics": []})]
        while answers[-1]["throttleTimeMs"] == 0 and len(answers) < 100:
            answers.append(connection.ask("Metadata", 9, {"topics": []}))
        scene.note("too busy a client", {"throttled": any(answer["throttleTimeMs"] > 0 for answer in answers),
                                         "for a second at most": all(answer["throttleTimeMs"] <= 1000 for answer in answers)})
    alter("busy", request_percentage=None)


def connection_rate(scene):
    """Of many connections at once from an address with a quota some are closed, and none is answered before that."""
    with scene.connect() as steady:
        def alter(value):
            answer = steady.ask("AlterClientQuotas", 1, {"entries": [{"entity": entity(ip="127.0.0.1"), "ops": [
                {"key": "connection_creation_rate", "value": value or 0.0, "remove": value is None}]}]})
            assert answer["entries"][0]["errorCode"] == 0, answer
            time.sleep(0.5)

        def is_served(connection):
            try:
                connection.ask("Metadata", 9, {"topics": []})
                return True
            except Closed:
                return False
        alter(2.0)
        many = [scene.connect() for _ in range(40)]
        for connection in many:
            connection.send(connection.frame("Metadata", 9, {"topics": []}))
        served = [is_answered(connection) for connection in many]
        scene.note("of many connections", {"the first is served": served[0], "all are": all(served),
                                           "as many as ten seconds allow, about": 15 <= sum(served) <= 25})
        scene.note("one that is there already", is_served(steady))
        for connection in many:
            connection.socket.close()
        alter(None)
        with scene.connect() as connection:
            scene.note("without a quota again", is_served(connection))


def is_answered(connection):
    try:
        connection.answer("Metadata", 9)
        return True
    except Closed:
        return False


def mutations(scene):
    """Topics and partitions made and deleted, by a client with a quota for that: refused once the bucket is empty."""
    client = entity(client_id="maker")

    def alter(value):
        with scene.connect() as connection:
            answer = connection.ask("AlterClientQuotas", 1, {"entries": [{"entity": client, "ops": [
                {"key": "controller_mutation_rate", "value": value or 0.0, "remove": value is None}]}]})
            assert answer["entries"][0]["errorCode"] == 0, answer
        time.sleep(1)

    def ask(label, api, version, body):
        with scene.connect() as connection:
            connection.client_id = "maker"
            answer = connection.ask(api, version, body)
            answer["throttled"] = answer["throttleTimeMs"] > 0
            scene.note(label, answer)

    topic = lambda name, partitions: {"name": name, "numPartitions": partitions, "replicationFactor": 1}
    made = lambda *topics: {"timeoutMs": 10_000, "topics": list(topics)}
    alter(1.0)
    ask("within the burst", "CreateTopics", 6, made(topic("made-1", 30)))
    ask("validated only", "CreateTopics", 6, made(topic("made-2", 1)) | {"validateOnly": True})
    ask("over it", "CreateTopics", 6, made(topic("made-2", 1), topic("a/b", 1), topic("made-1", 1)))
    ask("over it, by an old client", "CreateTopics", 5, made(topic("made-3", 1)))
    grown = [{"name": "made-1", "count": 31, "assignments": None}, {"name": "never-was", "count": 2, "assignments": None}]
    ask("partitions over it", "CreatePartitions", 3, made(*grown))
    ask("partitions over it, by an old client", "CreatePartitions", 2, made(*grown))
    ask("deletion over it", "DeleteTopics", 5, {"timeoutMs": 10_000, "topicNames": ["made-1", "never-was"]})
    ask("deletion over it, by an old client", "DeleteTopics", 4, {"timeoutMs": 10_000, "topicNames": ["made-1"]})
    alter(None)  # Kafka goes on refusing strictly, until its sensor is forgotten.


# ---- elections and reassignments

def elect_leaders(scene):
    create(scene, "elects", 2)

    def ask(label, *topics, version=2, kind=0, **more):
        body = {"timeoutMs": 10_000, "topicPartitions": [{"topic": name, "partitions": parts} for name, parts in topics]}
        scene.ask(label, "ElectLeaders", version, body | ({"electionType": kind} if version else {}) | more)
    for version in range(3):
        ask(f"preferred, v{version}", ("elects", [0, 1]), version=version)
    ask("unclean", ("elects", [0]), kind=1)
    ask("of a kind that is none", ("elects", [0]), kind=9)
    ask("unknown partition", ("elects", [0, 9, -1]))
    ask("unknown topic", ("never-was", [0]))
    ask("a bad name", ("a/b", [0]))
    ask("nothing")
    ask("a topic without partitions", ("elects", []))
    ask("the same twice", ("elects", [0, 0]))
    for version in range(3):
        for timeout in (0, -1):
            ask(f"within {timeout} ms, v{version}", ("elects", [0, 1]), ("never-was", [0]), version=version, timeoutMs=timeout)
            ask(f"nothing within {timeout} ms, v{version}", version=version, timeoutMs=timeout)
    for label, kind in (("of all", 0), ("of all, unclean", 1)):
        answer = scene.connect().ask("ElectLeaders", 2, {"electionType": kind, "timeoutMs": 10_000, "topicPartitions": None})
        answer["replicaElectionResults"] = [each for each in answer["replicaElectionResults"] if each["topic"] == "elects"]
        scene.note(label, answer)


def reassignments(scene):
    create(scene, "reassigned", 2)

    def alter(label, *topics, version=1, **more):
        scene.ask(label, "AlterPartitionReassignments", version, {"timeoutMs": 10_000, "topics": [
            {"name": name, "partitions": [{"partitionIndex": index, "replicas": replicas} for index, replicas in partitions]}
            for name, partitions in topics]} | more)
    for version in (0, 1):
        alter(f"to where it is, v{version}", ("reassigned", [(0, [0])]), version=version)
    alter("to nobody", ("reassigned", [(0, [])]))
    alter("to an unknown broker", ("reassigned", [(0, [9])]))
    alter("to a broker twice", ("reassigned", [(0, [0, 0])]))
    alter("to broker -1", ("reassigned", [(0, [-1])]))
    alter("to two", ("reassigned", [(0, [0, 9])]))
    alter("to two, not to be more", ("reassigned", [(0, [0, 9])]), allowReplicationFactorChange=False)
    alter("not to be more, as it is", ("reassigned", [(0, [0])]), allowReplicationFactorChange=False)
    alter("none to cancel", ("reassigned", [(0, None)]))
    alter("unknown partition", ("reassigned", [(9, [0]), (1, [0])]))
    alter("unknown topic", ("never-was", [(0, [0])]))
    alter("unknown topic, to cancel", ("never-was", [(0, None)]))
    alter("a bad name", ("a/b", [(0, [0])]))
    alter("nothing")
    alter("a topic without partitions", ("reassigned", []))
    alter("the same twice", ("reassigned", [(0, [0]), (0, [0])]))
    for timeout in (0, -1):
        alter(f"within {timeout} ms", ("reassigned", [(1, [0]), (0, None)]), ("never-was", [(0, [0])]), timeoutMs=timeout)
        alter(f"within {timeout} ms, not to be more", ("reassigned", [(1, [0])]), timeoutMs=timeout, allowReplicationFactorChange=False)
        alter(f"nothing within {timeout} ms", timeoutMs=timeout)

    def listed(label, topics):
        scene.ask(label, "ListPartitionReassignments", 0, {"timeoutMs": 10_000, "topics": topics})
    listed("list all", None)
    listed("list none", [])
    listed("list one", [{"name": "reassigned", "partitionIndexes": [0]}])
    listed("list unknown", [{"name": "never-was", "partitionIndexes": [0]}, {"name": "reassigned", "partitionIndexes": [9]}])
    listed("list of a bad name", [{"name": "a/b", "partitionIndexes": [0]}])


# ---- the cluster

def quorum(scene):
    def ask(label, *topics, version=2):
        with scene.connect() as connection:
            answer = connection.ask("DescribeQuorum", version, {"topics": [
                {"topicName": name, "partitions": [{"partitionIndex": index} for index in indexes]} for name, indexes in topics]})
        for topic in answer["topics"]:
            for partition in topic["partitions"]:
                partition["highWatermark"] = partition["highWatermark"] > 0
        for node in answer.get("nodes", []):
            for listener in node["listeners"]:
                listener["port"] = listener["port"] > 0
        scene.note(label, answer)
    for version in range(3):
        ask(f"v{version}", ("__cluster_metadata", [0]), version=version)
    ask("partition 1", ("__cluster_metadata", [1]))
    ask("another topic", ("elects", [0]))
    ask("another topic, v0", ("elects", [0]), version=0)
    ask("two topics", ("__cluster_metadata", [0]), ("elects", [0]))
    ask("two partitions", ("__cluster_metadata", [0, 1]))
    ask("the same twice", ("__cluster_metadata", [0, 0]))
    ask("no partition", ("__cluster_metadata", []))
    ask("nothing")


def features(scene):
    def update(label, *updates, version=2, validate=False, timeout=10_000):
        body = {"timeoutMs": timeout, "featureUpdates": [
            {"feature": name, "maxVersionLevel": level}
            | ({"upgradeType": how} if version else {"allowDowngrade": how != 1}) for name, level, how in updates]}
        scene.ask(label, "UpdateFeatures", version, body | ({"validateOnly": validate} if version else {}))
    upgrade, safe, unsafe = 1, 2, 3
    for version in range(3):
        update(f"to what it is, v{version}", ("metadata.version", 33, upgrade), version=version)
    for version in (0, 1, 2):
        update(f"unknown, v{version}", ("no.such", 1, upgrade), version=version)
    for version in (0, 1, 2):
        update(f"unknown, in no time, v{version}", ("no.such", 1, upgrade), version=version, timeout=-1)
    update("unknown, off", ("no.such", 0, upgrade))
    update("nothing")
    update("too high", ("metadata.version", 99, upgrade))
    update("too high, only validated", ("metadata.version", 99, upgrade), validate=True)
    update("too low", ("metadata.version", 1, safe))
    update("lower, as an upgrade", ("metadata.version", 25, upgrade))
    update("negative", ("metadata.version", -1, upgrade))
    update("zero", ("metadata.version", 0, safe))
    update("zero, as an upgrade", ("metadata.version", 0, upgrade))
    update("a way that is none", ("metadata.version", 33, 9))
    update("lower, only validated", ("metadata.version", 32, safe), validate=True)
    update("lower, unsafe, only validated", ("metadata.version", 25, unsafe), validate=True)
    update("lower, safe, over a change of records", ("metadata.version", 7, safe), validate=True)
    update("one right, one unknown", ("metadata.version", 33, upgrade), ("no.such", 1, upgrade))
    update("a name that is empty", ("", 1, upgrade))
    scene.ask("the same twice", "UpdateFeatures", 2, {"timeoutMs": 10_000, "featureUpdates": [
        {"feature": "metadata.version", "maxVersionLevel": 33, "upgradeType": 1}] * 2})


def config_resources(scene):
    create(scene, "resourced")

    def alter(label, kind, name, *changes, **more):
        scene.ask(label, "IncrementalAlterConfigs", 1, {"resources": [{"resourceType": kind, "resourceName": name, "configs": [
            {"name": key, "configOperation": how, "value": value} for key, how, value in changes]}]} | more)

    def replace(label, kind, name, *entries):
        scene.ask(label, "AlterConfigs", 2, {"resources": [{"resourceType": kind, "resourceName": name, "configs": [
            {"name": key, "value": value} for key, value in entries]}]})

    def listed(label, version, body):
        answer = scene.connect().ask("ListConfigResources", version, body)
        mine = ("resourced", "metered", "gathered", "0", "")
        answer["configResources"] = sorted((r for r in answer["configResources"] if r["resourceName"] in mine), key=str)
        scene.note(label, answer)

    def described(label, kind, name, keys=(), version=4, **more):
        scene.ask(label, "DescribeConfigs", version, {"resources": [
            {"resourceType": kind, "resourceName": name, "configurationKeys": list(keys) or None}]} | more)

    described("client metrics never set", CLIENT_METRICS, "metered")
    described("group never set", GROUP, "gathered")
    alter("client metrics", CLIENT_METRICS, "metered", ("interval.ms", 0, "5000"), ("metrics", 0, "a,b"))
    alter("a match", CLIENT_METRICS, "metered", ("match", 0, "client_software_name=.*"))
    alter("a match that is none", CLIENT_METRICS, "metered", ("match", 0, "no_such=.*"))
    alter("a match without a value", CLIENT_METRICS, "metered", ("match", 0, "client_id"))
    alter("a match that cannot be compiled", CLIENT_METRICS, "metered", ("match", 0, "client_id=["))
    alter("an interval of no number", CLIENT_METRICS, "metered", ("interval.ms", 0, "soon"))
    alter("an interval too short", CLIENT_METRICS, "metered", ("interval.ms", 0, "99"))
    alter("an interval too long", CLIENT_METRICS, "metered", ("interval.ms", 0, "3600001"))
    alter("an unknown key of client metrics", CLIENT_METRICS, "metered", ("no.such", 0, "1"))
    alter("metrics are appended", CLIENT_METRICS, "metered", ("metrics", 2, "c"))
    alter("metrics are taken away", CLIENT_METRICS, "metered", ("metrics", 3, "a"))
    alter("client metrics without a name", CLIENT_METRICS, "", ("interval.ms", 0, "5000"))
    alter("a group", GROUP, "gathered", ("consumer.session.timeout.ms", 0, "50000"), ("consumer.heartbeat.interval.ms", 0, "6000"))
    alter("a session too short", GROUP, "gathered", ("consumer.session.timeout.ms", 0, "1"))
    alter("a session too long", GROUP, "gathered", ("consumer.session.timeout.ms", 0, "60001"))
    alter("a heartbeat too rare", GROUP, "gathered", ("consumer.heartbeat.interval.ms", 0, "15001"))
    alter("a session of no number", GROUP, "gathered", ("consumer.session.timeout.ms", 0, "long"))
    alter("a session below the heartbeat", GROUP, "gathered", ("consumer.session.timeout.ms", 0, "45000"),
          ("consumer.heartbeat.interval.ms", 0, "15000"))
    alter("an offset reset that is none", GROUP, "gathered", ("share.auto.offset.reset", 0, "yesterday"))
    alter("a lock too short", GROUP, "gathered", ("share.record.lock.duration.ms", 0, "1"))
    alter("standby replicas, too many", GROUP, "gathered", ("streams.num.standby.replicas", 0, "99"))
    alter("standby replicas", GROUP, "gathered", ("streams.num.standby.replicas", 0, "1"))
    alter("an isolation that is none", GROUP, "gathered", ("share.isolation.level", 0, "x"))
    for key in ("consumer.assignment.interval.ms", "consumer.heartbeat.interval.ms", "consumer.session.timeout.ms",
                "share.assignment.interval.ms", "share.delivery.count.limit", "share.heartbeat.interval.ms",
                "share.partition.max.record.locks", "share.record.lock.duration.ms", "share.session.timeout.ms",
                "streams.assignment.interval.ms", "streams.heartbeat.interval.ms", "streams.initial.rebalance.delay.ms",
                "streams.num.standby.replicas", "streams.session.timeout.ms"):
        for value in ("-1", "0", "1", "2147483647", "1.5", ""):
            alter(f"{key}={value}", GROUP, "probed", (key, 0, value), validateOnly=True)
    for key, values in {"errors.deadletterqueue.copy.record.enable": ["maybe", "TRUE"],
                        "errors.deadletterqueue.topic.name": ["a/b", "dlq", "", "__dlq"],
                        "share.auto.offset.reset": ["earliest", "by_duration:PT1H", "by_duration:-PT1H", "by_duration:x", ""],
                        "share.isolation.level": ["read_committed", "READ_COMMITTED"], "share.renew.acknowledge.enable": ["no"],
                        "streams.assignor.name": ["sticky", "no-such", ""],
                        "streams.rack.aware.assignment.tags": ["a,b", "", "a,a"]}.items():
        for value in values:
            alter(f"{key}={value}".replace(": ", " "), GROUP, "probed", (key, 0, value), validateOnly=True)
    for key, value in (("interval.ms", "100"), ("interval.ms", ""), ("interval.ms", "-1"), ("metrics", ""), ("metrics", "a,,b"),
                       ("match", ""), ("match", "client_id=a,client_id=b"), ("match", "client_id=a,b"), ("match", "=a"),
                       ("match", "client_id="), ("match", " client_id = a "), ("match", "client_instance_id=a,client_software_version=1")):
        alter(f"{key}={value} of client metrics", CLIENT_METRICS, "probed", (key, 0, value), validateOnly=True)
    alter("tags are appended", GROUP, "probed", ("streams.rack.aware.assignment.tags", 2, "a"), validateOnly=True)
    alter("an unknown key of a group", GROUP, "gathered", ("no.such", 0, "1"))
    alter("a group without a name", GROUP, "", ("consumer.session.timeout.ms", 0, "50000"))
    alter("append to a group", GROUP, "gathered", ("consumer.session.timeout.ms", 2, "1"))
    replace("client metrics are replaced", CLIENT_METRICS, "metered", ("interval.ms", "7000"))
    replace("a group is replaced", GROUP, "gathered", ("consumer.session.timeout.ms", "55000"))
    replace("a group is replaced, wrong", GROUP, "gathered", ("consumer.session.timeout.ms", "5"))
    until(scene, "DescribeConfigs", 4, {"resources": [{"resourceType": GROUP, "resourceName": "gathered"}]},
          lambda answer: any(c["value"] == "55000" for c in answer["results"][0]["configs"]))
    described("client metrics set", CLIENT_METRICS, "metered")
    described("client metrics set, all told", CLIENT_METRICS, "metered", includeSynonyms=True, includeDocumentation=True)
    described("client metrics set, one key", CLIENT_METRICS, "metered", ["match", "no.such"])
    described("client metrics without name", CLIENT_METRICS, "")
    described("group set", GROUP, "gathered")
    described("group set, all told", GROUP, "gathered", includeSynonyms=True, includeDocumentation=True)
    described("group set, one key", GROUP, "gathered", ["consumer.session.timeout.ms", "no.such"])
    described("group without name", GROUP, "")
    described("another group", GROUP, "another", ["consumer.session.timeout.ms"])
    listed("client metrics, v0", 0, {})
    for kind in (TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, 0, 1, 77):
        listed(f"kind {kind}", 1, {"resourceTypes": [kind]})
    listed("all", 1, {"resourceTypes": []})
    listed("two kinds", 1, {"resourceTypes": [CLIENT_METRICS, GROUP]})
    listed("a kind twice", 1, {"resourceTypes": [GROUP, GROUP]})
    listed("one right, one wrong", 1, {"resourceTypes": [GROUP, 77]})
    alter("client metrics deleted", CLIENT_METRICS, "metered", ("interval.ms", 1, None))
    alter("group deleted", GROUP, "gathered", ("consumer.session.timeout.ms", 1, None))
    until(scene, "ListConfigResources", 1, {"resourceTypes": [GROUP]},
          lambda answer: "gathered" not in [r["resourceName"] for r in answer["configResources"]])
    listed("when they are gone", 1, {"resourceTypes": [CLIENT_METRICS, GROUP]})
    described("client metrics gone", CLIENT_METRICS, "metered")


def broker_loggers(scene):
    def alter(label, *changes, name="0", version=1, **more):
        scene.ask(label, "IncrementalAlterConfigs", version, {"resources": [{"resourceType": BROKER_LOGGER, "resourceName": name, "configs": [
            {"name": key, "configOperation": how, "value": value} for key, how, value in changes]}]} | more)

    def described(label, name="0", keys=("root",), **more):
        scene.ask(label, "DescribeConfigs", 4, {"resources": [
            {"resourceType": BROKER_LOGGER, "resourceName": name, "configurationKeys": list(keys)}]} | more)
    described("another broker", name="9")
    described("no broker", name="")
    described("no number", name="x")
    described("an unknown logger", keys=["no.such.logger"])
    alter("set", ("root", 0, "WARN"))
    described("as it is")
    described("as it is, all told", includeSynonyms=True, includeDocumentation=True)
    alter("set v0", ("root", 0, "INFO"), version=0)
    alter("in small letters", ("root", 0, "warn"))
    alter("a level that is none", ("root", 0, "LOUD"))
    alter("a level of null", ("root", 0, None))
    alter("an unknown logger is set", ("no.such.logger", 0, "INFO"))
    alter("root is deleted", ("root", 1, None))
    alter("an unknown logger is deleted", ("no.such.logger", 1, None))
    alter("appended", ("root", 2, "INFO"))
    alter("subtracted", ("root", 3, "INFO"))
    alter("twice", ("root", 0, "INFO"), ("root", 0, "WARN"))
    alter("only validated", ("root", 0, "INFO"), validateOnly=True)
    described("as it was")
    alter("of another broker", ("root", 0, "INFO"), name="9")
    alter("of no broker", ("root", 0, "INFO"), name="")
    alter("of no number", ("root", 0, "INFO"), name="x")
    alter("nothing")
    alter("back", ("root", 0, "INFO"))
    scene.ask("replaced", "AlterConfigs", 2, {"resources": [
        {"resourceType": BROKER_LOGGER, "resourceName": "0", "configs": [{"name": "root", "value": "INFO"}]}]})


# ---- security, of which there is none yet

def scram(scene):
    sha256, sha512 = 1, 2
    upsert = lambda name, mechanism=sha256, iterations=4096, salt=b"salty", password=b"p" * 32: {
        "name": name, "mechanism": mechanism, "iterations": iterations, "salt": salt, "saltedPassword": password}

    def alter(label, *upsertions, deletions=()):
        scene.ask(label, "AlterUserScramCredentials", 0, {"upsertions": list(upsertions), "deletions": [
            {"name": name, "mechanism": mechanism} for name, mechanism in deletions]})

    def describe(label, users):
        answer = scene.connect().ask("DescribeUserScramCredentials", 0, {
            "users": None if users is None else [{"name": name} for name in users]})
        answer["results"].sort(key=lambda result: (result["user"], result["errorCode"]))
        for result in answer["results"]:
            result["credentialInfos"].sort(key=lambda info: info["mechanism"])
        scene.note(label, answer)
    describe("nobody yet", None)
    alter("set", upsert("alice"))
    alter("another mechanism", upsert("alice", sha512, 8192, password=b"p" * 64))
    alter("too few iterations", upsert("bob", iterations=4095))
    alter("too many iterations", upsert("bob", iterations=16385))
    alter("512, too few iterations", upsert("bob", sha512, 4095))
    alter("a mechanism that is none", upsert("bob", 9))
    alter("mechanism 0", upsert("bob", 0))
    alter("an empty name", upsert(""))
    alter("an empty salt", upsert("bob", salt=b""))
    alter("an empty password", upsert("bob", password=b""))
    alter("a password of another size", upsert("carol", password=b"p"))
    alter("set again", upsert("alice", iterations=5000))
    alter("twice", upsert("dan"), upsert("dan", iterations=5000))
    alter("twice, two mechanisms", upsert("dan"), upsert("dan", sha512))
    alter("set and deleted", upsert("dan"), deletions=[("dan", sha256)])
    alter("one right, one wrong", upsert("erin"), upsert("frank", iterations=1))
    alter("delete what is not there", deletions=[("never-was", sha256)])
    alter("delete a mechanism that is not there", deletions=[("erin", sha512)])
    alter("delete a mechanism that is none", deletions=[("alice", 9)])
    alter("delete an empty name", deletions=[("", sha256)])
    alter("delete twice", deletions=[("alice", sha256), ("alice", sha256)])
    alter("wrong twice", upsert("", iterations=1), upsert("", 9))
    alter("nothing")
    until(scene, "DescribeUserScramCredentials", 0, {"users": [{"name": "erin"}]},
          lambda answer: answer["results"] and answer["results"][0]["errorCode"] == 0)
    describe("all", None)
    describe("all, by an empty list", [])
    describe("one", ["alice"])
    describe("unknown", ["never-was", "alice"])
    describe("the same twice", ["alice", "alice"])
    describe("unknown twice", ["never-was", "never-was"])
    describe("an empty name", [""])
    alter("deleted", deletions=[("alice", sha256), ("alice", sha512), ("carol", sha256), ("erin", sha256), ("dan", sha256), ("dan", sha512)])
    alter("deleted, one by one", deletions=[("alice", sha256)])
    alter("deleted, the other", deletions=[("alice", sha512)])
    alter("deleted, another's", deletions=[("carol", sha256), ("erin", sha256)])


def acls(scene):
    filters = {"resourceTypeFilter": 1, "resourceNameFilter": None, "patternTypeFilter": 1, "principalFilter": None,
               "hostFilter": None, "operation": 1, "permissionType": 1}
    creation = {"resourceType": 2, "resourceName": "t", "resourcePatternType": 3, "principal": "User:a", "host": "*",
                "operation": 3, "permissionType": 3}
    for version in range(1, 4):
        scene.ask(f"describe v{version}", "DescribeAcls", version, filters)
        scene.ask(f"create v{version}", "CreateAcls", version, {"creations": [creation]})
        scene.ask(f"delete v{version}", "DeleteAcls", version, {"filters": [filters]})
    for field, value in (("resourceTypeFilter", 99), ("operation", 99), ("permissionType", 99), ("patternTypeFilter", 99),
                         ("resourceTypeFilter", 0), ("patternTypeFilter", 0), ("operation", 0), ("permissionType", 0),
                         ("resourceTypeFilter", -1)):
        scene.ask(f"describe {field} {value}", "DescribeAcls", 3, filters | {field: value})
        scene.ask(f"delete {field} {value}", "DeleteAcls", 3, {"filters": [filters | {field: value}]})
    for field, value in (("resourceType", 99), ("operation", 99), ("permissionType", 1), ("resourcePatternType", 1),
                         ("resourceType", 0), ("operation", 0), ("permissionType", 0), ("resourcePatternType", 0),
                         ("resourceName", ""), ("principal", "nobody"), ("principal", ""), ("host", "")):
        scene.ask(f"create {field} '{value}'", "CreateAcls", 3, {"creations": [creation | {field: value}]})
    scene.ask("describe prefixed, v1", "DescribeAcls", 1, filters | {"patternTypeFilter": 4})
    scene.ask("create none", "CreateAcls", 3, {"creations": []})
    scene.ask("create two", "CreateAcls", 3, {"creations": [creation, creation]})
    scene.ask("delete none", "DeleteAcls", 3, {"filters": []})
    scene.ask("delete two", "DeleteAcls", 3, {"filters": [filters, filters]})


def delegation_tokens(scene):
    for version in range(1, 4):
        scene.ask(f"create v{version}", "CreateDelegationToken", version, {"renewers": [], "maxLifetimeMs": -1})
        scene.ask(f"describe v{version}", "DescribeDelegationToken", version, {"owners": None})
    for version in range(1, 3):
        scene.ask(f"renew v{version}", "RenewDelegationToken", version, {"hmac": b"x", "renewPeriodMs": -1})
        scene.ask(f"expire v{version}", "ExpireDelegationToken", version, {"hmac": b"x", "expiryTimePeriodMs": -1})
    owner = {"principalType": "User", "principalName": "a"}
    scene.ask("create for a group", "CreateDelegationToken", 3, {
        "renewers": [{"principalType": "Group", "principalName": "a"}], "maxLifetimeMs": 1})
    scene.ask("create for another", "CreateDelegationToken", 3, {
        "ownerPrincipalType": "User", "ownerPrincipalName": "b", "renewers": [owner], "maxLifetimeMs": 1})
    scene.ask("describe one", "DescribeDelegationToken", 3, {"owners": [owner]})
    scene.ask("describe none", "DescribeDelegationToken", 3, {"owners": []})


def sasl(scene):
    for version in range(2):
        scene.ask(f"handshake v{version}", "SaslHandshake", version, {"mechanism": "PLAIN"})
    scene.ask("handshake of nothing", "SaslHandshake", 1, {"mechanism": ""})
    for version in range(3):
        scene.ask(f"authenticate v{version}", "SaslAuthenticate", version, {"authBytes": b"\0u\0p"})


def telemetry(scene):
    with scene.connect() as connection:
        answer = connection.ask("GetTelemetrySubscriptions", 0, {"clientInstanceId": NO_ID})
        answer["subscriptionId"] = answer["subscriptionId"] != 0
        scene.note("subscriptions", answer)
    scene.ask("push", "PushTelemetry", 0, {
        "clientInstanceId": SOME_ID, "subscriptionId": 1, "terminating": False, "compressionType": 0, "metrics": b"x"})


# ---- transactions, looked at

def transactions(scene):
    ask = lambda label, version=0, **body: scene.ask(label, "ListTransactions", version, {
        "stateFilters": [], "producerIdFilters": []} | body)
    for version in range(3):
        for _ in range(200):
            with scene.connect() as connection:
                if connection.ask("ListTransactions", version, {})["errorCode"] != 14:
                    break
            time.sleep(0.05)
        ask(f"list v{version}", version)
    ask("list a state", stateFilters=["Ongoing"])
    ask("list states that are none", stateFilters=["Sleepy", "ongoing", "Ongoing", ""])
    ask("list a producer", producerIdFilters=[7])
    ask("list long ones", 1, durationFilter=100)
    ask("list a pattern", 2, transactionalIdPattern="a.*")
    ask("list a pattern that is none", 2, transactionalIdPattern="[")
    ask("list an empty pattern", 2, transactionalIdPattern="")
    for ids in (["never-was"], [""], [], ["a", "a"]):
        scene.ask(f"describe {ids}", "DescribeTransactions", 0, {"transactionalIds": ids})


SCENES = [log_dirs, alter_replica_log_dirs, describe_producers, client_quotas, throttling, connection_rate, mutations, elect_leaders, reassignments, quorum,
          features, config_resources, broker_loggers, scram, acls, delegation_tokens, sasl, transactions]
