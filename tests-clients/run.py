#!/usr/bin/env python3
"""Real Kafka clients against a broker: `run.py --broker kafka|ottla`. See README.md beside this file.

Python's standard library only. Exit code 0 when nothing failed; with --complete, when nothing was
left out either.
"""

import argparse
import json
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

from harness.broker import Kafka, Ottla
from harness.cache import HERE, Cache, NotHere
from harness.control import Control
from harness.results import FAILED, NOT_APPLICABLE, NOT_RUN, PASSED, Check, NotApplicable, Result, write_docs
from harness.suites import SUITES, Run, port_for

ROOT = HERE.parent
# Of the suites that mostly wait.
SIDE_BY_SIDE_MAX = 3
NAMES = [suite.name for suite in SUITES]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--broker", choices=["kafka", "ottla"], required=True)
    parser.add_argument("--ottla-binary", type=Path, default=ROOT / "target/release/ottla")
    parser.add_argument("--only", metavar="NAME,..", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--complete", action="store_true", help="what is not run is a failure")
    parser.add_argument("--full", action="store_true", help="all three million flights, not a slice")
    parser.add_argument("--prepare", action="store_true", help="only fill the cache")
    parser.add_argument("--summary", type=Path, metavar="FILE.json")
    parser.add_argument("--write-docs", action="store_true", help="render docs/clients.md")
    given = parser.parse_args()
    given.only = given.only.split(",") if given.only else NAMES
    if unknown := set(given.only) - set(NAMES):
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    return given


def make_broker(given, cache, home, suite):
    if given.broker == "kafka":
        return Kafka(cache.with_jars("broker"), HERE / "java/log4j2.properties", home / "broker", suite.properties,
                     port_for(suite))
    return Ottla(given.ottla_binary, home / "broker", suite.properties, port_for(suite))


def run_suite(suite, given, cache, work):
    """One suite against a fresh broker of its own."""
    started = time.monotonic()
    result = Result(suite.name)
    home = work / suite.name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    try:
        suite.prepare(cache)
        if given.prepare:
            return result
        excused = NotApplicable(HERE / "not_applicable.toml", given.broker, suite.name)
        broker = make_broker(given, cache, home, suite)
        try:
            broker.start()
            control = Control(broker)
            checks = suite.checks(Run(broker, control.url, cache, home, excused, given.full))
            control.close()
            if broker.stop() is None:
                checks.append(Check("broker stops on SIGTERM", FAILED, "still running after 30 s"))
        finally:
            if broker.process and broker.process.poll() is None:
                broker.kill()
        result.checks = [excused.judge(check) for check in checks]
    except NotHere as missing:
        result.not_run = str(missing)
    except Exception as error:  # A harness that stops here would hide the suites after this one.
        result.checks.append(Check("starts", FAILED, str(error)))
    if not any(check.outcome == FAILED for check in result.checks):
        shutil.rmtree(home / "broker" / "data", ignore_errors=True)
    result.seconds = time.monotonic() - started
    return result


def main():
    given = arguments()
    cache = Cache(ROOT / "target/cache")
    work = ROOT / "target/tests-clients" / given.broker
    results = []
    chosen = [suite for suite in SUITES if suite.name in given.only]
    # Neighbours that mostly wait run together, all others alone.
    for _, suites in groupby(chosen, key=lambda suite: suite.waits_mostly or suite.name):
        with ThreadPoolExecutor(SIDE_BY_SIDE_MAX) as pool:
            for result in pool.map(lambda suite: run_suite(suite, given, cache, work), suites):
                results.append(result)
                for check in result.checks:
                    if check.outcome == FAILED:
                        print(f"  failed: {result.suite}/{check.name}: {check.reason}", flush=True)
                print(result.line(), flush=True)

    total = {outcome: sum(result.count(outcome) for result in results)
             for outcome in (PASSED, FAILED, NOT_APPLICABLE, NOT_RUN)}
    if given.summary:
        given.summary.write_text(json.dumps({
            "broker": given.broker, "total": total,
            "suites": [{"name": result.suite, "not run": result.not_run, "seconds": round(result.seconds, 1),
                        "checks": [vars(check) for check in result.checks]} for result in results]}, indent=1))
    if given.write_docs:
        version = "Apache Kafka 4.4.0" if given.broker == "kafka" else "Ottla"
        write_docs(ROOT / "docs/clients.md", given.broker, version, SUITES, results)
    print(f"{total[PASSED]} passed, {total[FAILED]} failed, {total[NOT_RUN]} skipped, "
          f"{total[NOT_APPLICABLE]} not applicable")
    return 1 if total[FAILED] or (given.complete and total[NOT_RUN]) else 0


if __name__ == "__main__":
    sys.exit(main())
