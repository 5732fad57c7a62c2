"""Who may ask the console: the browser that opened the printed address, and no other page or host.

Sources: OWASP, "Cross-Site Request Forgery Prevention Cheat Sheet" (fetch metadata); MDN, "Origin" and
"Sec-Fetch-Site".
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from threading import Lock
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ops.web.templates import environment

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PARAMETER: Final = "token"
TOKEN_BYTES: Final = 32
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # What a page shows may be personal.
    "Cache-Control": "no-store",
}
SAFE_METHODS: Final = ("GET", "HEAD")
# Of a request that the browser itself makes, and of one that our own page makes.
OWN_SITES: Final = ("none", "same-origin")
REFUSED: Final = {
    "host": "This console answers only under the address that the command printed.",
    "origin": "Another page sent this request. Open the console by the address that the command printed.",
    "token": "This address was used already, or it is of an earlier console. Start the command again for a "
    "new address.",
    "session": "Open the console by the address that the command printed; it works once, for one browser.",
}


@dataclass
class Keys:
    """The token of the printed address, which its first use takes away, and the session that it opens."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(TOKEN_BYTES), repr=False)
    session: str = field(default_factory=lambda: secrets.token_urlsafe(TOKEN_BYTES), repr=False)
    _used: bool = False
    _lock: Lock = field(default_factory=Lock, repr=False)

    def use(self, token: str) -> bool:
        """Return whether a token opens the session; it does so once."""
        with self._lock:
            good = not self._used and _equal(token, self.token)
            self._used = self._used or good
        return good


@dataclass(frozen=True)
class Guard:
    """Middleware that refuses what does not come from the console's own pages, and adds `HEADERS`.

    Parameters
    ----------
    authority
        The only host and port that a request may name: a name that an attacker's DNS resolves to this
        machine is refused.
    """

    app: ASGIApp
    authority: str
    keys: Keys

    @property
    def cookie(self) -> str:
        """The name of the cookie; browsers share cookies between ports."""
        return f"huntaze-console-{self.authority.rpartition(':')[2]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer = self._answer(scope)
        await (answer or self.app)(scope, receive, secured)

    def _answer(self, scope: Scope) -> Response | None:
        """Return the answer to a request that the app must not see; None for one that it may."""
        headers = Headers(scope=scope)
        if headers.getlist("host") != [self.authority]:
            return _refusal("host", 421)
        if not self._is_own(headers, safe=scope["method"] in SAFE_METHODS):
            return _refusal("origin", 403)
        token = parse_qs(scope["query_string"].decode("latin-1")).get(PARAMETER)
        if token and scope["method"] == "GET":
            return self._opened(token[0]) if not self._has_session(headers) else _moved(scope["path"])
        return None if self._has_session(headers) else _refusal("session", 401)

    def _is_own(self, headers: Headers, *, safe: bool) -> bool:
        """Return whether no other page sent the request."""
        site, origins = headers.get("sec-fetch-site"), headers.getlist("origin")
        if site is not None and site not in OWN_SITES:
            return False
        if origins == [f"http://{self.authority}"]:
            return True
        # With the referrer policy `no-referrer` a browser sends "null" for a form of our own page.
        return (not origins and safe) or (origins == ["null"] and site == "same-origin")

    def _has_session(self, headers: Headers) -> bool:
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:
            return False
        found = cookies.get(self.cookie)
        return found is not None and _equal(found.value, self.keys.session)

    def _opened(self, token: str) -> Response:
        if not self.keys.use(token):
            return _refusal("token", 403)
        response = _moved("/")
        response.set_cookie(self.cookie, self.keys.session, httponly=True, samesite="strict", path="/")
        return response


def _moved(path: str) -> Response:
    """Redirect to a page without the token, which then is in no history."""
    return RedirectResponse("/" + path.lstrip("/"), status_code=303)


def _refusal(why: str, status: int) -> Response:
    page = environment().get_template("refused.html").render(why=REFUSED[why])
    return HTMLResponse(page, status)


def _equal(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode(), other.encode())
