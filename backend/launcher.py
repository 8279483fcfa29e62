"""`up` and `demo`: all of Ronda on one machine, as supervised children of this process."""

import asyncio
import signal
import socket

from backend.instance import bound_socket, held
from backend.machine import LaunchOptions, Machine
from backend.supervisor import trim_logs

STOP_WITHIN_S = 9.0


def launch(options: LaunchOptions) -> int:
    """Runs until a signal asks it to stop; the exit code. Raises RondaError when it cannot start or a part keeps dying."""
    settings = options.settings
    with bound_socket(settings.host, settings.port) as listening, held(settings.data_dir):
        return asyncio.run(_run(options, listening))


async def _run(options: LaunchOptions, listening: socket.socket) -> int:
    """The first signal stops everything in order, the second one at once."""
    machine = Machine(options, listening)
    asked, code = asyncio.Event(), 0

    def on_signal(number: int) -> None:
        nonlocal code
        if asked.is_set():
            code = 128 + number
            machine.supervisor.kill()
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, on_signal, number)
    try:
        await _live(machine, asked)
    finally:
        machine.display.say("stopping (once more Ctrl+C: at once)")
        await machine.supervisor.stop(STOP_WITHIN_S)
        machine.display.say("stopped")
    return code


async def _live(machine: Machine, asked: asyncio.Event) -> None:
    """Until `asked`, or until something cannot be opened or kept alive: then that error."""
    asking = asyncio.create_task(asked.wait())
    waited: set[asyncio.Task[object]] = {
        asking,
        asyncio.create_task(machine.open()),
        asyncio.create_task(machine.supervisor.failure()),
        asyncio.create_task(trim_logs(machine.logs)),
    }
    started = list(waited)
    try:
        while asking in waited:
            done, waited = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                _raise_first(task.exception())
    finally:
        for task in started:
            task.cancel()
        await asyncio.gather(*started, return_exceptions=True)


def _raise_first(error: BaseException | None) -> None:
    """A task group wraps what went wrong; people want the first cause."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error:
        raise error
