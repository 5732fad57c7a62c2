"""The server of the console: on loopback, in a thread, until it is stopped."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Thread
from typing import Final

import uvicorn

from ops.errors import OperatorError
from ops.web.app import create
from ops.web.guard import PARAMETER, Keys
from ops.web.navigation import PAGES
from ops.web.page import Page
from ops.web.site import Site

LOOPBACK: Final = "127.0.0.1"
# Seconds for requests that are being answered when the console ends.
GRACE_SECONDS: Final = 1
START_SECONDS: Final = 10.0
BACKLOG: Final = 128


@contextmanager
def serving(site: Site, port: int = 0, pages: Sequence[Page] = PAGES) -> Iterator[str]:
    """Serve a console; yield the address to open, which works once.

    Parameters
    ----------
    port
        0 takes a free one.

    Raises
    ------
    OperatorError
        The port is in use or not allowed.
    """
    listening = _listening(port)
    authority = f"{LOOPBACK}:{listening.getsockname()[1]}"
    keys = Keys()
    config = uvicorn.Config(
        create(site, keys, authority, pages),
        log_config=None,
        # A defect is on its page and, without its values, on standard error.
        log_level="critical",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]}, name="console", daemon=True)
    thread.start()
    try:
        yield f"http://{authority}/?{PARAMETER}={keys.token}"
    finally:
        site.stopping.set()
        server.should_exit = True
        thread.join(START_SECONDS)
        listening.close()


def _listening(port: int) -> socket.socket:
    made = socket.socket()
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((LOOPBACK, port))
        made.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        made.close()
        raise OperatorError(
            f"can't listen on --port {port} ({error}): choose a free port above 1023, or leave --port out",
            usage=True,
        ) from error
    return made
