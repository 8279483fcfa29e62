"""The demo's stream as a process: posts synthetic payments until it is told to stop."""

import asyncio
import signal

from backend.accounts import read_demo_secrets
from backend.demo import stream
from backend.instance import local_url
from core.base.settings import Settings


async def stream_until_stopped(settings: Settings, rate: float) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stream(local_url(settings), read_demo_secrets(settings.data_dir).key, rate, stop)
