"""The API in process: answers equal those of the library, and refusals say why."""

from __future__ import annotations

import asyncio
import base64
import json
import re

import numpy as np
import pytest

from wsac.inference.batch import rounded
from wsac.inference.tagger import Tagger

WORDS = "dog, rain, siren"


def posted(path, content=None, name="dog.wav", **fields):
    """A function of a client that posts a form, or JSON where ``content`` is a mapping."""

    async def talk(client):
        if isinstance(content, dict):
            return await client.post(path, json=content)
        files = {} if content is None else {"file": (name, content)}
        return await client.post(path, files=files, data=fields)

    return talk


def got(path, **headers):
    async def talk(client):
        return await client.get(path, headers=headers)

    return talk


def error_of(response) -> str:
    message = response.json()["error"]["message"]
    assert "\n" not in message
    return message


@pytest.mark.slow
def test_captions_are_those_of_the_library(asked, captioner, wav, tmp_path):
    sounds = [wav(seed, 0.5 + seed % 3) for seed in range(12)]

    async def talk(client):
        calls = (posted("/v1/audio/captions", sound, f"{i}.wav") for i, sound in enumerate(sounds))
        return await asyncio.gather(*(call(client) for call in calls))

    for i, response in enumerate(asked(talk)):
        path = tmp_path / f"{i}.wav"
        path.write_bytes(sounds[i])
        caption = rounded(captioner.caption(path))
        row = response.json()
        assert (row["caption"], row["file"]) == (caption.text, f"{i}.wav")
        assert row["end"] == caption.end
        assert abs(row["logprob"] - caption.logprob) < 1e-3


def test_a_long_sound_is_heard_whole(asked, captioner, wav, tmp_path):
    (tmp_path / "long.flac").write_bytes(wav(1, 40.0, "FLAC"))
    content = (tmp_path / "long.flac").read_bytes()
    row = asked(posted("/v1/audio/captions", content, "long.flac")).json()
    assert row["end"] == 40.0
    assert row["caption"] == captioner.caption(tmp_path / "long.flac").text


def test_silence_is_called_silence(asked):
    import io

    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(16_000), 16_000, format="WAV")
    row = asked(posted("/v1/audio/captions", buffer.getvalue())).json()
    assert row["caption"] == "Silence"
    assert "silent" in row["notes"][0]


def test_tags_are_those_of_the_library(asked, captioner, wav, tmp_path):
    (tmp_path / "dog.wav").write_bytes(wav(4))
    response = asked(posted("/v1/audio/tags", wav(4), labels=WORDS, top="2"))
    best = Tagger(captioner.clap, ["dog", "rain", "siren"]).tag(tmp_path / "dog.wav")[:2]
    rows = response.json()["tags"]
    assert [row["label"] for row in rows] == [tag.label for tag in best]
    assert [row["score"] for row in rows] == pytest.approx([t.score for t in best], abs=1e-3)


def test_spans_come_with_cues(asked, captioner, wav, tmp_path):
    (tmp_path / "dog.wav").write_bytes(wav(5, 3.0))
    row = asked(posted("/v1/audio/spans", wav(5, 3.0))).json()
    spans = list(captioner.spans(tmp_path / "dog.wav"))
    assert [span["caption"] for span in row["spans"]] == [span.text for span in spans]
    assert [span["start"] for span in row["spans"]] == [round(span.start, 3) for span in spans]
    assert len(row["cues"]) >= (len(spans) > 0)
    assert (row["file"], row["end"]) == ("dog.wav", 3.0)


@pytest.mark.parametrize(
    ("name", "kind", "mark"),
    [
        ("json", "application/json", '{"text":'),
        ("verbose_json", "application/json", '"segments":'),
        ("text", "text/plain; charset=utf-8", ""),
        ("srt", "text/plain; charset=utf-8", " --> "),
        ("vtt", "text/vtt; charset=utf-8", "WEBVTT"),
    ],
)
def test_formats_of_transcriptions(asked, wav, name, kind, mark):
    form = {"response_format": name, "model": "whisper-1", "language": "de"}
    response = asked(posted("/v1/audio/transcriptions", wav(5, 3.0), **form))
    assert response.status_code == 200
    assert response.headers["content-type"] == kind
    assert mark in response.text


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings_of_texts_and_sounds(asked, captioner, wav, tmp_path, encoding):
    (tmp_path / "dog.wav").write_bytes(wav(4, 8.0))
    sound = base64.b64encode(wav(4, 8.0)).decode()
    words = ["a dog barks", "rain"]

    def numbers(response):
        rows = response.json()["data"]
        if encoding == "float":
            return np.array([row["embedding"] for row in rows])
        return np.stack([np.frombuffer(base64.b64decode(r["embedding"]), "<f4") for r in rows])

    async def talk(client):
        texts = {"input": words, "encoding_format": encoding}
        sounds = {"input": [sound, f"data:audio/wav;base64,{sound}"], "modality": "audio"}
        assert len(sound) > 2**18  # more than one piece
        return [
            await client.post("/v1/embeddings", json=body)
            for body in (texts, sounds | {"encoding_format": encoding})
        ]

    of_texts, of_sounds = map(numbers, asked(talk))
    assert np.allclose(of_texts, captioner.clap.embed_text(words).numpy(), atol=1e-6)
    expected = captioner.embed(tmp_path / "dog.wav").embedding.numpy()
    assert np.allclose(of_sounds, [expected, expected], atol=1e-5)


def test_embeddings_name_the_model_that_made_them(asked, captioner):
    async def talk(client):
        bodies = [{"input": "rain", "model": name} for name in ("other", "pocket", "ada", "")]
        return [(await client.post("/v1/embeddings", json=body)).json()["model"] for body in bodies]

    names = asked(talk, others={"other": captioner})
    assert names == ["other", "pocket", "pocket", "pocket"]


def test_sounds_of_a_request_share_batches(asked, captioner, wav, tmp_path):
    """In order; one that fails is named, and ends the others."""
    sounds = [wav(seed, 0.6) for seed in range(9)]
    encoded = [base64.b64encode(sound).decode() for sound in sounds]

    async def talk(client):
        body = {"input": encoded, "modality": "audio", "dimensions": 16}
        good = await client.post("/v1/embeddings", json=body)
        metrics = (await client.get("/metrics")).text
        body["input"] = [*encoded[:3], "", *encoded[3:]]
        return good, metrics, await client.post("/v1/embeddings", json=body)

    good, metrics, bad = asked(talk, batch=4, wait=0.2)
    for i, row in enumerate(good.json()["data"]):
        (tmp_path / f"{i}.wav").write_bytes(sounds[i])
        expected = captioner.embed(tmp_path / f"{i}.wav").embedding.numpy()
        assert row["index"] == i
        assert np.allclose(row["embedding"], expected, atol=1e-5)
    batches = re.search(r"wsac_batch_sounds_count (\d+)", metrics)
    assert 3 <= int(batches[1]) < 9
    assert (bad.status_code, "input 3: empty" in error_of(bad)) == (422, True)


def test_texts_of_many_requests_share_batches(asked, captioner, monkeypatch):
    embed, sizes = captioner.clap.embed_text, []

    def counted(texts, **options):
        sizes.append(len(texts))
        return embed(texts, **options)

    monkeypatch.setattr(type(captioner.clap), "embed_text", lambda self, *a, **o: counted(*a, **o))
    lists = [[f"dog {i} {j}" for j in range(1 + i % 3)] for i in range(20)]

    async def talk(client):
        calls = (posted("/v1/embeddings", {"input": texts}) for texts in lists)
        return await asyncio.gather(*(call(client) for call in calls))

    for texts, response in zip(lists, asked(talk), strict=True):
        rows = [row["embedding"] for row in response.json()["data"]]
        assert np.allclose(rows, embed(texts).numpy(), atol=1e-6)
    assert (sum(sizes), len(sizes) < 10) == (sum(map(len, lists)), True)


REFUSALS = [
    ("captions", b"<html>no sound</html>", {}, 415, "dog.wav: holds text, not sound"),
    ("captions", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, {}, 415, "dog.wav: "),
    ("captions", b"", {}, 422, "dog.wav: empty (0 bytes); is the download complete?"),
    ("captions", b"RIFF\x00\x00\x00\x00WAVEfmt ", {}, 422, "dog.wav: "),
    ("captions", None, {}, 415, "curl -F file=@dog.wav"),
    ("captions", "wav", {"labels": "dog"}, 400, "labels: Extra inputs are not permitted"),
    ("captions", "wav", {"min_confidence": "7"}, 400, "min_confidence: Input should be less"),
    ("captions", "wav", {"min_confidence": "0.5"}, 400, "no confidence"),
    ("captions", "wav", {"track": "2"}, 422, "dog.wav: has 1 audio track; there is no track 2"),
    ("captions", "wav", {"channel": "left"}, 400, "channel left: give its number"),
    ("captions", "long", {}, 413, "dog.wav: a longer sound; at most 3 s are taken"),
    ("captions", "large", {}, 413, "more than 150,000 bytes"),
    ("tags", "wav", {}, 400, "labels: Field required"),
    ("tags", "wav", {"labels": "dog"}, 400, "label"),
    ("tags", "wav", {"labels": "dog, dog"}, 400, "dog"),
    ("tags", "wav", {"labels": 'dog, "rain'}, 400, "quotes that are not closed"),
    ("spans", "wav", {"skip[]": "noise"}, 400, "skip[].0: Input should be"),
    ("spans", "wav", {"style": "loud"}, 400, "style 'loud': "),
    ("transcriptions", "wav", {"response_format": "ass"}, 400, "response_format: Input should be"),
    ("transcriptions", "wav", {"stream": "true"}, 400, "stream: Input should be"),
]


@pytest.mark.parametrize(("path", "content", "fields", "status", "words"), REFUSALS)
def test_refusals_of_sounds(asked, wav, path, content, fields, status, words):
    sizes = {"wav": 1.0, "long": 4.0, "large": 9.0}
    content = wav(0, sizes[content]) if isinstance(content, str) else content
    limits = {"max_seconds": 3.0, "max_bytes": 150_000}
    response = asked(posted(f"/v1/audio/{path}", content, **fields), **limits)
    assert (response.status_code, words in error_of(response)) == (status, True), response.text
    assert "/tmp" not in response.text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"input": []}, "input"),
        ({"input": "  "}, "input: a text that is empty"),
        ({"input": "x" * 20_001}, "input: a text that is empty or above 20,000"),
        ({"input": [[1, 2]]}, "input"),
        ({"input": "https://example.org/dog.wav", "modality": "audio"}, "fetches nothing"),
        ({"input": "file:///etc/passwd", "modality": "audio"}, "fetches nothing"),
        ({"input": "no base64!", "modality": "audio"}, "input 0: not base64"),
        ({"input": ["\u023e"], "modality": "audio"}, "input 0: not base64"),
        ({"input": f"{'A' * (2**18 - 1)}=AAAA", "modality": "audio"}, "padding before the end"),
        ({"input": "x", "modality": "image"}, "modality: Input should be"),
        ({"input": "x", "dimensions": 3}, "dimensions: embeddings have 16; leave dimensions out"),
    ],
)
def test_refusals_of_embeddings(asked, body, words):
    response = asked(posted("/v1/embeddings", body))
    assert (response.status_code, words in error_of(response)) == (400, True), response.text


def test_no_json_is_refused(asked):
    async def talk(client):
        kinds = [({"content-type": "application/json"}, 400), ({"content-type": "text/x"}, 415)]
        for headers, status in kinds:
            response = await client.post("/v1/embeddings", content=b"{", headers=headers)
            assert response.status_code == status
        return True

    assert asked(talk)


def test_search_is_there_with_an_archive_only(asked):
    wanted = []

    def search(request):
        wanted.append(request)
        row = {"file": "a.wav", "score": 0.5, "start": 0.0, "end": 1.0, "caption": "A dog."}
        return [row | {"confidence": None}]

    body = {"query": "dog", "top": 3}
    assert asked(posted("/v1/search", body)).status_code == 404
    response = asked(posted("/v1/search", body), search=search)
    assert response.json()["results"][0]["file"] == "a.wav"
    assert (wanted[0].query, wanted[0].top) == ("dog", 3)


def test_state_models_and_metrics(asked, wav):
    async def talk(client):
        await posted("/v1/audio/captions", wav())(client)
        await posted("/v1/audio/captions", b"")(client)
        paths = ("/healthz", "/readyz", "/v1/models", "/metrics")
        return [await client.get(path) for path in paths]

    health, ready, models, metrics = asked(talk)
    assert health.json() == ready.json() == {"status": "ok"}
    assert models.json()["data"][0]["id"] == "pocket"
    for status in (200, 422):
        line = f'wsac_requests_total{{path="/v1/audio/captions",status="{status}"}} 1.0'
        assert line in metrics.text
    assert "wsac_requests_inside 0.0" in metrics.text


def test_keys_open_the_api(asked):
    async def talk(client):
        bearer = {"Authorization": "Bearer two"}
        assert (await client.get("/v1/models", headers=bearer)).status_code == 200
        for headers in ({}, {"Authorization": "Bearer twos"}, {"Authorization": "Basic two"}):
            response = await client.get("/v1/models", headers=headers)
            assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
            assert (await client.get("/metrics", headers=headers)).status_code == 401
        return [(await client.get(path)).status_code for path in ("/", "/healthz", "/readyz")]

    assert asked(talk, keys=("one", "two")) == [200, 200, 200]


def test_another_host_is_refused(asked):
    hosts = ("localhost", "[::1]")
    for host, status in (("evil.example", 403), ("localhost:8000", 200), ("[::1]:8000", 200)):
        assert asked(got("/v1/models", host=host), hosts=hosts).status_code == status


def test_requests_have_ids(asked):
    assert asked(got("/healthz", **{"x-request-id": "abc-1"})).headers["x-request-id"] == "abc-1"
    for bad in ("a b", "x" * 65, "", 'a"'):
        name = asked(got("/healthz", **{"x-request-id": bad})).headers["x-request-id"]
        assert len(name) == 32


def test_a_full_queue_answers_429(asked, wav):
    async def talk(client):
        call = posted("/v1/audio/captions", wav(0, 2.0))
        return await asyncio.gather(*(call(client) for _ in range(12)))

    responses = asked(talk, queue=2)
    codes = [response.status_code for response in responses]
    assert set(codes) == {200, 429}
    assert codes.count(200) >= 2
    late = next(response for response in responses if response.status_code == 429)
    assert int(late.headers["retry-after"]) >= 1
    assert "try again in" in error_of(late)


def test_no_result_in_time_is_504_and_frees_its_place(asked, captioner, wav, monkeypatch):
    import time

    describe = captioner.describe

    def slow(sounds):
        time.sleep(0.4)
        return describe(sounds)

    monkeypatch.setattr(captioner, "describe", slow)

    async def talk(client):
        first = await posted("/v1/audio/captions", wav())(client)
        assert "no result within 0.3 s" in error_of(first)
        text = (await client.get("/metrics")).text
        return first.status_code, "wsac_requests_inside 0.0" in text

    assert asked(talk, timeout=0.3, queue=1) == (504, True)


def test_a_bug_is_500_without_its_details(asked, captioner, wav, monkeypatch, capsys):
    def broken(sounds):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(captioner, "describe", broken)
    response = asked(posted("/v1/audio/captions", wav()))
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.headers["x-request-id"] in error_of(response)


def test_uploads_leave_nothing(asked, wav, tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    async def talk(client):
        for content in (wav(), b"", b"<html>"):
            await posted("/v1/audio/spans", content)(client)
        return sorted(path.name for path in tmp_path.glob(".wsac*"))

    assert asked(talk) == []


def test_unknown_addresses_and_methods(asked):
    for talk, status in ((got("/v1/nothing"), 404), (got("/v1/audio/captions"), 405)):
        response = asked(talk)
        assert (response.status_code, "/openapi.json" in error_of(response)) == (status, True)


def test_the_document_names_every_address(asked):
    document = json.loads(asked(got("/openapi.json")).text)
    assert {"/v1/audio/captions", "/v1/embeddings", "/readyz"} <= set(document["paths"])
    assert "/v1/search" not in document["paths"]
    references = set(json.dumps(document).split('"$ref": "#/components/schemas/')[1:])
    names = {reference.split('"')[0] for reference in references}
    assert names <= set(document["components"]["schemas"])


def test_the_page_is_small_and_asks_nothing_of_others(asked):
    from wsac.serve.app import PAGE, TYPES

    files = [path for path in PAGE.rglob("*.*") if path.suffix in TYPES]
    total = 0
    for path in files:
        response = asked(got(f"/{path.relative_to(PAGE).as_posix()}"))
        assert response.status_code == 200
        total += len(response.content)
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "http://" not in response.text.replace("http://www.w3.org", "")
        assert "https://" not in response.text
    assert 0 < total <= 80_000


def test_the_page_speaks_each_language():
    """The same words in every file, and all that the page asks for."""
    from wsac.serve.app import PAGE

    languages = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in (PAGE / "words").glob("*.json")
    }
    code = "".join(path.read_text(encoding="utf-8") for path in sorted(PAGE.glob("*.*")))
    asked_for = set(re.findall(r'data-(?:word|label)="(\w+)"', code))
    asked_for |= set(re.findall(r'word\("(\w+)"\)', code))
    assert set(languages) == {"en", "de", "ja"}
    assert len({tuple(words) for words in languages.values()}) == 1
    assert asked_for <= set(languages["en"])
