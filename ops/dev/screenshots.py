"""`make screenshots`: take docs/screenshots from the console of a local run with the shipped events."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from ops import ROOT
from ops.console import print_error, print_line
from ops.dev import browser
from ops.errors import OperatorError
from ops.local import kept

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOLDER: Final = ROOT / "docs" / "screenshots"
# The width of a README's picture, and a height that shows the first screen.
WIDTH, HEIGHT = 1240, 900
NARROW: Final = 360
START_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.1
# Loads the exports of a kept run, then becomes the command.
WITH_EXPORTS: Final = ("bash", "-c", 'source "$0" && exec "$@"', str(kept.FOLDER / kept.ENV_NAME))


@dataclass(frozen=True)
class Shot:
    """A picture: its file's name, the address of the page, and how it is shown."""

    name: str
    path: str
    scheme: Literal["light", "dark"] = "light"
    width: int = WIDTH
    height: int = HEIGHT


# The event of the shipped set that the API refuses.
PARKED: Final = "evt_3nGabHArExTd2cH0I5nAWdtW"
SHOTS: Final[Sequence[Shot]] = (
    Shot("flow", "/", height=1000),
    Shot("flow-dark", "/", scheme="dark", height=1000),
    Shot("events", "/events", height=820),
    Shot("event", f"/events/{PARKED}", height=1060),
    Shot("dead-letters", "/dead-letters", height=860),
    Shot("health", "/health", height=1100),
    Shot("flow-narrow", "/", width=NARROW, height=780),
)


def main() -> int:
    """Take every picture; return an exit code."""
    path = browser.find()
    if path is None:
        print_error(f"error: {browser.MISSING}")
        return 1
    started = kept.kept_run() is None
    if started and kept.start_detached([]):
        return 1
    try:
        with _console() as url:
            _take(path, url)
    except OperatorError as error:
        print_error(f"error: {error}")
        return 1
    finally:
        if started:
            kept.stop()
    return 0


@contextmanager
def _console() -> Iterator[str]:
    """Serve a console of the kept run; yield its address, which works once."""
    command = [*WITH_EXPORTS, sys.executable, "-m", "ops", "console", "--allow-changes", "--json"]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + START_SECONDS
            while True:
                output.seek(0)
                try:
                    url = str(json.loads(output.read())["url"])
                    break
                except ValueError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise OperatorError(
                            "the console did not start: see `huntaze-stripe console`"
                        ) from None
                    time.sleep(POLL_SECONDS)
            yield url
        finally:
            process.terminate()
            process.wait()


def _take(program: Path, url: str) -> None:
    from playwright.sync_api import sync_playwright

    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(program), args=browser.arguments())
        page = chromium.new_context(reduced_motion="reduce").new_page()
        page.goto(url)
        base = url.partition("/?")[0]
        for shot in SHOTS:
            _shoot(page, base, shot)
            file = FOLDER / f"{shot.name}.png"
            print_line(f"{file.relative_to(ROOT)}: {file.stat().st_size / 1024:.0f} KiB")
        chromium.close()


def _shoot(page: Page, base: str, shot: Shot) -> None:
    page.emulate_media(color_scheme=shot.scheme)
    page.set_viewport_size({"width": shot.width, "height": shot.height})
    page.goto(base + shot.path)
    page.wait_for_selector("#live.on", state="attached")
    page.screenshot(path=FOLDER / f"{shot.name}.png")


if __name__ == "__main__":
    sys.exit(main())
