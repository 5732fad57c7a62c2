"""A console that a browser has opened."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import BrowserContext


@dataclass(frozen=True)
class Opened:
    """A console and the browser context that has its session.

    Parameters
    ----------
    url
        The address that the command prints.
    """

    url: str
    context: BrowserContext

    @property
    def base(self) -> str:
        """The address without the token and without a slash at its end."""
        return self.url.partition("/?")[0]

    def open(self) -> None:
        """Use the token up."""
        page = self.context.new_page()
        page.goto(self.url)
        assert page.url == f"{self.base}/"
        page.close()

    def is_own(self, url: str) -> bool:
        """Return whether an address is of the console."""
        return url.startswith((f"{self.base}/", "data:", "about:"))
