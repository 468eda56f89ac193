"""A distributed Connect worker: lines go from a file through a topic into another file, whatever is killed meanwhile.

Its configuration, offsets and status are in compacted topics that it makes itself. Arguments: the folder of its jars,
log4j's configuration, a free port.
"""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from checks import BOOTSTRAP, eventually, kill_and_restart_broker, run, unique

JARS, LOG4J, PORT = sys.argv[1:]
HOME = Path(os.environ["HOME_DIR"]) / "connect"
START_SECONDS_MAX = 90


class Worker:
    def __init__(self):
        HOME.mkdir(parents=True)
        self.rest = f"http://127.0.0.1:{PORT}"
        group = unique("connect")
        settings = {
            "bootstrap.servers": BOOTSTRAP,
            "group.id": group,
            "listeners": self.rest,
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.storage.StringConverter",
            "config.storage.topic": f"{group}-configs",
            "offset.storage.topic": f"{group}-offsets",
            "offset.storage.partitions": "5",
            "status.storage.topic": f"{group}-status",
            "offset.flush.interval.ms": "500",
            # A worker that was killed is missed soon, and its tasks are not kept for it.
            "session.timeout.ms": "6000",
            "heartbeat.interval.ms": "1000",
            "scheduled.rebalance.max.delay.ms": "0",
            "consumer.session.timeout.ms": "6000",
        }
        for topic in ("config", "offset", "status"):
            settings[f"{topic}.storage.replication.factor"] = "1"
        (HOME / "worker.properties").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))

    def start(self):
        with open(HOME / "worker.log", "ab") as log:
            self.process = subprocess.Popen(
                ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={LOG4J}", "-cp",
                 f"{JARS}/*", "org.apache.kafka.connect.cli.ConnectDistributed", HOME / "worker.properties"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(lambda: self.answers() or self.process.poll() is not None, "the worker answers", START_SECONDS_MAX)
        assert self.process.poll() is None, f"the worker ends with {self.process.returncode}, see {HOME}/worker.log"

    def answers(self):
        try:
            return self.ask("GET", "/connectors") is not None
        except (OSError, urllib.error.URLError):
            return False

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.rest + path, json.dumps(body).encode() if body is not None else None,
                                         {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else {}

    def connect(self, name, kind, **config):
        config = {"connector.class": f"org.apache.kafka.connect.file.FileStream{kind}Connector", "tasks.max": "1"} | config
        # The worker has no leader yet for a moment after its start, and says 409.
        def asked():
            try:
                return self.ask("PUT", f"/connectors/{name}/config", config)
            except urllib.error.HTTPError as error:
                assert error.code in (404, 409, 500), error.read()
        eventually(asked, f"{name} is taken", 60)
        eventually(lambda: self.states(name) == ["RUNNING", "RUNNING"], f"{name} runs", 60)

    def states(self, name):
        """Of a connector and its tasks."""
        try:
            status = self.ask("GET", f"/connectors/{name}/status")
        except urllib.error.HTTPError:
            return []
        return [status["connector"]["state"], *(task["state"] for task in status["tasks"])]

    def kill(self):
        self.process.kill()
        self.process.wait()


WORKER = Worker()
SOURCE, SINK = HOME / "in.txt", HOME / "out.txt"
SENT = []


def write(count):
    """Appends lines to the file that the source connector follows."""
    lines = [f"line {len(SENT) + i}" for i in range(count)]
    SENT.extend(lines)
    with open(SOURCE, "a") as out:
        out.write("".join(line + "\n" for line in lines))


def received():
    return SINK.read_text().splitlines() if SINK.exists() else []


def all_arrive(repeats_allowed):
    def arrived():
        found = received()
        # In order; what is repeated after a crash is a stretch that came before.
        return (len(found) >= len(SENT) and list(dict.fromkeys(found)) == SENT
                and (repeats_allowed or len(found) == len(SENT)))
    eventually(arrived, f"{len(SENT)} lines, {len(received())} have come", 60)


def starts_and_makes_its_topics():
    WORKER.start()
    plugins = [plugin["class"] for plugin in WORKER.ask("GET", "/connector-plugins")]
    assert "org.apache.kafka.connect.file.FileStreamSourceConnector" in plugins, plugins


def source_and_sink():
    write(1000)
    topic = unique("lines")
    one_partition = {"topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "1"}
    # What FileStreamSource has read beyond one batch it keeps to itself until the file grows: 52 lines of 2,500, where a
    # killed worker had to begin at line 448.
    all_in_one = {"batch.size": "100000"}
    WORKER.connect("lines-in", "Source", file=str(SOURCE), topic=topic, **one_partition, **all_in_one)
    WORKER.connect("lines-out", "Sink", file=str(SINK), topics=topic)
    all_arrive(repeats_allowed=False)


def goes_on_when_the_broker_is_killed():
    write(500)
    kill_and_restart_broker()
    write(500)
    all_arrive(repeats_allowed=True)


def finds_its_place_again_after_being_killed():
    WORKER.kill()
    write(500)
    WORKER.start()
    for name in ("lines-in", "lines-out"):
        eventually(lambda name=name: WORKER.states(name) == ["RUNNING", "RUNNING"], f"{name} runs again", 90)
    all_arrive(repeats_allowed=True)


def pause_resume_offsets_and_delete():
    WORKER.ask("PUT", "/connectors/lines-out/pause")
    eventually(lambda: WORKER.states("lines-out") == ["PAUSED", "PAUSED"], "it pauses")
    before = len(received())
    write(10)
    WORKER.ask("PUT", "/connectors/lines-out/resume")
    all_arrive(repeats_allowed=True)
    assert len(received()) >= before + 10
    # The sink's offsets are those of a consumer group.
    wanted = lambda: WORKER.ask("GET", "/connectors/lines-out/offsets")["offsets"][0]["offset"]["kafka_offset"] >= len(SENT)
    eventually(wanted, "the sink has committed all")
    for name in ("lines-in", "lines-out"):
        WORKER.ask("DELETE", f"/connectors/{name}")
    eventually(lambda: WORKER.ask("GET", "/connectors") == [], "they are gone")


def ends():
    WORKER.process.terminate()
    assert WORKER.process.wait(60) in (0, 143)


run([
    ("a worker starts and makes its compacted topics", starts_and_makes_its_topics),
    ("file source, topic, file sink", source_and_sink),
    ("the broker is killed", goes_on_when_the_broker_is_killed),
    ("the worker is killed", finds_its_place_again_after_being_killed),
    ("pause, resume, offsets, delete", pause_resume_offsets_and_delete),
    ("the worker stops", ends),
])
