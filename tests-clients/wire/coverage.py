"""What the conversations have asked and been answered: API by version by error code.

Every served version has to occur, and every code of `error_codes.toml`, which lists what Kafka's code can answer.
"""

import tomllib
from collections import defaultdict
from pathlib import Path

CODES = Path(__file__).resolve().parent / "error_codes.toml"
# By API and version: the codes of all answers, however deep in them.
answered = defaultdict(set)


def note(api, version, answer):
    answered[api, version].update(codes(answer) or {0})


def codes(value):
    if isinstance(value, dict):
        own = {value["errorCode"]} if "errorCode" in value else set()
        return own.union(*(codes(inner) for inner in value.values()))
    return set().union(*(codes(inner) for inner in value)) if isinstance(value, list) else set()


def by_api():
    found = defaultdict(dict)
    for (api, version), codes in sorted(answered.items()):
        found[api][version] = sorted(codes)
    return found


def table():
    """Lines: an API, its versions, and each code with the versions that it occurred at."""
    for api, versions in by_api().items():
        at = defaultdict(list)
        for version, codes in versions.items():
            for code in codes:
                at[code].append(version)
        told = "  ".join(f"{code}: {ranges(at[code])}" for code in sorted(at))
        yield f"{api} {ranges(versions)}  |  {told}"


def ranges(numbers):
    """3,4,5,7 as 3-5,7."""
    out, numbers = [], sorted(numbers)
    for number in numbers:
        if out and out[-1][1] == number - 1:
            out[-1][1] = number
        else:
            out.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in out)


def every_version_was_asked(served):
    """`served`: by API, the least and the greatest version."""
    missing = [f"{api} {version}" for api, (least, most) in served.items() for version in range(least, most + 1)
               if (api, version) not in answered]
    assert not missing, f"never asked: {', '.join(missing)}"


def every_code_occurred():
    listed = tomllib.loads(CODES.read_text())["answered"]
    found = by_api()
    missing = [f"{api} {code}" for api, codes in listed.items() for code in codes
               if not any(code in at for at in found[api].values())]
    unlisted = [f"{api} {code}" for api, versions in found.items()
                for code in sorted(set().union(*versions.values())) if code != 0 and code not in listed.get(api, [])]
    assert not missing and not unlisted, f"never answered: {missing}; not in {CODES.name}: {unlisted}"
