"""A scorer that a poisonous payment kills, and the keeper who starts it again: `python -m tests.faults.poisoned`.

The product's own job runs, with one function wrapped. The keeper has loaded its libraries once and forks, so that a
death costs what it costs in the job, not the time Python takes to import them.
"""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

import workers.score
from core.base.settings import load_settings
from core.base.telemetry import configure_logs
from core.contracts.messages import Payment
from tests.poison import POISON
from workers.runner import run

PR_SET_PDEATHSIG = 1


def deadly(judge: Any) -> Any:
    def judged(batch: Sequence[Payment], *rest: Any) -> Any:
        if any(POISON in payment.attributes for payment in batch):
            os._exit(9)
        return judge(batch, *rest)

    return judged


def main() -> None:
    settings = load_settings()
    configure_logs("WARNING", False, "scorer")
    workers.score.judge = deadly(workers.score.judge)
    child, stopping = 0, False

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        with suppress(ProcessLookupError):
            os.kill(child, number)

    while not stopping:
        child = os.fork()
        if not child:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            asyncio.run(run(settings, {"score": workers.score.score}))
            os._exit(0)
        signal.signal(signal.SIGTERM, stop)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
