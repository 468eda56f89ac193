#!/usr/bin/env python3
"""Apache Kafka and Ottla in turn on this machine, the same load on both, A B A B: medians, ratios and what must be.

    bench/compare.py [--rounds N] [--seconds S] [--only PART]... [--json FILE] [--settle S] [--cold-gib G]

Needs Java and Maven (Kafka's jars go to target/cache) and builds Ottla and the load generator in release mode. Wall times
on a shared machine wander: read the ratios of one run, and the CPU figures, which are the server's own from /proc. A row
is run if its name holds one of the parts given with --only; `--list` names them all. Ctrl-C ends it with what there is.
"""

import argparse
import json
import shutil
import signal
import statistics
import sys
import tempfile
from pathlib import Path

from bars import BARS, FLOORS, RESTART
from programs import RELEASE, ROOT, build
from rows import LOG4J, Rows

sys.path.insert(0, str(ROOT / "tests-clients"))
from harness import broker as harness_broker  # noqa: E402
from harness.broker import Kafka, Ottla  # noqa: E402
from harness.cache import Cache  # noqa: E402

# Kafka takes more than a minute to start again with 9,990 partitions.
harness_broker.READY_SECONDS_MAX = 600
harness_broker.READY_LOOK_SECONDS = 0.005


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10, help="of each load")
    parser.add_argument("--only", action="append", metavar="PART", help="rows with this in their name; may be repeated")
    parser.add_argument("--list", action="store_true", help="name the rows, run none")
    parser.add_argument("--settle", type=float, default=60, help="seconds of rest before the last look at the memory")
    parser.add_argument("--cold-gib", type=float, default=4, help="how much cold data is read while producing")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--product", choices=["kafka", "ottla"], action="append", help="only this one")
    options = parser.parse_args()
    options.progress = sys.stderr
    if not any(part in name for part in options.only or [""] for name in list_rows(options)):
        parser.error("--only names no row; --list names them all")
    if options.list:
        print("\n".join(list_rows(options)))
        return

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # No broker is left behind.
    products = options.product or ["kafka", "ottla"]
    build("bench", *["ottla"] * ("ottla" in products))
    cache = Cache(ROOT / "target/cache")
    jars, tools = cache.with_jars("broker"), cache.with_jars("tools")
    home = Path(tempfile.mkdtemp(prefix="bench-", dir=ROOT / "target"))
    makers = {
        "kafka": lambda place: Kafka(jars, LOG4J, place, jvm=Kafka.DEFAULT_JVM),
        "ottla": lambda place: Ottla(RELEASE / "ottla", place),
    }
    rounds = {product: [] for product in products}
    try:
        for turn in range(options.rounds):
            for product in products:
                print(f"round {turn + 1}: {product}", file=sys.stderr, flush=True)
                broker = makers[product](home / f"{product}-{turn}")
                another = lambda: makers[product](home / f"{product}-{turn}-another")  # noqa: E731
                try:
                    rounds[product].append(Rows(broker, another, RELEASE / "bench", tools, options).run())
                finally:
                    broker.stop()
                    shutil.rmtree(broker.home, ignore_errors=True)
    except KeyboardInterrupt:
        print("stopped: of the rounds that came to their end", file=sys.stderr)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    medians = {product: median(found) for product, found in rounds.items()}
    report(medians.get("kafka", {}), medians.get("ottla", {}))
    if options.json:
        options.json.write_text(json.dumps({"rounds": rounds, "medians": medians}, indent=2))


def list_rows(options):
    class Nobody:
        name = "ottla"
    return [*Rows(Nobody, None, None, None, options).loads(), RESTART]


def median(rounds):
    """By figure, of the rounds that have it."""
    figures = {figure: None for found in rounds for figure in found}
    return {figure: statistics.median(found[figure] for found in rounds if figure in found) for figure in figures}


def report(kafka, ottla):
    print(f"{'figure':<84} {'Kafka':>9} {'Ottla':>9} {'ratio':>7}  must")
    missed = 0
    for figure in kafka | ottla:
        mine, theirs = ottla.get(figure), kafka.get(figure)
        ratio = f"{mine / theirs:.2f}x" if mine is not None and theirs else ""
        bar = BARS.get(figure)
        is_met = bar.is_met(figure, kafka, ottla) if bar else None
        missed += is_met is False
        must = f"{bar}{'  MISSED' if is_met is False else ''}" if bar else ""
        if (floor := ottla.get(FLOORS.get(figure))) is not None and theirs:
            must += f"  (the machine alone: {floor / theirs:.2f}x)"
        print(f"{figure:<84} {number(theirs):>9} {number(mine):>9} {ratio:>7}  {must}".rstrip())
    print(f"\n{missed} missed")
    if unknown := BARS.keys() - ottla.keys():
        print(f"not measured: {len(unknown)} of {len(BARS)} figures with a bar")


def number(value):
    return "" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    main()
