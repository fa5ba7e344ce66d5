"""``--archive``: the server finds what ``wsac search`` finds."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
import soundfile

from wsac.archive.archive_folder import Archive
from wsac.archive.build import BuildOptions, build_archive
from wsac.archive.search.searching import ArchiveSearch, embed_query
from wsac.cli.serve import search_of
from wsac.inference.captioner import Captioner
from wsac.inference.moments.moment_scores import MomentScorer
from wsac.types import ModelError


@pytest.fixture
def archive(captioner, tmp_path):
    """Of six noises, half a second each."""
    captioner.save(tmp_path / "model")
    (tmp_path / "sounds").mkdir()
    for i in range(6):
        noise = np.random.default_rng(i).uniform(-0.5, 0.5, 24_000)
        soundfile.write(tmp_path / "sounds" / f"{i}.wav", noise, 48_000)
    settings = {"model": str(tmp_path / "model"), "workers": 0, "device": "cpu"}
    build_archive([tmp_path / "sounds"], tmp_path / "archive", BuildOptions(**settings))
    return tmp_path / "archive"


def test_search_of_an_archive(serve, archive, tmp_path):
    captioner = Captioner.load(tmp_path / "model")
    search = search_of(archive, captioner)

    async def talk():
        async with serve(search=search) as client:
            bodies = [
                {"query": "rain", "top": 3, "where": "duration < 5"},
                {"query": "rain", "where": "height < 5"},
                {"query": "rain", "spans": True},
                {"query": "rain", "top": 0},
            ]
            return [await client.post("/v1/search", json=body) for body in bodies]

    good, unknown, spans, nothing = asyncio.run(talk())
    folder = Archive.open(archive)
    query = embed_query(captioner.clap, ["rain"])
    hits = ArchiveSearch(folder).nearest(query, 3, None, MomentScorer(captioner.clap))
    assert [row["file"] for row in good.json()["results"]] == [hit.file for hit in hits]
    for response, words in ((unknown, "height"), (spans, "--spans"), (nothing, "top: ")):
        assert response.status_code == 400
        assert words in response.json()["error"]["message"]


def test_an_archive_of_another_clap_is_refused(archive, captioner, clap_folder, tokenizer):
    import torch

    from wsac.clap.pocket.pocket_clap import PocketClap

    torch.manual_seed(9)
    captioner.clap = PocketClap(captioner.clap.config, tokenizer)
    with pytest.raises(ModelError, match="made with another CLAP"):
        search_of(archive, captioner)
