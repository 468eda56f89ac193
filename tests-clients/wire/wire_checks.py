"""Requests and raw bytes against the broker: every answer as Apache Kafka 4.4 gave it, see `scenes.py`."""

import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))

import transcript
from checks import BOOTSTRAP, run
from scenes import SCENES
from schema import Schemas


def play(scene_function, schemas):
    scene = transcript.Scene(BOOTSTRAP, schemas)
    scene_function(scene)
    return scene.lines


def as_kafka(name, scene_function, schemas, wanted, words):
    """The answers of one scene; the words of its errors are a check of their own."""
    def codes():
        found = played[name] = play(scene_function, schemas)
        if os.environ.get("REWRITE"):
            return
        differences = list(transcript.all_differences(found, wanted))
        if differences:
            print(f"# {name}:", *differences, sep="\n", flush=True)
        difference = transcript.first_difference([transcript.wordless(line) for line in found],
                                                 [transcript.wordless(line) for line in wanted])
        assert not difference, difference

    def texts():
        difference = transcript.first_difference(played[name], wanted)
        assert not difference, difference
    played = as_kafka.played
    return texts if words else codes


as_kafka.played = {}


def main():
    schemas = Schemas(sys.argv[1])
    recorded = transcript.recorded()
    checks = []
    for function in SCENES:
        name = function.__name__.replace("_", " ")
        wanted = recorded.get(name, [])
        checks.append((name, as_kafka(name, function, schemas, wanted, words=False)))
        if any(re.search(r'rrorMessage": "', line) for line in wanted):
            checks.append((f"{name}: words", as_kafka(name, function, schemas, wanted, words=True)))
    if os.environ.get("REWRITE"):
        checks.append(("rewrite", lambda: transcript.write(as_kafka.played)))
    run(checks)


main()
