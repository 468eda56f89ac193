"""The broker under test: start, kill, restart, stop. One class per product, one life cycle.

Knows nothing of clients. A test gets `bootstrap` (its address) and `data` (its log directory).
"""

import base64
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

READY_SECONDS_MAX = 60
READY_LOOK_SECONDS = 0.05
STOP_SECONDS_MAX = 30

# Both products read these; a suite may add to them. Node 0 with four partitions by default is
# what the tests of other projects expect of their broker.
PROPERTIES = {
    "node.id": "0",
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Broker:
    """One node on a fixed port and data directory, so that a restart is the same broker again."""

    name = None
    # Where /metrics is, if there is one.
    http = ""

    def __init__(self, home: Path, properties=None, port=None):
        self.home = home
        self.data = home / "data"
        self.port = port or free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.process = None
        home.mkdir(parents=True)
        controller = free_port()
        settings = PROPERTIES | {
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.quorum.voters": f"0@127.0.0.1:{controller}",
            "log.dirs": str(self.data),
        } | (properties or {})
        self.config = home / "server.properties"
        written = {key: value.replace("{data}", str(self.data)) for key, value in settings.items()}
        self.config.write_text("".join(f"{key}={value}\n" for key, value in written.items()))

    def command(self):
        raise NotImplementedError

    def start(self):
        with open(self.home / "broker.log", "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not self.answers():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} exited with {self.process.returncode} at start: {self.last_words()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} is not ready after {READY_SECONDS_MAX} s: {self.last_words()}")
            time.sleep(READY_LOOK_SECONDS)

    def answers(self):
        """A Metadata request (v1, no topics) is answered, and it lists a broker."""
        request = bytes.fromhex("0003" "0001" "00000001" "ffff" "00000000")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(len(request).to_bytes(4, "big") + request)
                answer = connection.recv(4096)
        except OSError:
            return False
        # Frame length, correlation id, then the number of brokers.
        return len(answer) >= 12 and int.from_bytes(answer[8:12], "big") > 0

    def kill(self):
        """SIGKILL: what the process wrote is in the page cache, what it only meant to write is gone."""
        self.process.kill()
        self.process.wait()

    def kill_and_restart(self):
        self.kill()
        self.start()

    def stop_and_restart(self):
        if self.stop() is None:
            raise RuntimeError(f"{self.name} is still running {STOP_SECONDS_MAX} s after SIGTERM")
        self.start()

    def stop(self):
        """SIGTERM; returns the exit code, or None if it had to be killed."""
        if self.process is None or self.process.poll() is not None:
            return self.process and self.process.returncode
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def last_words(self):
        return (self.home / "broker.log").read_text(errors="replace")[-600:]


class Kafka(Broker):
    """Apache Kafka from plain jars: the oracle that every suite has to pass first."""

    name = "kafka"
    version = "4.4.0"
    # What it needs here, beside the clients.
    SMALL_JVM = ("-Xmx512m", "-Xms256m", "-XX:+UseSerialGC")
    # What its own start script gives it (bin/kafka-server-start.sh and bin/kafka-run-class.sh).
    DEFAULT_JVM = ("-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
                   "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent")

    def __init__(self, jars: Path, log4j: Path, home: Path, properties=None, port=None, jvm=SMALL_JVM):
        super().__init__(home, properties, port)
        self.java = ["java", *jvm, f"-Dlog4j2.configurationFile={log4j}", "-cp", f"{jars}/*"]
        self.format()

    def format(self):
        # A cluster id must not begin with a dash: it would be read as an option.
        cluster = base64.urlsafe_b64encode(b"a" + os.urandom(15)).decode().rstrip("=")
        subprocess.run([*self.java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", self.config],
                       check=True, capture_output=True, stdin=subprocess.DEVNULL)

    def command(self):
        return [*self.java, "kafka.Kafka", self.config]


class Ottla(Broker):
    name = "ottla"

    def __init__(self, binary: Path, home: Path, properties=None, port=None):
        self.http = f"127.0.0.1:{free_port()}"
        super().__init__(home, {"ottla.http.listener": self.http} | (properties or {}), port)
        self.binary = binary

    def command(self):
        return [self.binary, "server", "--config", self.config]
