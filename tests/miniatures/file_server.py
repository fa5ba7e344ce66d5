"""A web server of files by address, with ways to fail, and captions in the official layouts."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from wsac.data.captions import caption_sets
from wsac.data.captions.caption_sets import CAPTION_SETS, CaptionSet

EVENTS = ("Dogs bark", "Rain falls", "A bell rings", "Wind blows", "A door creaks", "A car passes")


class Files:
    """files: by host and path, as a mirror has them. cut: they end half-way, once."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []  # file, range
        self.cut: set[str] = set()
        self.ranges = True
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                key, asked = self.path.lstrip("/").partition("?")[0], self.headers.get("Range", "")
                served.requests.append((key, asked))
                content = served.files.get(key)
                if content is None:
                    self.send_error(404)
                    return
                first = int(asked[len("bytes=") : -1]) if asked and served.ranges else 0
                if first >= len(content):
                    self.send_error(416)
                    return
                self.send_response(206 if first else 200)
                self.send_header("Content-Length", str(len(content) - first))
                if served.ranges:
                    self.send_header("Accept-Ranges", "bytes")
                self.end_headers()
                if key in served.cut:
                    served.cut.discard(key)
                    content = content[: len(content) // 2]
                self.wfile.write(content[first:])

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def official_sites(monkeypatch: Any) -> Iterator[Files]:
    """A mirror with the miniatures of Clotho and AudioCaps, and wsac set to use it."""
    made, contents = Files(), official_files()
    for name in ("clotho", "audiocaps"):
        for file in CAPTION_SETS[name].files:
            made.files[key_of(file["urls"][0])] = contents[file["path"]]
    monkeypatch.setattr(caption_sets, "CAPTION_SETS", small_sets())
    monkeypatch.setenv("WSAC_MIRROR", made.address)
    yield made
    made.server.shutdown()
    made.server.server_close()


def key_of(url: str) -> str:
    """The name of an address in ``Files.files``."""
    return url.removeprefix("https://").partition("?")[0]


def caption(number: int) -> str:
    return f"{EVENTS[number % 6]} while {EVENTS[number // 6 % 6].lower()}"


def official_files() -> dict[str, bytes]:
    """A miniature of each official file of Clotho and AudioCaps, by its path below the folder."""
    made = {}
    for part, start in (("train", 0), ("validation", 12), ("test", 24)):
        rows = [f"clip {n}.wav,{','.join(caption(n + i) for i in range(5))}" for n in range(4)]
        header = "file_name,caption_1,caption_2,caption_3,caption_4,caption_5"
        made[f"{part}/clotho.csv"] = "\r\n".join((header, *rows, "")).encode()
        rows = [f'{n},video{n:06d},{n}0,"{caption(start + n)}, twice"' for n in range(12)]
        made[f"{part}/audiocaps.csv"] = "\n".join(
            ("audiocap_id,youtube_id,start_time,caption", *rows, "")
        ).encode()
    return made


def small_sets() -> dict[str, CaptionSet]:
    """The sets of captions as they are published, but with the checksums of the miniatures."""
    contents = official_files()
    return {
        name: replace(
            each,
            files=tuple(
                file | {"sha256": hashlib.sha256(contents[file["path"]]).hexdigest()}
                for file in each.files
            ),
        )
        for name, each in CAPTION_SETS.items()
    }


def wavcaps_files() -> dict[str, bytes]:
    """Miniatures of WavCaps' files: 10 captions a source, and 3 clips in the blacklists."""
    each, made = CAPTION_SETS["wavcaps"], {}
    for source, name in (each.sources or {}).items():
        ids = [f"Y{n:010d}.wav" if source == "AudioSet" else str(100 + n) for n in range(10)]
        data = [
            {"id": clip, "caption": f"{caption(n)} near {source}.", "duration": 10.0, "tags": []}
            for n, clip in enumerate(ids)
        ]
        made[name] = json.dumps({"num_captions_per_audio": 1, "data": data}).encode()
    first, second = each.blacklists
    made[first] = json.dumps({"AudioSet": ["Y0000000003.wav"], "FreeSound": ["104"]}).encode()
    made[second] = json.dumps({"AudioSet": [], "FreeSound": ["104", "107", "99"]}).encode()
    return {f"datasets/{each.repo}/{name}": content for name, content in made.items()}
