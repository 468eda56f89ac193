"""A transcript of questions and answers, and its comparison with the one that Apache Kafka 4.4 gave.

What cannot be the same twice has a name in it: ids, ports, times, members. `throttleTimeMs` is left out.
The transcript of Kafka is committed (`kafka-4.4.0.txt`, one for each suite); `REWRITE=1` makes it anew, on Kafka only.
"""

import hashlib
import json
import re
import uuid
from dataclasses import dataclass

from connection import Closed, Connection

TIMES = {"logAppendTimeMs", "lastFetchTimestamp", "lastCaughtUpTimestamp", "lastTimestamp"}
# Numbers that are never the same twice; that there is one is told.
SIZES = {"totalBytes", "usableBytes", "logEndOffset"}
# Lists that Kafka builds from a hash map.
UNORDERED = {"topics", "responses", "configs", "results", "groups", "partitions", "entity", "entries", "values",
             "partitionResponses", "replicaElectionResults", "partitionResult"}
# Configs of topics that Kafka does not have.
OWN_CONFIGS = {"durability"}
WORDS = {"errorMessage", "batchIndexErrorMessage"}


class Scene:
    """One named conversation. Each `ask` is a line of the transcript."""

    def __init__(self, address, schemas):
        self.address, self.schemas = address, schemas
        self.port = address.rsplit(":", 1)[1]
        self.lines = []
        self.aliases = {}
        self.connection = None

    def connect(self):
        return Connection(self.address, self.schemas)

    def ask(self, label, api, version, body):
        """Asks on the scene's connection and notes the answer; returns it as it was, or None when closed."""
        if self.connection is None:
            self.connection = self.connect()
        try:
            answer = self.connection.ask(api, version, body)
        except Closed:
            self.connection = None
            self.note(label, "closed")
            return None
        except TimeoutError:
            self.connection = None
            self.note(label, "no answer")
            return None
        self.note(label, answer)
        return answer

    def send_raw(self, label, content, api=None, version=0):
        """Any bytes on a connection of their own: closed, silent, or an answer to be read as `api`."""
        with self.connect() as connection:
            try:
                connection.send(content)
                if api:
                    connection.correlation = 1
                    self.note(label, connection.answer(api, version))
                else:
                    self.note(label, connection.fate())
            except Closed:
                self.note(label, "closed")

    def note(self, label, answer):
        self.lines.append(f"{label}: {answer if isinstance(answer, str) else json.dumps(self.masked(answer))}")

    def alias(self, kind, value):
        """The same unpredictable value has the same name through the scene."""
        names = self.aliases.setdefault(kind, {})
        return names.setdefault(value, f"<{kind} {len(names) + 1}>")

    def masked(self, value, name=""):
        if isinstance(value, dict):
            return {key: self.masked(inner, key) for key, inner in value.items() if key != "throttleTimeMs"}
        if isinstance(value, list):
            # Kafka gives many things in the order of a hash map.
            if name == "entries":
                value = sorted(value, key=lambda inner: str(sorted(map(str, inner["entity"]))))
            for key in ("index", "name", "topic", "groupId", "partitionIndex", "partitionId", "entityType", "key", "topicName", "user"):
                if value and isinstance(value[0], dict) and key in value[0] and name in UNORDERED:
                    value = sorted(value, key=lambda inner: (inner[key] is not None, inner[key]))
            if name == "configs":
                value = [inner for inner in value if inner["name"] not in OWN_CONFIGS]
            return [self.masked(inner, name) for inner in value]
        if isinstance(value, uuid.UUID):
            return self.alias("id", value) if value.int else "no id"
        if isinstance(value, bytes):
            digest = hashlib.md5(value).hexdigest()[:8] if value else ""
            return f"{len(value)} bytes {digest}".strip()
        if name in TIMES and value > 0:
            return "<time>"
        if name in SIZES and value > 0:
            return "<some>"
        if name == "logDir":
            return "<directory>"
        if name == "port":
            return "<port>" if str(value) == self.port else value
        if name == "producerId" and value >= 0:
            return self.alias("producer", value)
        if name in ("memberId", "leader") and isinstance(value, str) and re.search(r"-[0-9a-f-]{36}$", value):
            return self.alias("member", value)
        if name == "clusterId" and value:
            return "<cluster>"
        if isinstance(value, str):
            value = re.sub(r'cluster id "[^"]+"', 'cluster id "<cluster>"', value)
            value = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:<port>", value)
            value = re.sub(r"Timestamp \d+ of message", "Timestamp <time> of message", value)
            return re.sub(r"should be within \[.*?\]", "should be within [<times>]", value)
        return value


def parsed(lines):
    """Label by label, in order. A label that comes twice is numbered."""
    answers = {}
    for line in lines:
        label, _, answer = line.partition(": ")
        count = sum(known == label or known.startswith(f"{label} (") for known in answers)
        try:
            answer = json.loads(answer)
        except ValueError:
            pass  # `closed`, `silent`
        answers[f"{label} ({count + 1})" if count else label] = answer
    return answers


@dataclass
class Difference:
    label: str
    path: str
    found: object
    kafka: object

    def is_words(self):
        return self.path.rsplit(".", 1)[-1] in WORDS

    def __str__(self):
        return f"{self.label}: {self.path or 'answer'} is {short(self.found)}, Kafka: {short(self.kafka)}"


def short(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) < 300 else f"{text[:300]}..."


def differences(found, wanted):
    found, wanted = parsed(found), parsed(wanted)
    for label in [*wanted, *(label for label in found if label not in wanted)]:
        yield from (Difference(label, *difference) for difference in
                    compare("", found.get(label, "not asked"), wanted.get(label, "not asked")))


def compare(path, found, kafka):
    if type(found) is type(kafka) and isinstance(found, dict):
        for key in {**kafka, **found}:
            yield from compare(f"{path}.{key}".lstrip("."), found.get(key, "missing"), kafka.get(key, "missing"))
    elif isinstance(found, list) and isinstance(kafka, list) and len(found) == len(kafka):
        for at, (one, other) in enumerate(zip(found, kafka)):
            yield from compare(f"{path}[{at}]", one, other)
    elif found != kafka:
        yield path, found, kafka


def recorded(path):
    scenes, name = {}, None
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.startswith("## "):
            name = line[3:]
            scenes[name] = []
        elif line and name:
            scenes[name].append(line)
    return scenes


def write(path, suite, scenes):
    path.write_text(f"# What Apache Kafka 4.4.0 answers. Made by `REWRITE=1 tests-clients/run.py --broker kafka --only {suite}`.\n"
                        + "".join(f"\n## {name}\n" + "\n".join(lines) + "\n" for name, lines in scenes.items()))
