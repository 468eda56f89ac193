"""A transcript of questions and answers, and its comparison with the one that Apache Kafka 4.4 gave.

What cannot be the same twice has a name in it: ids, ports, times, members. `throttleTimeMs` is left out.
The transcript of Kafka is committed (`kafka-4.4.0.txt`); `REWRITE=1` makes it anew, on Kafka only.
"""

import hashlib
import json
import re
import uuid
from pathlib import Path

from connection import Closed, Connection

RECORDED = Path(__file__).resolve().parent / "kafka-4.4.0.txt"
TIMES = {"logAppendTimeMs"}
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
            # Kafka gives topics in the order of a hash map.
            if value and isinstance(value[0], dict) and "name" in value[0]:
                value = sorted(value, key=lambda inner: inner["name"] or "")
            return [self.masked(inner, name) for inner in value]
        if isinstance(value, uuid.UUID):
            return self.alias("id", value) if value.int else "no id"
        if isinstance(value, bytes):
            digest = hashlib.md5(value).hexdigest()[:8] if value else ""
            return f"{len(value)} bytes {digest}".strip()
        if name in TIMES and value > 0:
            return "<time>"
        if name == "port":
            return "<port>" if str(value) == self.port else value
        if name == "producerId" and value >= 0:
            return self.alias("producer", value)
        if name in ("memberId", "leader") and isinstance(value, str) and re.search(r"-[0-9a-f-]{36}$", value):
            return self.alias("member", value)
        if name == "clusterId" and value:
            return "<cluster>"
        if isinstance(value, str):
            return re.sub(r"should be within \[.*?\]", "should be within [<times>]", value)
        return value


def wordless(line):
    """A line without the texts that only people read."""
    label, _, answer = line.partition(": ")
    try:
        return f"{label}: {json.dumps(without_words(json.loads(answer)))}"
    except ValueError:
        return line


def without_words(value):
    if isinstance(value, dict):
        return {key: without_words(inner) for key, inner in value.items() if key not in WORDS}
    return [without_words(inner) for inner in value] if isinstance(value, list) else value


def recorded():
    scenes, name = {}, None
    for line in RECORDED.read_text().splitlines() if RECORDED.exists() else []:
        if line.startswith("## "):
            name = line[3:]
            scenes[name] = []
        elif line and name:
            scenes[name].append(line)
    return scenes


def write(scenes):
    RECORDED.write_text("# What Apache Kafka 4.4.0 answers. Made by `REWRITE=1 tests-clients/run.py --broker kafka --only wire`.\n"
                        + "".join(f"\n## {name}\n" + "\n".join(lines) + "\n" for name, lines in scenes.items()))


def first_difference(found, wanted):
    for one, other in zip(found, wanted):
        if one != other:
            return f"{one[:700]} | Kafka: {other[:700]}"
    return "" if len(found) == len(wanted) else f"{len(found)} lines, Kafka: {len(wanted)}"


def all_differences(found, wanted):
    for one, other in zip(found, wanted):
        if one != other:
            yield f"  found {one}\n  Kafka {other}"
