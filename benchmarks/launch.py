"""Start ``twistd`` with an environment that a command line is too small for, maybe under a profiler.

``python -m benchmarks.launch VARIABLES.json [--cprofile=FILE] TWISTD-ARGUMENT…``
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from twisted.scripts.twistd import run


def main(arguments: list[str]) -> None:
    """Become twistd."""
    os.environ.update(json.loads(Path(arguments.pop(0)).read_text("utf-8")))
    profile = arguments.pop(0).partition("=")[2] if arguments[0].startswith("--cprofile=") else ""
    sys.argv = ["twistd", *arguments]
    if not profile:
        run()
        return
    import cProfile

    from twisted.internet import reactor

    profiler = cProfile.Profile(time.process_time)  # waiting costs nothing
    # twistd ends by the signal that stopped it, so that nothing comes after run().
    reactor.addSystemEventTrigger("after", "shutdown", profiler.dump_stats, profile)
    profiler.runcall(run)


if __name__ == "__main__":
    main(sys.argv[1:])
