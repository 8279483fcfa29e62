"""The whole bench: a private Ronda, the measures one after the other, everything stopped and removed at the end."""

import asyncio
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import msgspec

from backend.bench import probe
from backend.bench.flow import Track, track
from backend.bench.growth import grow
from backend.bench.instance import Instance, private_instance
from backend.bench.load import PROCESSES, Generator
from backend.bench.options import BATCH, CONNECTIONS, SINGLES_PER_S, WAIT_RATE, BenchOptions
from backend.bench.report import Machine, Result
from backend.bench.workload import WHOLE_FROM, Workload
from backend.display import Display
from backend.embedded_process import free_port
from backend.instance import bound_socket
from backend.supervisor import ending
from backend.synthetic import SOURCE
from core.base.errors import Unavailable
from core.base.heap import keep_for_good
from core.infra.resources import open_resources

ECHO_S = 1.0


async def bench(options: BenchOptions, display: Display) -> Result:
    """Takes two to four minutes with the default options. Raises Unavailable when a part cannot be started or dies."""
    began, result = time.monotonic(), Result(Machine.now(), options)
    with (
        tempfile.TemporaryDirectory(prefix="ronda-bench-") as folder,
        bound_socket("127.0.0.1", free_port()) as listening,
        ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool,
    ):
        async with private_instance(Path(folder), listening, options.bus, options.days, display) as instance:
            await _Bench(options, display, instance, Generator(pool), result).run()
    return replace(result, seconds=time.monotonic() - began)


class _Bench:
    def __init__(
        self, options: BenchOptions, display: Display, instance: Instance, generator: Generator, result: Result
    ) -> None:
        self._options, self._display, self._instance = options, display, instance
        self._generator, self._result = generator, result
        self._singles_per_s = 0.0
        self._workload = Workload.synthetic(instance.key, options.seed, instance.accounts.made_at + WHOLE_FROM)

    async def run(self) -> None:
        instance, result = self._instance, self._result
        result.bus = "rabbit" if "rabbit" in instance.servers else "redis"
        self._display.say("the load generator and the web stack alone")
        result.generator_per_s, result.echo_per_s = await self._echo(bare=True), await self._echo(bare=False)
        self._display.say("each stage alone")
        result.stages = await self._stages()
        await instance.start()
        async with (
            open_resources(instance.settings, "bench") as resources,
            track(instance, resources, self._generator) as on,
        ):
            keep_for_good()  # this process tells when a decision was heard of
            await self._measure(on)
            if self._options.growth:
                result.growth = await grow(on, self._options, self._display, self._workload, self._singles_per_s)
            result.counts = on.total

    async def _measure(self, on: Track) -> None:
        result, seconds = self._result, self._options.seconds
        await on.warm_up(self._workload)
        self._display.say("single posts, as fast as they are answered")
        singles = self._workload.singles(round(seconds * SINGLES_PER_S))
        result.singles = await on.drive(singles, most_s=seconds)
        self._singles_per_s = result.singles.decisions_per_s
        self._display.say(f"batches of {BATCH}")
        result.batches = await on.batches(self._workload, seconds, self._singles_per_s)
        # The kernel would write what these two left in one go half a minute later, and a commit of a paced payment would wait for it.
        await asyncio.to_thread(os.sync)
        for rate in self._options.rates:
            self._display.say(f"single posts at {rate:,} a second, whatever the answers do")
            paced = self._workload.singles(max(20, round(rate * seconds)))
            result.paced[rate] = await on.drive(paced, connections=256, rate=rate)
        self._display.say(f"single posts that wait for their decision, at {WAIT_RATE} a second")
        waiting = self._workload.singles(max(20, round(WAIT_RATE * seconds)), prefer="wait=10")
        result.waited = await on.drive(waiting, connections=128, rate=WAIT_RATE)
        # Each between two measures with everything: the machine is another one than a minute ago.
        result.whole = [result.batches]
        for name in probe.WITHOUT:
            self._display.say(f"batches of {BATCH}: without {name}, then with everything again")
            await self._instance.leave_out(name)
            result.without[name] = await on.batches(self._workload, seconds, self._singles_per_s)
            await self._instance.leave_out("")
            result.whole.append(await on.batches(self._workload, seconds, self._singles_per_s))

    async def _echo(self, *, bare: bool) -> float:
        """Requests a second that a server answers which does nothing."""
        with bound_socket("127.0.0.1", free_port()) as listening:
            descriptor = listening.fileno()
            part = self._instance.part("echo", "bench-echo", f"--fd={descriptor}", *(["--bare"] if bare else []))
            part.pass_fds = (descriptor,)
            await part.start()
            try:
                await asyncio.sleep(2.0)
                requests = [*self._workload.singles(2000).raw] * 20
                sent = await self._generator.send(
                    listening.getsockname()[1], requests, connections=CONNECTIONS, most_s=ECHO_S
                )
            finally:
                await part.stop()
        return len(sent.due) / (max(sent.answered) - min(sent.due))

    async def _stages(self) -> dict[str, float]:
        """In a process like a scorer's: one thread for the model."""
        seconds, seed = self._options.seconds / 4, self._options.seed
        arguments = ("bench-stages", f"--seconds={seconds}", f"--seed={seed}", f"--source={SOURCE}")
        part = self._instance.part("stages", *arguments, OMP_NUM_THREADS="1")
        part.stdout = asyncio.subprocess.PIPE
        await part.start()
        try:
            assert part.process
            answer, _ = await part.process.communicate()
            if part.process.returncode:
                raise Unavailable(f"the stages ended ({ending(part.process.returncode)}): {part.last_words()}")
            return msgspec.json.decode(answer, type=dict[str, float])
        finally:
            await part.stop()
