"""What the page asks beyond a caption: alternatives, the memory, bridges, pictures, examples."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from test_endpoints import error_of, got, posted

from oracles.png_pixels import png_pixels
from wsac.inference.batch import rounded
from wsac.inference.closer_look import nearest_captions, usable_bridges
from wsac.io.mel_pictures import FLOOR_DB
from wsac.serve.pictures import COLUMNS, EXAMPLES, example_wav, picture_of


def test_alternatives_differ_from_the_caption(captioner, wav, tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(3))
    sound = captioner.embed(tmp_path / "a.wav")
    others = captioner.alternatives(sound.embedding, 3)
    texts = [captioner.describe([sound])[0].text, *(other.text for other in others)]
    assert len(others) <= 3
    assert len({text.lower() for text in texts}) == len(texts) > 1
    assert [o.logprob for o in others] == sorted((o.logprob for o in others), reverse=True)


def test_a_caption_with_all_that_the_page_shows(asked, captioner, wav, tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(3))
    sound = captioner.embed(tmp_path / "a.wav")
    fields = {"alternatives": "2", "nearest": "3", "bridge": "nnd"}
    row = asked(posted("/v1/audio/captions", wav(3), **fields)).json()
    other = captioner.with_options(bridge="nnd")
    assert row["caption"] == other.describe([sound])[0].text
    expected = map(rounded, other.alternatives(sound.embedding, 2))
    assert [a["caption"] for a in row["alternatives"]] == [caption.text for caption in expected]
    near = nearest_captions(captioner, sound.embedding, 3)
    assert [n["caption"] for n in row["nearest"]] == [text for text, _ in near]
    scores = [n["score"] for n in row["nearest"]]
    assert scores == sorted(scores, reverse=True)
    plain = asked(posted("/v1/audio/captions", wav(3))).json()
    assert plain["alternatives"] == plain["nearest"] == []


def test_the_nearest_are_of_the_memory(captioner):
    """A sound that lies on an entry has this entry first, with cosine 1."""
    entry = captioner.memory.embeddings[7]
    rows = nearest_captions(captioner, entry, 2)
    writer = captioner.with_options(bridge="ad", beam_size=1)
    assert rows[0] == (writer.caption_embeddings(entry[None])[0].text, pytest.approx(1, abs=1e-3))


def test_only_bridges_that_can_be_built_are_offered(asked, captioner, wav):
    about = asked(got("/v1/about")).json()
    bridges = about["models"][0]["bridges"]
    assert bridges == usable_bridges(captioner)
    assert bridges[0] == captioner.options.bridge
    assert "ad" in bridges
    assert "shift" not in bridges  # needs a gap
    for path in ("captions", "spans"):
        assert asked(posted(f"/v1/audio/{path}", wav(), bridge="ad")).status_code == 200
        response = asked(posted(f"/v1/audio/{path}", wav(), bridge="shift"))
        assert (response.status_code, "bridge 'shift': this" in error_of(response)) == (400, True)


def test_several_models(serve, captioner, wav):
    import asyncio

    other = captioner.with_options(bridge="ad", beam_size=1)

    async def talk():
        async with serve(others={"other": other}) as client:
            models = (await client.get("/v1/models")).json()["data"]
            rows = [
                (await posted("/v1/audio/captions", wav(6), model=model)(client)).json()
                for model in ("other", "whisper-1", "pocket")
            ]
            return [model["id"] for model in models], [row["logprob"] for row in rows]

    names, (of_other, of_any, of_first) = asyncio.run(talk())
    assert names == ["pocket", "other"]
    assert of_any == of_first != of_other


@pytest.mark.parametrize("seconds", [0.05, 3.0, 30.0])
def test_a_picture_spans_the_sound(asked, seconds):
    """A second half that is silent is the darker half of the picture."""
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * 16_000))
    samples[len(samples) // 2 :] = 0
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16_000, format="WAV")
    response = asked(posted("/v1/audio/pictures", buffer.getvalue()))
    assert response.headers["content-type"] == "image/png"
    picture = png_pixels(response.content).sum(2)
    width = picture.shape[1]
    assert width <= COLUMNS
    assert abs(width - min(COLUMNS, seconds * 100)) <= 2
    assert picture[:, : width // 3].min() > picture[:, -width // 3 :].max()


def test_a_short_event_in_a_long_sound_is_seen():
    """20 ms in 5 minutes, between the places of a coarse grid."""
    from types import SimpleNamespace

    samples = np.zeros(300 * 8_000, np.float32)
    samples[1_000_000:1_000_160] = 0.5
    recording = SimpleNamespace(samples=samples, sample_rate=8_000, seconds=300.0)
    picture = png_pixels(picture_of(recording)).sum((0, 2))
    assert abs(picture.argmax() / len(picture) - 1_000_000 / len(samples)) < 0.01
    assert FLOOR_DB < 0


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_sounds(asked, name):
    response = asked(got(f"/examples/{name}.wav"))
    samples, rate = soundfile.read(io.BytesIO(response.content))
    assert len(samples) == 6 * rate
    assert np.abs(samples).max() > 0.05
    assert response.content == example_wav.__wrapped__(name)


def test_pages_of_other_sites_may_not_post(asked, wav):
    async def talk(client):
        sites = ("cross-site", "same-site", "same-origin", "none")
        files = {"file": ("a.wav", wav())}
        codes = []
        for site in sites:
            headers = {"Sec-Fetch-Site": site}
            sent = await client.post("/v1/audio/captions", files=files, headers=headers)
            codes.append(sent.status_code)
        link = await client.get("/", headers={"Sec-Fetch-Site": "cross-site"})
        return [*codes, link.status_code]

    assert asked(talk) == [403, 403, 200, 200, 200]
