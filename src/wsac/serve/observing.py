"""What the server tells about itself: metrics for Prometheus, and a line of JSON a request."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import Any

from wsac.io.json_text import to_json

SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120)
LONG = (1, 10, 60, 600, 3600, 86_400)  # seconds


class Metrics:
    """Counts of one server, in a registry of its own."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        from prometheus_client.process_collector import ProcessCollector

        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        own: dict[str, Any] = {"registry": self.registry}
        names = ["path", "status"]
        self.requests = Counter("wsac_requests", "Requests that were answered.", names, **own)
        self.seconds = Histogram(
            "wsac_request_seconds", "From request to answer.", ["path"], buckets=SECONDS, **own
        )
        self.inside = Gauge("wsac_requests_inside", "Requests that are worked on.", **own)
        self.batches = Histogram(
            "wsac_batch_sounds", "Sounds in one batch.", buckets=(1, 2, 4, 8, 16, 32, 64), **own
        )
        self.listeners = Gauge("wsac_listeners", "Open WebSockets of /v1/listen.", **own)
        self.listened = Histogram(
            "wsac_listen_seconds", "Ended sessions of /v1/listen.", ["code"], buckets=LONG, **own
        )
        self.received = Counter("wsac_received_bytes", "Bytes of bodies.", **own)

    def text(self) -> tuple[bytes, str]:
        """(text, its media type)."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class RequestLog:
    """Lines of JSON on stderr, without contents, names of files and addresses of clients."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet, self._lock = quiet, threading.Lock()

    def write(self, **values: Any) -> None:
        if self._quiet or sys.stderr is None:
            return
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._lock:
            print(to_json({"time": time} | values), file=sys.stderr, flush=True)

    def take_over(self, name: str) -> None:
        """Write the warnings of a library's logger as lines of this log."""
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [_Lines(self)], False


class _Lines(logging.Handler):
    """Hands warnings to the log of requests."""

    def __init__(self, log: RequestLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        values = {"level": record.levelname.lower(), "message": record.getMessage().strip()}
        if record.exc_info and record.exc_info[1]:
            values["traceback"] = "".join(traceback.format_exception(record.exc_info[1]))
        self._log.write(**values)
