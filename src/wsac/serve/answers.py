"""What is sent back: an answer, or a refusal in one line."""

from __future__ import annotations

from dataclasses import dataclass, field

from wsac.io.json_text import to_json
from wsac.types import WsacError

# the kinds of errors that clients of OpenAI know
KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class RefusalError(WsacError):
    """Why a request gets no result. status: of HTTP. headers: more of them."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass(frozen=True)
class Answer:
    """body: text or bytes of this media type."""

    body: str | bytes
    media_type: str = "application/json"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else self.body.encode()


def refusal_answer(refusal: RefusalError) -> Answer:
    """The error as clients of OpenAI read it."""
    kind = KINDS.get(refusal.status)
    kind = kind or ("server_error" if refusal.status >= 500 else "invalid_request_error")
    error = {"message": str(refusal), "type": kind, "param": None, "code": None}
    return Answer(to_json({"error": error}), status=refusal.status, headers=refusal.headers)
