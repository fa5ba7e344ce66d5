"""Events to an address of the web, as JSON."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from base64 import b64encode
from urllib.parse import unquote, urlsplit

from wsac import __version__
from wsac.io.json_text import to_json
from wsac.types import RecipeError, WsacError

from .sinks import Deliveries, Sink
from .sound_event import Event

TIMEOUT = 5.0  # seconds for one delivery


class Webhook(Sink):
    """POSTs each event when it begins and when it has ended. Raises RecipeError for an address that
    is not http or https."""

    def __init__(self, address: str) -> None:
        self.address = checked_address(address)
        self._deliveries = Deliveries(f"webhook {server_of(address)}")

    def event(self, event: Event) -> None:
        if event.state != "lasts":
            self._deliveries.add(lambda: post(self.address, event))

    def close(self) -> None:
        self._deliveries.close()


def checked_address(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise RecipeError(f"webhook '{address}': give an address such as http://server/path")
    return address


def server_of(address: str) -> str:
    """Host and port of an address, without a password."""
    return urlsplit(address).netloc.rpartition("@")[2]


def post(address: str, event: Event) -> None:
    """Raises WsacError when the event is not taken."""
    headers = {"Content-Type": "application/json", "User-Agent": f"wsac/{__version__}"}
    parts = urlsplit(address)
    if parts.username is not None:  # urllib would take it for a part of the host
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    body = to_json(event.fields()).encode()
    plain = parts._replace(netloc=server_of(address)).geturl()
    request = urllib.request.Request(plain, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            answer.read(1024)
    except urllib.error.HTTPError as error:
        raise WsacError(f"it answers {error.code} {error.reason}; check the address") from error
    except http.client.HTTPException as error:
        what = f"no proper answer ({type(error).__name__})"
        raise WsacError(f"{what}; check that the address is of a web server") from error
    except TimeoutError as error:
        raise WsacError(f"no answer within {TIMEOUT:g} s; check the server") from error
    except OSError as error:  # URLError among them
        cause = getattr(error, "reason", error)
        reason = str(getattr(cause, "strerror", None) or cause).lower()
        raise WsacError(f"no connection ({reason}); check the address and the server") from error
