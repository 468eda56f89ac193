"""The suites: what each needs, how it is started, how its report is read.

A suite is a class with the facts that the docs show, and `checks(run)`, which runs it against
`run.broker` and returns a list of `Check`.
"""

import os
import runpy
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import librdkafka, results
from .broker import Broker, free_port, port_is_free
from .cache import HERE, LIBRDKAFKA, RDKAFKA, RSKAFKA, Cache, NotHere, runtime
from .results import FAILED, NOT_APPLICABLE, Check, NotApplicable


@dataclass
class Run:
    """What a suite is given: one broker of its own, and a folder for what it leaves behind."""

    broker: Broker
    control: str
    cache: Cache
    home: Path
    excused: NotApplicable
    full: bool

    def environment(self, **more):
        return os.environ | {
            "BOOTSTRAP": self.broker.bootstrap,
            "BROKER": self.broker.name,
            "BROKER_PID": str(self.broker.process.pid),
            "CONTROL": self.control,
            "DATA": str(self.broker.data),
            "HOME_DIR": str(self.home),
            "HTTP": self.broker.http,
            "NOT_RUN": ",".join(self.excused.left_out()),
            "PYTHONPATH": str(HERE / "python"),
        } | more

    def output(self, command, name="output", seconds_max=300, cwd=None, **environment):
        """Runs a program, keeps what it prints in `home/NAME.log`; returns the text and the exit code."""
        log = self.home / f"{name}.log"
        with open(log, "wb") as out:
            process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT, cwd=cwd, env=self.environment(**environment),
                                       start_new_session=True)
            try:
                code = process.wait(seconds_max)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
                code = f"killed after {seconds_max} s"
        return log.read_text(errors="replace"), code


class Suite:
    name = client = version = language = exercises = None
    properties = {}
    port = None
    seconds_max = 300
    # It mostly waits, so that others of the kind may run at the same time, each on its own broker.
    waits_mostly = False

    def prepare(self, cache: Cache):
        """Fills the cache; raises NotHere when the machine lacks a runtime."""

    def checks(self, run: Run):
        raise NotImplementedError


class OurProgram(Suite):
    """A program of this folder that prints a line for each check."""

    def command(self, run):
        raise NotImplementedError

    def checks(self, run):
        text, code = run.output(self.command(run), seconds_max=self.seconds_max)
        checks = results.of_our_programs(text)
        failed = any(check.outcome == FAILED for check in checks)
        # Ended early, or ended badly without saying which check it was.
        if "all checks done" not in text or (code != 0 and not failed):
            checks.append(Check("runs to its end", FAILED, f"exit {code}, see {run.home}"))
        return checks


BEHAVIOUR = ("acks 0, 1 and all; every codec; keys, headers, timestamps, nulls; 900 KiB and empty values; groups with "
             "members that join and leave; committed offsets across SIGKILL; seek by time; errors")


class Kcat(OurProgram):
    name = client = "kcat"
    version = "1.7.1 (Debian)"
    language = "C"
    exercises = "metadata, produce, consume, keys, headers, nulls, codecs, offsets and timestamps, a balanced group"

    def prepare(self, cache):
        for command, package in (("kcat", "kcat"), ("curl", "curl")):
            if shutil.which(command) is None:
                raise NotHere(f"no `{command}` on this machine (Debian: {package})")

    def command(self, run):
        return ["bash", HERE / "shell" / "kcat.sh"]


class KafkaTools(OurProgram):
    name = "kafka-tools"
    client = "Kafka's console tools"
    version = "4.3.1"
    language = "Java"
    exercises = ("topics, console producer and consumer, consumer groups with reset-offsets, get-offsets, "
                 "delete-records, configs, dump-log of the broker's own segment file")
    seconds_max = 400

    def prepare(self, cache):
        cache.with_jars("tools")

    def command(self, run):
        return ["bash", HERE / "shell" / "kafka-tools.sh", run.cache.jars("tools")]


class ConfluentKafka(OurProgram):
    name = client = "confluent-kafka"
    version = "2.16.1"
    language = "Python (librdkafka)"
    exercises = BEHAVIOUR

    def prepare(self, cache):
        cache.with_python()

    def command(self, run):
        return [run.cache.with_python(), HERE / "python" / "confluent_checks.py"]


class KafkaPython(OurProgram):
    name = client = "kafka-python"
    version = "3.0.12"
    language = "Python"
    exercises = BEHAVIOUR

    def prepare(self, cache):
        cache.with_python()

    def command(self, run):
        return [run.cache.with_python(), HERE / "python" / "kafka_python_checks.py"]


class KafkaPythonOwn(Suite):
    name = "kafka-python-own"
    client = "kafka-python"
    version = "3.0.12"
    language = "Python"
    exercises = "its own integration tests, from its source distribution"
    properties = {"group.min.session.timeout.ms": "1000"}
    seconds_max = 600

    def prepare(self, cache):
        cache.with_kafka_python_tests()

    def checks(self, run):
        source = run.cache.with_kafka_python_tests()
        report = run.home / "report.xml"
        left_out = [part for pattern in run.excused.left_out()
                    for part in ("--deselect", f"test/integration/{pattern.replace('::', '.py::', 1)}")]
        _, code = run.output(
            [run.cache.with_python(), "-m", "pytest", "-p", "no:cacheprovider", "-p", "kafka_python_mended", "-q", "--timeout=120",
             f"--junit-xml={report}", *left_out,
             *(f"test/integration/test_{part}_integration.py" for part in ("admin", "consumer", "producer"))],
            cwd=source, seconds_max=self.seconds_max,
            KAFKA_VERSION="4.3", KAFKA_URI=f"kafka://{run.broker.bootstrap}", KAFKA_ROOT=str(source),
            PYTHONPATH=f"{source}:{HERE / 'python'}")
        if not report.exists():
            return [Check("runs to its end", FAILED, f"exit {code}, see {run.home}")]
        checks = [self.by_version(check) for check in results.of_pytest(report)]
        return checks + [Check(pattern, NOT_APPLICABLE, run.excused.reason(pattern, "not run"))
                         for pattern in run.excused.left_out()]

    @staticmethod
    def by_version(check):
        """Tests for brokers older than 4.4 skip themselves."""
        if "KAFKA_VERSION <" in check.reason:
            return Check(check.name, NOT_APPLICABLE, "for brokers of an older Kafka, skips itself")
        return check


class KafkaJs(OurProgram):
    name = client = "kafkajs"
    version = "2.2.4"
    language = "JavaScript"
    exercises = BEHAVIOUR

    def prepare(self, cache):
        cache.with_node()

    def command(self, run):
        return ["node", HERE / "node" / "kafkajs_checks.js", run.cache.with_node()]


class Platformatic(KafkaJs):
    name = "platformatic"
    client = "@platformatic/kafka"
    version = "1.35.0"
    exercises = "acks, codecs, headers, nulls, idempotence, offsets, groups across SIGKILL, admin of topics, configs, groups"

    def command(self, run):
        return ["node", HERE / "node" / "platformatic_checks.mjs", run.cache.with_node()]


class FranzGo(OurProgram):
    name = client = "franz-go"
    version = "1.22.3"
    language = "Go"
    exercises = BEHAVIOUR
    program = "franz"

    def prepare(self, cache):
        cache.with_go_program(self.program)

    def command(self, run):
        return [run.cache.with_go_program(self.program)]


class Sarama(FranzGo):
    name = client = "sarama"
    version = "1.61.1"
    program = "sarama"


class Monitors(FranzGo):
    name = program = "monitors"
    client = "franz-go and sarama, as kminion and kafka_exporter use them"
    version = "1.22.3, 1.61.1"
    exercises = ("what monitors of consumers ask: configs, log directories, groups, lag; `__consumer_offsets` read and its "
                 "records taken apart, tombstones too; an end to end probe")


class JavaClient(OurProgram):
    name = "java"
    client = "kafka-clients"
    version = "4.4.0"
    language = "Java"
    exercises = BEHAVIOUR + "; static members, cooperative-sticky; admin of topics, configs, records, offsets, groups"

    def prepare(self, cache):
        cache.with_java_programs()

    def command(self, run):
        log4j = HERE / "java" / "log4j2.properties"
        return ["java", "-Xmx512m", f"-Dlog4j2.configurationFile={log4j}", "-cp", run.cache.with_java_programs(),
                "JavaClientChecks"]


class SchemaRegistry(JavaClient):
    name = "schema-registry"
    client = "kafka-clients, as Confluent's Schema Registry uses it"
    exercises = "a compacted topic of one partition as a store: made and verified, read to its end, written and followed, killed"

    def command(self, run):
        return [*super().command(run)[:-1], "SchemaRegistryStore"]


class Karapace(OurProgram):
    name = "karapace"
    client = "confluent-kafka, as Karapace uses it"
    version = "2.16.1"
    language = "Python (librdkafka)"
    exercises = "a compacted topic of one partition as a store, across SIGKILL; a group of type `sr` that chooses a master"

    def prepare(self, cache):
        cache.with_python()
        cache.with_jars("clients")

    def command(self, run):
        jar = next(run.cache.jars("clients").glob("kafka-clients-*.jar"))
        return [run.cache.with_python(), HERE / "python" / "karapace_checks.py", jar]


class CrateTests(Suite):
    """The own tests of a client in Rust, from its published crate."""

    exercises = "its own tests, from the published crate"
    seconds_max = 600

    def programs(self, cache):
        raise NotImplementedError

    def where(self, broker):
        """The variables by which its tests find the broker."""
        raise NotImplementedError

    def prepare(self, cache):
        self.programs(cache)

    def checks(self, run):
        checks = []
        for program, path in sorted(self.programs(run.cache).items()):
            left_out = [pattern.split("::", 1)[1] for pattern in run.excused.left_out()
                        if pattern.startswith(f"{program}::")]
            skip = [part for name in left_out for part in ("--skip", name)]
            text, code = run.output([path, "--test-threads=2", "--exact", *skip], name=program,
                                    seconds_max=self.seconds_max, **self.where(run.broker))
            found = results.of_cargo_test(program, text)
            if not found or (code != 0 and all(check.outcome != FAILED for check in found)):
                found.append(Check(f"{program} runs to its end", FAILED, f"exit {code}, see {run.home}"))
            checks += found
            checks += [Check(f"{program}::{name}", NOT_APPLICABLE, run.excused.reason(f"{program}::{name}", "not run"))
                       for name in left_out]
        return checks


class RdkafkaOwn(CrateTests):
    name = "rdkafka-own"
    client = "rdkafka"
    version = RDKAFKA
    language = "Rust (librdkafka)"
    properties = {"num.partitions": "3"}
    port = 9092  # One of its tests expects the broker on this port.

    def programs(self, cache):
        return cache.with_rdkafka_tests()

    def where(self, broker):
        return {"KAFKA_HOST": broker.bootstrap}

    def checks(self, run):
        checks = super().checks(run)
        if run.broker.port == self.port:
            return checks
        return [Check(check.name, results.NOT_RUN, "port 9092, which it expects, is taken")
                if check.name == "test_metadata::test_metadata" else check for check in checks]


class RskafkaOwn(CrateTests):
    name = "rskafka-own"
    client = "rskafka"
    version = RSKAFKA
    language = "Rust"
    exercises = "its own tests but those beside a JVM and librdkafka, from the published crate"
    properties = {"auto.create.topics.enable": "false"}

    def programs(self, cache):
        return cache.with_rskafka_tests()

    def where(self, broker):
        return {"TEST_INTEGRATION": "1", "TEST_BROKER_IMPL": "kafka", "KAFKA_CONNECT": broker.bootstrap}


class LibrdkafkaOwn(Suite):
    name = "librdkafka-own"
    client = "librdkafka"
    version = LIBRDKAFKA
    language = "C, C++"
    exercises = "those of its own tests that ask a broker and need neither transactions nor an authorizer"
    # Members that subscribe one after the other are meant to be of the first generation together.
    properties = {"group.initial.rebalance.delay.ms": "1000", "group.min.session.timeout.ms": "1000"}
    waits_mostly = True

    def prepare(self, cache):
        cache.with_librdkafka_tests()

    def checks(self, run):
        return librdkafka.checks(run.cache.with_librdkafka_tests(), run, run.full)


class Connect(OurProgram):
    name = "connect"
    client = "Kafka Connect"
    version = "4.3.1"
    language = "Java"
    exercises = ("a distributed worker with file source and sink, its configuration, offsets and status in compacted "
                 "topics; broker and worker killed; pause, resume, offsets, delete")

    def prepare(self, cache):
        cache.with_jars("connect")

    def command(self, run):
        log4j = HERE / "java" / "log4j2.properties"
        return ["python3", HERE / "python" / "connect_checks.py", run.cache.jars("connect"), log4j, free_port()]


class OttlaCommands(Suite):
    name = "ottla-commands"
    client = "Ottla's own commands"
    version = "this checkout"
    language = "Rust"
    exercises = "`ottla topic`, `produce`, `consume`, `group`, `config` and `cluster`, which speak to any Kafka"
    seconds_max = 900  # It may have to compile first.

    def prepare(self, cache):
        runtime("cargo", "cargo")

    def checks(self, run):
        text, code = run.output(["cargo", "test", "-q", "-p", "cli", "--test", "commands", "--", "--format", "pretty"],
                                seconds_max=self.seconds_max, cwd=HERE.parent, OTTLA_TEST_BOOTSTRAP=run.broker.bootstrap)
        checks = results.of_cargo_test("commands", text)
        if not checks or (code != 0 and all(check.outcome != FAILED for check in checks)):
            checks.append(Check("runs to its end", FAILED, f"exit {code}, see {run.home}"))
        return checks


class Prometheus(OurProgram):
    name = "prometheus"
    client = "prometheus_client, and confluent-kafka for traffic"
    version = "0.26.0"
    language = "Python"
    exercises = ("`/metrics` in both text formats, read by Prometheus' own reader for Python, whose OpenMetrics is strict; "
                 "a group's lag beside what its consumer reckons")

    def prepare(self, cache):
        cache.with_python()

    def command(self, run):
        return [run.cache.with_python(), HERE / "python" / "prometheus_checks.py"]


def limit_properties(name="PROPERTIES"):
    """They stand beside the conversations that need them."""
    found = runpy.run_path(str(HERE / "wire" / "limits.py"))
    return found[name]


class Wire(OurProgram):
    name = "wire"
    client = "raw requests of ours"
    version = "Kafka's schemas 4.4.0"
    language = "Python (sockets)"
    exercises = "every served API at every version, and what no client would send: each answer as Apache Kafka gave it"
    seconds_max = 500
    waits_mostly = True
    program = "wire_checks.py"

    def prepare(self, cache):
        cache.with_python()
        cache.with_jars("clients")

    def command(self, run):
        jar = next(run.cache.jars("clients").glob("kafka-clients-*.jar"))
        return [run.cache.with_python(), HERE / "wire" / self.program, jar, self.name]


class WireGenerated(Wire):
    name = "wire-generated"
    exercises = "requests made by chance from Kafka's schemas, the same for both: 40 APIs at every version"


class WireSequences(Wire):
    name = "wire-sequences"
    exercises = "sequences made by chance: topics of odd configs, producers, groups, each request on what the earlier ones left"


class WireLimits(Wire):
    name = "wire-limits"
    exercises = "a broker with small limits: sizes of groups, sessions, connections, frames; quota of a byte a second"
    properties = limit_properties()


class WireDirs(Wire):
    name = "wire-dirs"
    exercises = "a broker with two log directories: where replicas lie, how they move, what a cordoned directory gets"
    properties = limit_properties("TWO_DIRECTORIES")


class WireRestarts(Wire):
    name = "wire-restarts"
    exercises = "what clients see of a broker that was stopped or killed, and started again: leader epochs, offsets, producers"


class Hostile(Wire):
    name = "hostile"
    waits_mostly = False
    program = "hostile.py"
    exercises = ("10,000 idle connections, 1,000 slow senders of 100 MiB frames, clients that never read, decompression "
                 "bombs, garbage: bounded memory, nobody else disturbed")


class Churn(Wire):
    name = "churn"
    waits_mostly = False
    program = "churn.py"
    exercises = ("1,000 topics made and deleted while clients write, read and commit: all are answered, what stays is whole, "
                 "files, descriptors and memory come back, also across SIGKILL")
    properties = {"log.segment.delete.delay.ms": "1000"}


class Flights(OurProgram):
    name = "flights"
    client = "Java, confluent-kafka, kafka-python and kafkajs together"
    version = "as above"
    language = "four"
    exercises = ("real flights through SIGKILLs of the broker: every record once, in order per key, byte for "
                 "byte; one group of three kinds of consumers; reads from a time and from committed offsets")
    seconds_max = 3600
    slice_records = 60_000

    def prepare(self, cache):
        cache.with_java_programs()
        cache.with_node()
        cache.with_python()

    def command(self, run):
        size = [] if run.full else ["--slice", str(self.slice_records)]
        return [run.cache.with_python(), HERE / "flights" / "flights.py", "--work", run.home,
                "--java", run.cache.with_java_programs(), "--node-modules", run.cache.with_node(), *size]


SUITES = [suite() for suite in (Kcat, JavaClient, KafkaTools, ConfluentKafka, RdkafkaOwn, RskafkaOwn, KafkaPython, KafkaPythonOwn,
                                KafkaJs, Platformatic, FranzGo, Sarama, Monitors, SchemaRegistry, Karapace, Connect,
                                OttlaCommands, Prometheus,
                                LibrdkafkaOwn, WireLimits, Wire, WireSequences, WireDirs, WireRestarts, WireGenerated, Churn, Hostile, Flights)]


def port_for(suite):
    return suite.port if suite.port and port_is_free(suite.port) else None
