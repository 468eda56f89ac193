"""What no client does: rare versions, errors that take a special topic, several requests at once on one connection.

They come last on the broker of the other scenes, and look only at what they made themselves.
"""

import time


from batches import SOME_TIME, batch, record
from connection import Closed, Connection
from scenes import NO_ID, SOME_ID, coordinator_ready, create, fetch, join, list_offsets, produce


def topic_id(scene, name):
    with scene.connect() as connection:
        return connection.ask("Metadata", 12, {"topics": [{"name": name}]})["topics"][0]["topicId"]


def rare_versions(scene):
    """Versions that the other scenes leave out."""
    coordinator_ready(scene)
    id = topic_id(scene, create(scene, "rare", 2))
    with scene.connect() as connection:
        answer = connection.ask("ApiVersions", 5, {"clientSoftwareName": "wire", "clientSoftwareVersion": "1.0"})
        scene.note("ApiVersions v5", {"errorCode": answer["errorCode"]})
        cluster = connection.ask("DescribeCluster", 0, {})["clusterId"]
    for label, named in (("another cluster", ("another", 0)), ("another node", (cluster, 9)), ("this one", (cluster, 0)),
                         ("a cluster and no node", (cluster, -1)), ("a node and no cluster", (None, 0))):
        with scene.connect() as connection:
            answer = connection.ask("ApiVersions", 5, {
                "clientSoftwareName": "wire", "clientSoftwareVersion": "1.0", "clusterId": named[0], "nodeId": named[1]})
            scene.note(f"ApiVersions v5 to {label}", {"errorCode": answer["errorCode"], "keys": bool(answer["apiKeys"])})
    scene.ask("FindCoordinator v3", "FindCoordinator", 3, {"key": "rare", "keyType": 0})
    scene.ask("FindCoordinator v3 of type 9", "FindCoordinator", 3, {"key": "rare", "keyType": 9})
    scene.ask("DeleteGroups v3", "DeleteGroups", 3, {"groupsNames": ["never-was"]})
    for version in (0, 1):
        asked = join(f"rare-{version}")
        asked = asked if version else {key: value for key, value in asked.items() if key != "rebalanceTimeoutMs"}
        scene.ask(f"JoinGroup v{version}", "JoinGroup", version, asked)
    offsets = {"groupId": "rare", "generationIdOrMemberEpoch": -1, "memberId": ""}
    part = lambda index=0, offset=7: {"partitionIndex": index, "committedOffset": offset, "committedMetadata": ""}
    scene.ask("OffsetCommit v10", "OffsetCommit", 10, offsets | {"topics": [{"topicId": id, "partitions": [part(), part(9)]}]})
    for label, other in (("unknown id", SOME_ID), ("no id", NO_ID)):
        scene.ask(f"OffsetCommit v10, {label}", "OffsetCommit", 10, offsets | {"topics": [{"topicId": other, "partitions": [part()]}]})
    asked = lambda *ids: {"groups": [{"groupId": "rare", "memberId": None, "memberEpoch": -1, "topics": [
        {"topicId": each, "partitionIndexes": [0, 9]} for each in ids]}]}
    scene.ask("OffsetFetch v10", "OffsetFetch", 10, asked(id))
    scene.ask("OffsetFetch v10, unknown id", "OffsetFetch", 10, asked(SOME_ID))
    scene.ask("OffsetFetch v10, no id", "OffsetFetch", 10, asked(NO_ID))
    scene.ask("OffsetFetch v10 of all", "OffsetFetch", 10, {"groups": [{"groupId": "rare", "topics": None}]})


def rare_errors(scene):
    """Errors that take a topic or a state of their own."""
    coordinator_ready(scene)
    id = topic_id(scene, create(scene, "errs"))
    create(scene, "errs-two-in-sync", min_insync_replicas="2")
    for acks in (1, -1):
        scene.ask(f"too few in sync, acks={acks}", "Produce", 9, produce("errs-two-in-sync", batch(), acks=acks))
    create(scene, "errs-small-segments", segment_bytes="1048576", max_message_bytes="3000000")
    big = batch([record(value=bytes(2_000_000))])
    scene.ask("larger than a segment", "Produce", 9, produce("errs-small-segments", big))
    create(scene, "errs-times", message_timestamp_after_max_ms="1000")
    future = int(time.time() * 1000) + 3_600_000
    answer = scene.connect().ask("Produce", 9, produce("errs-times", batch(first_time=future)))
    scene.note("of the future", {"errorCode": answer["responses"][0]["partitionResponses"][0]["errorCode"]})
    create(scene, "errs-compacted", cleanup_policy="compact")
    scene.ask("without a key, to be compacted", "Produce", 9, produce("errs-compacted", batch([record(), record(1, key=None)])))
    scene.ask("with a key, to be compacted", "Produce", 9, produce("errs-compacted", batch()))
    for offset in (1, -1, 9):
        scene.ask(f"delete records of what is compacted, {offset}", "DeleteRecords", 2, {"timeoutMs": 5_000, "topics": [
            {"name": "errs-compacted", "partitions": [{"partitionIndex": 0, "offset": offset}]}]})
    for policy in ("", "compact,delete"):
        name = create(scene, f"errs-policy-{len(policy)}", cleanup_policy=policy)
        scene.ask("written", "Produce", 9, produce(name, batch()))
        scene.ask(f"delete records under the policy '{policy}'", "DeleteRecords", 2, {"timeoutMs": 5_000, "topics": [
            {"name": name, "partitions": [{"partitionIndex": 0, "offset": 1}]}]})
    # A session of names cannot go on with ids.
    with scene.connect() as connection:
        part = {"partition": 0, "fetchOffset": 0, "partitionMaxBytes": 1000}
        asked = {"maxWaitMs": 10, "minBytes": 0, "maxBytes": 1000, "sessionEpoch": 0}
        session = connection.ask("Fetch", 12, asked | {"topics": [{"topic": "errs", "partitions": [part]}]})["sessionId"]
        answer = connection.ask("Fetch", 13, asked | {"sessionId": session, "sessionEpoch": 1, "topics": [
            {"topicId": id, "partitions": [part]}]})
        scene.note("a session of names, asked by ids", answer)
    for version in (2, 3, 4):
        for topic, index in (("never-was", 0), ("errs", 9)):
            scene.ask(f"end of an epoch of {topic}-{index} v{version}", "OffsetForLeaderEpoch", version, {"topics": [
                {"topic": topic, "partitions": [{"partition": index, "leaderEpoch": 0, "currentLeaderEpoch": -1}]}]}
                | ({"replicaId": -1} if version > 2 else {}))
    scene.ask("delete records of an internal topic", "DeleteRecords", 2, {"timeoutMs": 5_000, "topics": [
        {"name": "__consumer_offsets", "partitions": [{"partitionIndex": 0, "offset": 0}]}]})
    scene.ask("produce to an internal topic", "Produce", 9, produce("__consumer_offsets", batch()))
    scene.ask("too many partitions", "CreateTopics", 5, {"timeoutMs": 10_000, "topics": [
        {"name": "errs-many", "numPartitions": 10_001, "replicationFactor": 1}, {"name": "a/b", "numPartitions": 1, "replicationFactor": 1}]})
    scene.ask("too many partitions more", "CreatePartitions", 3, {"timeoutMs": 10_000, "topics": [
        {"name": "errs", "count": 10_002, "assignments": None}]})
    scene.ask("an internal topic", "CreateTopics", 5, {"timeoutMs": 10_000, "topics": [
        {"name": "__cluster_metadata", "numPartitions": 1, "replicationFactor": 1}]})
    scene.ask("in no time", "CreateTopics", 5, {"timeoutMs": -1, "validateOnly": True, "topics": []})


def rare_group_errors(scene):
    """A group between join and sync, and what is said to it meanwhile."""
    coordinator_ready(scene)
    create(scene, "between")
    member = scene.ask("join", "JoinGroup", 9, join("between"))["memberId"]
    joined = scene.ask("join with the id", "JoinGroup", 9, join("between", member))
    known = {"groupId": "between", "generationId": joined["generationId"], "memberId": member}
    commit = {"groupId": "between", "generationIdOrMemberEpoch": joined["generationId"], "memberId": member, "topics": [
        {"name": "between", "partitions": [{"partitionIndex": 0, "committedOffset": 5, "committedMetadata": ""}]}]}
    scene.ask("commit before sync", "OffsetCommit", 9, commit)
    scene.ask("sync of another", "SyncGroup", 5, known | {"memberId": "nobody", "protocolType": "consumer", "protocolName": "range"})
    scene.ask("sync of another group", "SyncGroup", 5, known | {"groupId": "never-was", "protocolType": "consumer", "protocolName": "range"})
    for api, version in (("SyncGroup", 5), ("Heartbeat", 4)):
        scene.ask(f"{api} with an empty group id", api, version, known | {"groupId": ""})
    scene.ask("LeaveGroup with an empty group id", "LeaveGroup", 5, {"groupId": "", "members": [{"memberId": member}]})
    scene.ask("OffsetDelete with an empty group id", "OffsetDelete", 0, {"groupId": "", "topics": []})
    scene.ask("sync", "SyncGroup", 5, known | {"protocolType": "consumer", "protocolName": "range",
                                               "assignments": [{"memberId": member, "assignment": b"x"}]})
    with scene.connect() as another:  # It waits for the first one to join again.
        second = another.ask("JoinGroup", 9, join("between"))["memberId"]
        another.send(another.frame("JoinGroup", 9, join("between", second)))
        for _ in range(200):
            with scene.connect() as connection:
                if connection.ask("DescribeGroups", 5, {"groups": ["between"]})["groups"][0]["groupState"] != "Stable":
                    break
            time.sleep(0.05)
        scene.ask("heartbeat while another joins", "Heartbeat", 4, known)
        scene.ask("sync while another joins", "SyncGroup", 5, known | {"protocolType": "consumer", "protocolName": "range"})
        scene.ask("commit while another joins", "OffsetCommit", 9, commit)
        scene.ask("delete while another joins", "DeleteGroups", 2, {"groupsNames": ["between"]})
        scene.ask("the other leaves", "LeaveGroup", 5, {"groupId": "between", "members": [{"memberId": second}]})
    static = scene.ask("a static member", "JoinGroup", 9, join("between-static", groupInstanceId="one"))["memberId"]
    scene.ask("it leaves under another id", "LeaveGroup", 5, {
        "groupId": "between-static", "members": [{"memberId": "nobody", "groupInstanceId": "one"}]})
    scene.ask("it leaves", "LeaveGroup", 5, {"groupId": "between-static", "members": [{"memberId": static, "groupInstanceId": "one"}]})
    for member_id, epoch in (("nobody", 5), ("nobody", -1), (member, 0)):
        scene.ask(f"offsets by a member, {'known' if member_id == member else 'unknown'}, epoch {epoch}", "OffsetFetch", 9, {"groups": [
            {"groupId": "between", "memberId": member_id, "memberEpoch": epoch, "topics": None}]})
    scene.ask("leave of the same twice", "LeaveGroup", 5, {"groupId": "between", "members": [{"memberId": member}] * 2})
    scene.ask("leave of nobody at all", "LeaveGroup", 5, {"groupId": "between", "members": []})
    scene.ask("describe twice", "DescribeGroups", 5, {"groups": ["between", "between"]})
    scene.ask("describe none", "DescribeGroups", 5, {"groups": []})
    scene.ask("delete twice", "DeleteGroups", 2, {"groupsNames": ["between", "between"]})
    scene.ask("delete none", "DeleteGroups", 2, {"groupsNames": []})


def odd_group_requests(scene):
    """An id of the wrong kind, an epoch that is none, and partitions that are refused beside those that are deleted."""
    coordinator_ready(scene)
    create(scene, "odd-a", 2)
    create(scene, "odd-b", 2)
    for version in (5, 9):
        given = scene.ask(f"an id is given, v{version}", "JoinGroup", version, join("odd"))["memberId"]
        scene.ask(f"a static member comes with it, v{version}", "JoinGroup", version, join("odd", given, groupInstanceId="one"))
    commit = {"groupId": "odd-simple", "generationIdOrMemberEpoch": -1, "memberId": ""}
    for epoch in (-5, -1, 2):
        scene.ask(f"commit at leader epoch {epoch}", "OffsetCommit", 9, commit | {"topics": [
            {"name": "odd-a", "partitions": [{"partitionIndex": 0, "committedOffset": 5, "committedLeaderEpoch": epoch, "committedMetadata": ""}]}]})
        scene.ask(f"fetch at leader epoch {epoch}", "OffsetFetch", 9, {"groups": [
            {"groupId": "odd-simple", "topics": [{"name": "odd-a", "partitionIndexes": [0]}]}]})
    for names in (["odd-a", "odd-b", "odd-a"], ["never-was", "odd-a", "odd-b", "odd-a"], ["never-was"]):
        for partitions in ([0, 9, 1], [1, 0], []):
            with scene.connect() as connection:
                answer = connection.ask("OffsetDelete", 0, {"groupId": "odd-simple", "topics": [
                    {"name": name, "partitions": [{"partitionIndex": index} for index in partitions]} for name in names]})
            # In the order of the answer, which is the same each time.
            scene.note(f"delete {partitions} of {', '.join(names)}", [f"error {answer['errorCode']}", *(
                " ".join([topic["name"], *(f"{part['partitionIndex']}={part['errorCode']}" for part in topic["partitions"])])
                for topic in answer["topics"])])
    for ranks in (("range", "sticky"), ("sticky", "range"), ("cooperative-sticky", "range"), ("range", "roundrobin"), ("roundrobin", "range")):
        group, one_prefers = f"tie-{'-'.join(ranks)}", tuple((name, b"") for name in ranks)
        with scene.connect() as one, scene.connect() as two:
            member = one.ask("JoinGroup", 5, join(group, protocols=one_prefers, groupInstanceId="one"))["memberId"]
            two.send(two.frame("JoinGroup", 5, join(group, protocols=one_prefers[::-1], groupInstanceId="two")))
            for _ in range(200):
                with scene.connect() as connection:
                    if connection.ask("DescribeGroups", 5, {"groups": [group]})["groups"][0]["groupState"] == "PreparingRebalance":
                        break
                time.sleep(0.05)
            answer = one.ask("JoinGroup", 5, join(group, member, protocols=one_prefers, groupInstanceId="one"))
            scene.note(f"a vote each, the leader prefers {' to '.join(ranks)}", answer["protocolName"])


def pipelined(scene):
    """Many requests before the first answer: answered one by one, in order, each as if it were alone."""
    coordinator_ready(scene)
    create(scene, "piped", 2)
    asked = [("Produce", 9, produce("piped", batch())), ("Metadata", 9, {"topics": [{"name": "piped"}]}),
             ("Produce", 9, produce("piped", batch(), acks=1)), ("Produce", 9, produce("piped", batch(), partition=1)),
             ("Fetch", 12, fetch("piped", 0)), ("ListOffsets", 5, list_offsets("piped", -1)),
             ("Produce", 9, produce("piped", batch(), partition=7)), ("Produce", 9, produce("never-was", batch())),
             ("CreateTopics", 4, {"timeoutMs": 10_000, "topics": [{"name": "a/b", "numPartitions": 1, "replicationFactor": 1}]}),
             ("Heartbeat", 4, {"groupId": "never-was", "generationId": 1, "memberId": "nobody"}),
             ("Produce", 9, produce("piped", batch())), ("ListOffsets", 5, list_offsets("piped", -1))]

    def play(label, asked):
        with scene.connect() as connection:
            first = connection.correlation + 1
            connection.send(b"".join(connection.frame(*each) for each in asked))
            for place, (api, version, body) in enumerate(asked):
                if api == "Produce" and body["acks"] == 0:
                    continue
                connection.correlation = first + place
                try:
                    scene.note(f"{label} {place}, {api}", connection.answer(api, version))
                except Closed:
                    scene.note(f"{label} {place}, {api}", "closed")
                    return
    play("a mixture", asked)
    play("silent ones between", [each for place in range(3) for each in (
        ("Produce", 9, produce("piped", batch(), acks=0)), ("ListOffsets", 5, list_offsets("piped", -2)))])
    play("a silent one that fails", [
        ("ListOffsets", 5, list_offsets("piped", -2)), ("Produce", 9, produce("never-was", batch(), acks=0)),
        ("ListOffsets", 5, list_offsets("piped", -2))])
    play("thirty produces", [("Produce", 9, produce("piped", batch(), partition=place % 2)) for place in range(30)])
    play("one that cannot be read", [
        ("Produce", 9, produce("piped", batch())), ("ListOffsets", 5, b"\x7f\xff\xff\xff\xff"), ("Metadata", 9, {"topics": []})])
    play("a long poll and one behind it", [
        ("Fetch", 12, fetch("piped", 1000) | {"maxWaitMs": 300}), ("Metadata", 9, {"topics": []})])


def twice_and_nothing(scene):
    """Duplicates and empty lists where the other scenes have none."""
    coordinator_ready(scene)
    create(scene, "twice-a")
    create(scene, "twice-b")
    scene.ask("produce of the same topic twice", "Produce", 9, {"acks": -1, "timeoutMs": 10_000, "topicData": [
        {"name": "twice-a", "partitionData": [{"index": 0, "records": batch()}]}] * 2})
    scene.ask("produce of the same partition twice", "Produce", 9, {"acks": -1, "timeoutMs": 10_000, "topicData": [
        {"name": "twice-a", "partitionData": [{"index": 0, "records": batch()}] * 2}]})
    for name in ("twice-a", "never-was"):
        scene.ask(f"produce of an unknown partition of {name} twice", "Produce", 9, {"acks": -1, "timeoutMs": 10_000, "topicData": [
            {"name": name, "partitionData": [{"index": 7, "records": batch()}] * 2}]})
    scene.ask("written", "Produce", 9, produce("twice-b", batch()))
    scene.ask("fetch of the same topic twice", "Fetch", 12, {"maxWaitMs": 100, "minBytes": 0, "maxBytes": 1 << 20, "sessionEpoch": -1, "topics": [
        {"topic": "twice-b", "partitions": [{"partition": 0, "fetchOffset": 0, "partitionMaxBytes": 1}]}] * 2})
    one = {"name": "twice-a", "partitions": [{"partitionIndex": 0, "committedOffset": 5, "committedMetadata": ""}]}
    commit = {"groupId": "twice", "generationIdOrMemberEpoch": -1, "memberId": ""}
    scene.ask("commit of the same topic twice", "OffsetCommit", 9, commit | {"topics": [one, one]})
    scene.ask("commit of the same partition twice", "OffsetCommit", 9, commit | {"topics": [one | {"partitions": one["partitions"] * 2}]})
    scene.ask("commit of no partition", "OffsetCommit", 9, commit | {"topics": [one | {"partitions": []}]})
    scene.ask("offsets of the same twice", "OffsetFetch", 9, {"groups": [
        {"groupId": "twice", "topics": [{"name": "twice-a", "partitionIndexes": [0, 0]}]}] * 2})
    scene.ask("offsets of nothing", "OffsetFetch", 9, {"groups": [{"groupId": "twice", "topics": []}]})
    scene.ask("offsets of no group", "OffsetFetch", 9, {"groups": []})
    scene.ask("coordinators of nobody", "FindCoordinator", 4, {"keyType": 0, "coordinatorKeys": []})
    scene.ask("coordinators twice", "FindCoordinator", 4, {"keyType": 0, "coordinatorKeys": ["x", "x"]})
    scene.ask("list offsets of nothing", "ListOffsets", 7, {"replicaId": -1, "topics": []})
    scene.ask("list offsets of no partition", "ListOffsets", 7, {"replicaId": -1, "topics": [{"name": "twice-a", "partitions": []}]})
    scene.ask("delete records of nothing", "DeleteRecords", 2, {"timeoutMs": 1000, "topics": []})
    scene.ask("delete records of no partition", "DeleteRecords", 2, {"timeoutMs": 1000, "topics": [{"name": "twice-a", "partitions": []}]})
    scene.ask("delete records of the same twice", "DeleteRecords", 2, {"timeoutMs": 1000, "topics": [
        {"name": "twice-a", "partitions": [{"partitionIndex": 0, "offset": 0}] * 2}]})
    scene.ask("ends of epochs of nothing", "OffsetForLeaderEpoch", 4, {"replicaId": -1, "topics": []})
    scene.ask("describe configs of nothing", "DescribeConfigs", 4, {"resources": []})
    scene.ask("describe configs of the same twice", "DescribeConfigs", 4, {"resources": [
        {"resourceType": 2, "resourceName": "twice-a", "configurationKeys": ["retention.ms"]}] * 2})
    scene.ask("alter configs of nothing", "AlterConfigs", 2, {"resources": []})
    scene.ask("alter incrementally nothing", "IncrementalAlterConfigs", 1, {"resources": []})
    scene.ask("create partitions of nothing", "CreatePartitions", 3, {"timeoutMs": 1000, "topics": []})
    scene.ask("parts of nothing", "DescribeTopicPartitions", 0, {"topics": [{"name": "twice-a"}, {"name": "twice-a"}]})
    for name in ("twice-a", "never-was"):
        scene.ask(f"delete offsets of no partition of {name}", "OffsetDelete", 0, {"groupId": "twice", "topics": [{"name": name, "partitions": []}]})
    id = topic_id(scene, "twice-a")
    for version in (12, 13):
        scene.ask(f"metadata by an id, a name and nothing, v{version}", "Metadata", version, {"topics": [
            {"topicId": id, "name": None}, {"topicId": NO_ID, "name": "twice-b"}, {"topicId": NO_ID, "name": None}]})
        scene.ask(f"metadata by a name and nothing, v{version}", "Metadata", version, {"topics": [
            {"topicId": NO_ID, "name": "twice-a"}, {"topicId": NO_ID, "name": None}]})


def below_the_start(scene):
    """Times of records that DeleteRecords has put below the log's start, while their segment is still there."""
    create(scene, "below", segment_ms="1000", retention_ms="-1")
    for topic, times in (("below", (0, 500, 5000)), (create(scene, "below-one", retention_ms="-1"), (100, 50, 10))):
        for at in times:
            records = [record(i, i) for i in range(3)]
            scene.ask("written", "Produce", 9, produce(topic, batch(records, first_time=SOME_TIME + at, max_time=SOME_TIME + at + 2)))
        for start in (1, 4, 7):
            scene.ask(f"{topic} from {start}", "DeleteRecords", 2, {"timeoutMs": 5_000, "topics": [
                {"name": topic, "partitions": [{"partitionIndex": 0, "offset": start}]}]})
            for label, timestamp in (("the youngest", -3), ("by time 11", SOME_TIME + 11), ("by time 101", SOME_TIME + 101)):
                scene.ask(f"{topic} from {start}, {label}", "ListOffsets", 7, list_offsets(topic, timestamp))
    scene.ask("below-one from 9", "DeleteRecords", 2, {"timeoutMs": 5_000, "topics": [
        {"name": "below-one", "partitions": [{"partitionIndex": 0, "offset": 9}]}]})
    scene.ask("nothing is left, the youngest", "ListOffsets", 7, list_offsets("below-one", -3))


def odd_cursors(scene):
    for name in ("cursor-a", "cursor-b"):
        create(scene, name, 2)
    topics = [{"name": name} for name in ("cursor-b", "cursor-a", "cursor-b")]

    def ask(label, topic, partition, limit=2000):
        scene.ask(label, "DescribeTopicPartitions", 0, {"topics": topics, "responsePartitionLimit": limit, "cursor": {
            "topicName": topic, "partitionIndex": partition}})
    ask("negative, a topic asked for twice", "cursor-b", -1)
    ask("not asked for, a topic asked for twice", "x", 0)
    for limit in (1, 2, 2000):
        for partition in (1, 2, 2**31 - 1, 2**31 - 2):
            ask(f"at {partition}, {limit} at most", "cursor-a", partition, limit)


def pending_and_static(scene):
    """A member that was given its id comes back with an instance id."""
    coordinator_ready(scene)
    member = scene.ask("join", "JoinGroup", 9, join("pending"))["memberId"]
    for version in (5, 9):
        scene.ask(f"as a static one, v{version}", "JoinGroup", version, join("pending", member, groupInstanceId="one"))
    scene.ask("as it was", "JoinGroup", 9, join("pending", member))


def fetch_in_session(scene, label, version, topic, session, epoch, *partitions):
    """On a connection of its own; the id of the session that goes on."""
    parts = [{"partition": each, "fetchOffset": 0, "partitionMaxBytes": 1000} for each in partitions]
    with scene.connect() as connection:
        answer = connection.ask("Fetch", version, {"maxWaitMs": 0, "minBytes": 0, "maxBytes": 1000, "sessionId": session, "sessionEpoch": epoch,
                                                   "topics": [topic | {"partitions": parts}] if parts else []})
    scene.note(f"{label}, v{version}", answer | {"sessionId": "<session>" if answer["sessionId"] else 0})
    return answer["sessionId"]


def odd_sessions(scene):
    """Fetch sessions that begin with nothing, and requests that are wrong in two ways."""
    create(scene, "odd-sessions")
    id = topic_id(scene, "odd-sessions")
    scene.ask("written", "Produce", 9, produce("odd-sessions", batch()))

    def ask(label, version, *wanted):
        return fetch_in_session(scene, label, version, {"topicId": id} if version > 12 else {"topic": "odd-sessions"}, *wanted)
    for version, other in ((7, 13), (12, 13), (13, 12), (17, 12)):
        session = ask("begun with nothing", version, 0, 0)
        ask("a partition is added", version, session, 1, 0)
        ask("a wrong epoch, and by the other kind of key", other, session, 9)
        ask("by the other kind of key", other, session, 2)
        ask("goes on", version, session, 2, 1)
        session = ask("begun anew with nothing", version, session, 0)
        ask("nothing is added", version, session, 1)
        ask("it is gone", version, session, 2)


def gone_in_a_session(scene):
    """A session by id goes on to ask for a topic that is deleted, and then made anew."""
    create(scene, "gone-in-session", 2)
    id = topic_id(scene, "gone-in-session")
    scene.ask("written", "Produce", 9, produce("gone-in-session", batch()))

    def ask(label, version, *wanted):
        return fetch_in_session(scene, label, version, {"topicId": id}, *wanted)
    sessions = {version: ask("begun", version, 0, 0, 0, 1, 2) for version in (13, 17)}
    scene.ask("deleted", "DeleteTopics", 6, {"topics": [{"name": "gone-in-session", "topicId": NO_ID}], "timeoutMs": 5_000})
    for version, session in sessions.items():
        ask("it is gone", version, session, 1)
        ask("another fetch of it", version, 0, 0, 0)
    create(scene, "gone-in-session", 1)
    for version, session in sessions.items():
        ask("there is another", version, session, 2)
        ask("another fetch of the one before", version, 0, 0, 0)


def asked_again(scene):
    """A member that does not wait for its answer and asks again, and one that names a protocol twice."""
    coordinator_ready(scene)
    patient = lambda: Connection(scene.address, scene.schemas, timeout=2)

    def told(label, connection, api, version):
        try:
            scene.note(label, f"error {connection.answer(api, version)['errorCode']}")
        except TimeoutError:
            scene.note(label, "no answer")

    def until_preparing(group):
        for _ in range(200):
            with scene.connect() as connection:
                if connection.ask("DescribeGroups", 5, {"groups": [group]})["groups"][0]["groupState"] == "PreparingRebalance":
                    return
            time.sleep(0.05)
    with patient() as connection:
        connection.send(connection.frame("JoinGroup", 3, join("named-twice", protocols=(("range", b"a"), ("range", b"b")))))
        told("a protocol twice", connection, "JoinGroup", 3)
    with scene.connect() as one, patient() as two, patient() as three:
        leader = one.ask("JoinGroup", 3, join("again"))["memberId"]
        two.send(two.frame("JoinGroup", 5, join("again", groupInstanceId="two")))
        until_preparing("again")
        generation = one.ask("JoinGroup", 3, join("again", leader))["generationId"]
        member = two.answer("JoinGroup", 5)["memberId"]
        known = {"groupId": "again", "generationId": generation, "memberId": member, "assignments": []}
        for each in (two, three):
            each.send(each.frame("SyncGroup", 3, known))
            time.sleep(0.3)
        told("the first sync", two, "SyncGroup", 3)
        one.ask("SyncGroup", 3, known | {"memberId": leader, "assignments": [{"memberId": member, "assignment": b"mine"}]})
        told("the second sync", three, "SyncGroup", 3)
    with scene.connect() as one, patient() as two, patient() as three:
        for each in (two, three):
            each.send(each.frame("JoinGroup", 5, join("again", member, protocols=(("range", b"new"),), groupInstanceId="two")))
            time.sleep(0.3)
        told("the first join", two, "JoinGroup", 5)
        one.ask("JoinGroup", 3, join("again", leader))
        told("the second join", three, "JoinGroup", 5)


def unseen_groups(scene):
    """A group that comes to be by a commit of which nothing is written: seen once something else is."""
    coordinator_ready(scene)
    create(scene, "unseen")

    def commit(group, metadata):
        with scene.connect() as connection:
            return connection.ask("OffsetCommit", 9, {"groupId": group, "generationIdOrMemberEpoch": -1, "memberId": "", "topics": [
                {"name": "unseen", "partitions": [{"partitionIndex": 0, "committedOffset": 1, "committedMetadata": metadata}]}]})

    def seen(label):
        for version in (5, 6):
            scene.ask(f"{label}, described v{version}", "DescribeGroups", version, {"groups": ["unseen"]})
        with scene.connect() as connection:
            listed = connection.ask("ListGroups", 5, {})["groups"]
        scene.note(f"{label}, listed", [group["groupState"] for group in listed if group["groupId"] == "unseen"])
    scene.note("metadata too long", commit("unseen", "m" * 5000))
    seen("nothing is written")
    for number in range(40):  # In each partition of the coordinator's topic.
        commit(f"unseen-{number}", "")
    seen("others are written")
    scene.ask("delete", "DeleteGroups", 2, {"groupsNames": ["unseen"]})
    seen("deleted")


def share_coordinators(scene):
    """Makes a topic in Kafka: what follows would see it."""
    for version in (5, 6):
        for key in ("", "g", "g:t:0", "g:AAAAAAAAAAAAAAAAAAAAEg:x", ":AAAAAAAAAAAAAAAAAAAAEg:0", "g:AAAAAAAAAAAAAAAAAAAAEg:0"):
            for _ in range(100):  # Its partitions take a moment.
                with scene.connect() as connection:
                    answer = connection.ask("FindCoordinator", version, {"keyType": 2, "coordinatorKeys": [key]})
                if answer["coordinators"][0]["errorCode"] != 15:
                    break
                time.sleep(0.1)
            scene.note(f"of {key!r}, v{version}", answer)


SCENES = [rare_versions, rare_errors, rare_group_errors, odd_group_requests, pipelined, twice_and_nothing, below_the_start, odd_cursors, pending_and_static, odd_sessions, gone_in_a_session,
          asked_again, unseen_groups, share_coordinators]
