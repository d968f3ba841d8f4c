"""Calls gateways as the contract describes them and prints one line of JSON for each check: {"check", "ok", "why"}.

python3 test/agent-server/wire --list
python3 test/agent-server/wire http://127.0.0.1:2024 http://127.0.0.1:2025
"""

import json
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

import client
import conventions, resources, runs, semantics, streams  # noqa: E401, for their checks
from registry import CHECKS

# Most of the time they wait for the server; those that wait longest are first in line.
PARALLEL = 10
printing = threading.Lock()


def perform(sentence, function):
    try:
        function()
        result = {"check": sentence, "ok": True}
    except Exception as error:
        why = str(error) if isinstance(error, AssertionError) else "%s: %s" % (type(error).__name__, error)
        frame = [one for one in traceback.extract_tb(error.__traceback__) if one.name == function.__name__][-1]
        result = {"check": sentence, "ok": False, "why": "%s\n    %s:%d %s" % (why, frame.filename, frame.lineno, frame.line)}
    with printing:
        print(json.dumps(result), flush=True)


def main():
    if sys.argv[1:] == ["--list"]:
        print(json.dumps(list(CHECKS)))
        return
    client.GATEWAYS[:] = sys.argv[1:]
    slow_first = sorted(CHECKS.items(), key=lambda item: not getattr(item[1], "slow", False))
    with ThreadPoolExecutor(PARALLEL) as pool:
        for sentence, function in slow_first:
            pool.submit(perform, sentence, function)


main()
