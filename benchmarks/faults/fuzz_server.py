"""Schemathesis makes requests from the OpenAPI document of ``wsac serve``: no 5xx, no answer that
the document does not name. Exit code 1 if there is one.

python benchmarks/faults/fuzz_server.py --cases 2000
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "speed"))
from served import Server

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
GENERATED = re.compile(r"([\d,]+) generated")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    with Server("--quiet", "--model", args.model, "--max-seconds", "5") as server:
        address = f"http://127.0.0.1:{server.port}/openapi.json"
        with urllib.request.urlopen(address) as answer:
            paths = json.load(answer)["paths"]
        bodies = sum("requestBody" in entry for path in paths.values() for entry in path.values())
        command = [sys.executable, "-m", "schemathesis.cli", "run", address, "--no-color"]
        command += ["--checks", ",".join(CHECKS), "--phases", "examples,fuzzing,coverage"]
        command += ["--max-examples", str(-(-args.cases // bodies)), "--seed", str(args.seed)]
        with tempfile.TemporaryDirectory() as folder:  # schemathesis writes its cache there
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        figures = server.figures()
    statuses = {}
    for name, count in figures.items():
        if match := re.fullmatch(r'wsac_requests_total\{path="(/v1/.*)",status="(\d+)"\}', name):
            statuses[match[2]] = statuses.get(match[2], 0) + int(count)
    cases = GENERATED.search(done.stdout)
    row = {"cases": cases and cases[1], "answers": dict(sorted(statuses.items()))}
    print(json.dumps(row | {"exit": done.returncode}))
    if done.returncode:
        print(done.stdout[-6000:], done.stderr[-2000:], file=sys.stderr)
    return int(bool(done.returncode) or any(status >= "5" for status in statuses))


if __name__ == "__main__":
    sys.exit(main())
