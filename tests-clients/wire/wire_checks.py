"""Requests and raw bytes against the broker: every answer as Apache Kafka 4.4 gave it, see `scenes.py`.

Where Ottla differs on purpose, `on_purpose.toml` says so with the reason; an entry that nothing needs is a failure.
"""

import os
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))

import admin_scenes
import config_scenes
import coverage
import data_scenes
import dirs_scenes
import generated
import limit_scenes
import odd_scenes
import restart_scenes
import sequences
import telemetry_scenes
import transcript
from checks import BOOTSTRAP, run
from connection import Connection
from scenes import SCENES
from schema import Schemas

REWRITE = os.environ.get("REWRITE")
# Some scenes, while one works on them.
ONLY = [name for name in os.environ.get("SCENES", "").split(",") if name]


class OnPurpose:
    def __init__(self, path, scenes):
        entries = tomllib.loads(path.read_text())["entry"] if os.environ["BROKER"] == "ottla" else []
        self.entries = [entry | {"used": False} for entry in entries if entry["scene"] in scenes]

    def covers(self, scene, difference):
        for entry in self.entries:
            if (entry["scene"] == scene and any(fnmatchcase(difference.label, label) for label in entry["labels"])
                    and difference.path.endswith(entry.get("field", ""))):
                entry["used"] = True
                return True
        return False

    def all_are_used(self):
        unused = [f"{entry['scene']}: {entry['labels']}" for entry in self.entries if not entry["used"]]
        assert not unused, f"on_purpose.toml has what no longer differs: {unused}"

    def tell(self):
        for entry in self.entries:
            print(f"ok - {entry['scene']}: {', '.join(entry['labels'])} # NA {entry['reason']}", flush=True)


# By suite: its scenes, and where Kafka's answers are.
SUITES = {
    "wire": (SCENES + admin_scenes.SCENES + config_scenes.SCENES + odd_scenes.SCENES + telemetry_scenes.SCENES
             + data_scenes.SCENES, "kafka-4.4.0.txt"),
    "wire-generated": (generated.SCENES, "kafka-4.4.0-generated.txt"),
    "wire-limits": (limit_scenes.SCENES, "kafka-4.4.0-limits.txt"),
    "wire-sequences": (sequences.SCENES, "kafka-4.4.0-sequences.txt"),
    "wire-restarts": (restart_scenes.SCENES, "kafka-4.4.0-restarts.txt"),
    "wire-dirs": (dirs_scenes.SCENES, "kafka-4.4.0-dirs.txt"),
}


def main():
    schemas, suite, here = Schemas(sys.argv[1]), sys.argv[2], Path(__file__).resolve().parent
    scenes, path = SUITES[suite][0], here / SUITES[suite][1]
    recorded = transcript.recorded(path)
    on_purpose = OnPurpose(here / "on_purpose.toml", {function.__name__.replace("_", " ") for function in scenes})
    played, left = {}, {}

    def codes(name, function):
        scene = transcript.Scene(BOOTSTRAP, schemas)
        function(scene)
        played[name] = scene.lines
        if REWRITE:
            return
        left[name] = [each for each in transcript.differences(scene.lines, recorded[name])
                      if not on_purpose.covers(name, each)]
        for difference in left[name]:
            print(f"# {name}: {difference}", flush=True)
        fail_at([each for each in left[name] if not each.is_words()])

    def words(name):
        fail_at([each for each in left.get(name, []) if each.is_words()])

    def fail_at(found):
        assert not found, f"{len(found)} differences, the first: {found[0]}"

    checks = []
    for function in scenes:
        if ONLY and function.__name__ not in ONLY:
            continue
        name = function.__name__.replace("_", " ")
        checks.append((name, lambda name=name, function=function: codes(name, function)))
        if any(word in line for line in recorded.get(name, []) for word in transcript.WORDS):
            checks.append((f"{name}: words", lambda name=name: words(name)))
    if REWRITE:
        checks.append(("written anew", lambda: transcript.write(path, suite, recorded | played if ONLY else played)))
    elif not ONLY:
        checks.append(("what differs on purpose still does", on_purpose.all_are_used))
    if not ONLY and os.environ["BROKER"] == "ottla" and suite == "wire":
        checks.append(("every served version was asked", lambda: coverage.every_version_was_asked(served(schemas))))
        checks.append(("every error code occurred", coverage.every_code_occurred))
    checks.append(("the table", lambda: [print(f"# {line}", flush=True) for line in coverage.table()]))
    on_purpose.tell()
    run(checks)


def served(schemas):
    """By API, the versions that the broker says it serves. Of Produce it says more, for the sake of old clients."""
    with Connection(BOOTSTRAP, schemas) as connection:
        keys = connection.ask("ApiVersions", 4, {"clientSoftwareName": "wire", "clientSoftwareVersion": "1.0"})["apiKeys"]
    names = schemas.names()
    served = {names[key["apiKey"]]: (key["minVersion"], key["maxVersion"]) for key in keys}
    return served | {"Produce": (3, served["Produce"][1])}


main()
