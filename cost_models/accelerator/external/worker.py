"""Answers questions with another tool, in whichever interpreter has it: JSON lines in and out.

Started as a script with the name of a module beside it, such as `scalesim_worker`, whose `start()`
returns the tool's version and a function from questions to answers. Neither imports anything of
this project. The first line tells the version, or why the tool does not run; then every line in is
a question and every line out its answer, or why there is none:

    {"version": "3.0.0"}                                   {"missing": REASON}
    {"id": 7, "question": {"rows": 8, "m": 72, ...}}
    {"id": 7, "cpu_s": 0.02, "answer": {"cycles": 395, ...}}
    {"id": 7, "cpu_s": 0.02, "error": WHY}
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import IO, Any


def main() -> None:
    """Answers until there are no more lines."""
    answers = _own_stdout()
    adapter = importlib.import_module(sys.argv[1])
    # Modules beside this script shall not hide those of the tool.
    del sys.path[0]
    try:
        version, answer = adapter.start()
    except (Exception, SystemExit) as error:
        _say(answers, {"missing": f"{type(error).__name__}: {error}"})
        return
    _say(answers, {"version": version})
    for line in sys.stdin:
        asked = json.loads(line)
        start = time.process_time()
        try:
            found: dict[str, Any] = {"answer": answer(asked["question"])}
        except (Exception, SystemExit) as error:
            found = {"error": f"{type(error).__name__}: {error}"}
        spent = time.process_time() - start
        _say(answers, {"id": asked["id"], "cpu_s": spent, **found})


def _own_stdout() -> IO[str]:
    """The output for answers; whatever else is printed from here on is dropped."""
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return answers


def _say(answers: IO[str], what: dict[str, Any]) -> None:
    answers.write(json.dumps(what) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
