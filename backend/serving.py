"""The web process: uvicorn around the application."""

import os
import socket

import uvicorn

from backend.app import create_app
from backend.instance import bound_socket
from core.base.heap import keep_for_good
from core.base.settings import Settings

GRACE_S = 3
"""How long open requests, live streams among them, may take to end."""


def serve_forever(settings: Settings, descriptor: int | None) -> None:
    """Until SIGTERM or SIGINT. `descriptor`: a listening socket of our parent; None = open our own. Raises PortTaken."""
    config = uvicorn.Config(
        create_app(settings),
        loop="uvloop",
        http="httptools",
        lifespan="on",
        timeout_graceful_shutdown=GRACE_S,
        log_config=None,
        access_log=False,
        server_header=False,
    )
    server = uvicorn.Server(config)
    keep_for_good()
    if descriptor is None:
        with bound_socket(settings.host, settings.port) as listening:
            server.run(sockets=[listening])
        return
    os.set_inheritable(descriptor, False)
    server.run(sockets=[socket.socket(fileno=descriptor)])
