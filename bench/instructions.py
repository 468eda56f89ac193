#!/usr/bin/env python3
"""What a request costs on the hot paths of the release binary, in instructions and allocations, counted by callgrind.

    bench/instructions.py [--binary FILE] [--bench FILE] [--only NAME,..] [--top N] [--write]

Wall times are noisy, these are not: the broker runs under `valgrind --tool=callgrind`, once with some requests and once
with more, and what the difference costs is divided by the requests. `ours` is spent in functions of this repository's
crates and what was inlined into them, `all` is everything but the kernel: the standard library, tokio, memcpy, malloc. bench/instructions.toml holds what was agreed on; well beyond it is a failure, an allocation more
as well. `--write` agrees on what is found. `--top` names the functions behind the figures.
"""

import argparse
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from programs import RELEASE, ROOT

sys.path.insert(0, str(ROOT / "tests-clients"))
from harness.broker import Ottla  # noqa: E402

AGREED = Path(__file__).with_suffix(".toml")
# How much more than agreed a figure may be. `all` has what depends on the moment, such as a wake-up that found its thread
# awake, and on which memcpy the processor gets. Allocations are whole ones, plus what timers and growing queues add.
TOLERANCE = {
    "ours": lambda agreed: agreed * 1.03,
    "all": lambda agreed: agreed * 1.06,
    "allocations": lambda agreed: agreed + 0.5,
}
ATTEMPTS = 3  # Noise only adds: the least of them is judged, the most agreed on.
RUN_SECONDS_MAX = 120
SETTLE_SECONDS = 1.5  # After a second tails go to their segments: all reads are from there.

# No disk is waited for in memory, and the code that writes is the same. What reads is not: it asks what is in the page
# cache, which only a real file system can answer.
MEMORY, DISK = Path("/dev/shm"), ROOT / "target"
ONE = ["--connections", "1", "--in-flight", "1"]
SMALL = ["produce", "--topic", "small", "--record-bytes", "100", *ONE]
LARGE = ["produce", "--topic", "large", "--record-bytes", "1000", "--batch-records", "64", *ONE]
# Name: where the data is, what is there beforehand, the load, requests of the shorter and of the longer run.
LOADS = {
    "produce of one 100-byte record": (MEMORY, [], SMALL, 200, 1200),
    "produce of 64 records of 1000 bytes": (MEMORY, [], LARGE, 100, 500),
    "fetch of one small batch": (DISK, [*SMALL, "--requests", "200"],
                                 ["fetch", "--topic", "small", "--connections", "1", "--max-bytes", "1"], 400, 1600),
    "fetch of 1 MiB": (DISK, [*LARGE, "--requests", "80"],
                       ["fetch", "--topic", "large", "--connections", "1"], 100, 600),
}


class Profile:
    """A callgrind.out: instructions by function, allocations by the function that asks."""

    NAME = re.compile(r"(c?fn)=\((\d+)\)(?: (.*))?")
    ALLOCATES = re.compile(r"mi_(heap_)?(malloc|zalloc|calloc|realloc|rezalloc)(_small|_aligned)?(_at)?$")

    def __init__(self, text):
        self.functions, self.allocations = collections.Counter(), collections.Counter()
        names = {}
        function = callee = ""
        is_call = False
        for line in text.split("\n"):
            if found := self.NAME.match(line):
                key, number, name = found.groups()
                name = names.setdefault(number, name)
                if key == "fn":
                    function = name
                else:
                    callee = name
            elif line.startswith("calls="):
                is_call = True
                if self.ALLOCATES.match(callee) and not function.startswith(("mi_", "_mi_")):
                    self.allocations[function] += int(line[6:].split()[0])
            elif line[:1].isdigit() or line.startswith(("+", "-", "*")):
                if not is_call:  # After `calls=` stands what the callee spent, which is told there.
                    self.functions[function] += int(line.split()[1])
                is_call = False

    def per_request(self, less, requests):
        """What each of `requests` cost that this profile has more than `less`."""
        pairs = (self.functions, less.functions), (self.allocations, less.allocations)
        return tuple({name: (mine[name] - theirs[name]) / requests for name in mine} for mine, theirs in pairs)


def by_crate(functions):
    crates = collections.Counter()
    for function, spent in functions.items():
        crate = found[1] if (found := re.search(r"(\w+)::", function)) else "C"
        crates["std" if crate in ("alloc", "core", "std") else crate] += spent
    return crates


class Callgrind(Ottla):
    """The broker in the valgrind. Pinned, since the number of its threads follows from the cores."""

    def command(self):
        cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:2]))
        return ["taskset", "--cpu-list", cores, "valgrind", "--quiet", "--tool=callgrind",
                f"--callgrind-out-file={self.home}/callgrind.out", *super().command()]


def profile(binary, bench, place, before, load, requests):
    """A whole life of the broker, serving `load` with so many requests."""
    home = Path(tempfile.mkdtemp(prefix="instructions-", dir=place if place.is_dir() else DISK))
    try:
        broker = Callgrind(binary, home / "broker")
        broker.start()
        try:
            for arguments in filter(None, (before, [*load, "--requests", str(requests)])):
                subprocess.run([bench, "--address", broker.bootstrap, *arguments], check=True,
                               stdout=subprocess.DEVNULL, timeout=RUN_SECONDS_MAX)
                if arguments is before:
                    time.sleep(SETTLE_SECONDS)
        finally:
            ended = broker.stop()
        # 1 is an end that took too long to be in order, which under valgrind it may; the counts are there.
        if ended not in (0, 1):
            raise RuntimeError(f"the broker ended with {ended}: {broker.last_words()}")
        return Profile((broker.home / "callgrind.out").read_text(errors="replace"))
    finally:
        shutil.rmtree(home, ignore_errors=True)


def measure(binary, bench, *load, few, many):
    less, more = (profile(binary, bench, *load, requests) for requests in (few, many))
    functions, allocations = more.per_request(less, many - few)
    crates = by_crate(functions)
    ours = {path.name for path in (ROOT / "crates").iterdir()}
    figures = {
        "ours": round(sum(spent for crate, spent in crates.items() if crate in ours)),
        "all": round(sum(crates.values())),
        "allocations": round(sum(allocations.values()), 1),
    }
    return figures, {"instructions by crate": crates, "instructions by function": functions,
                     "allocations by function": allocations}


def is_within(figures, agreed):
    return all(figures[figure] <= limit(agreed[figure]) for figure, limit in TOLERANCE.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=RELEASE / "ottla")
    parser.add_argument("--bench", type=Path, default=RELEASE / "bench")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    parser.add_argument("--top", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    for tool in ("valgrind", "taskset"):
        if shutil.which(tool) is None:
            print(f"not run: instruction counts, because {tool} is missing")
            return 1 if os.environ.get("OTTLA_TEST_COMPLETE") else 0

    agreed = tomllib.loads(AGREED.read_text()) if AGREED.exists() else {}
    failed = 0
    print(f"{'per request':<38} {'ours':>16} {'all':>18} {'allocations':>14}   (agreed -> found)")
    chosen = {name: load for name, load in LOADS.items() if any(part in name for part in arguments.only or [""])}
    if not chosen:
        parser.error(f"no such hot path; there are: {', '.join(LOADS)}")
    DISK.mkdir(exist_ok=True)
    for name, (*load, few, many) in chosen.items():
        old = agreed.get(name)
        figures, details = measure(arguments.binary, arguments.bench, *load, few=few, many=many)
        judged = max if arguments.write else min
        for _ in range(ATTEMPTS - 1):
            if not arguments.write and (old is None or is_within(figures, old)):
                break
            again, _ = measure(arguments.binary, arguments.bench, *load, few=few, many=many)
            figures = {figure: judged(figures[figure], again[figure]) for figure in figures}
        found = (f"{old[figure] if old else '-'} -> {figures[figure]}" for figure in TOLERANCE)
        verdict = "" if old and is_within(figures, old) or arguments.write else "   TOO MUCH" if old else "   NOT AGREED ON"
        failed += bool(verdict)
        print("{:<38} {:>16} {:>18} {:>14}".format(name, *found) + verdict, flush=True)
        agreed[name] = figures
        for title, counts in details.items() if arguments.top else ():
            print(f"  {title}")
            for what, spent in sorted(counts.items(), key=lambda item: -item[1])[:arguments.top]:
                print(f"    {spent:>10.1f}  {what}")
    if arguments.write:
        AGREED.write_text("# Instructions and allocations a request: bench/instructions.py --write\n" + "".join(
            f"\n[\"{name}\"]\n" + "".join(f"{figure} = {value}\n" for figure, value in figures.items())
            for name, figures in agreed.items()))
    print(f"{failed} of {len(chosen)} hot paths cost more than agreed" if failed else "hot paths cost what was agreed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
