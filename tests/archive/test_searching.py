"""What is near by its cosine is ordered anew by what else it is like."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wsac.archive.search.searching import by_fit


def unit(*values):
    return np.array(values, np.float32) / np.linalg.norm(values)


QUERY = unit(1, 0, 0)
SOUNDS = np.stack([unit(0.6, 0.8, 0), unit(0.59, 0, 0.8), unit(0.5, 0, 0.86)]).astype(np.float16)


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        ([unit(0, 1, 0)], [1, 2, 0]),  # the first is nearer to another word than to the query
        ([unit(0.95, 0.3, 0)], [0, 1, 2]),  # the word says what the query says
        ([unit(0, 1, 0), unit(0.95, 0.3, 0)], [1, 2, 0]),
        ([QUERY], [0, 1, 2]),
    ],
)
def test_what_is_nearer_to_other_words_goes_down(labels, order):
    scorer = SimpleNamespace(rivals=torch.from_numpy(np.stack(labels)))
    assert by_fit(scorer, QUERY, SOUNDS).tolist() == order


def test_a_word_counts_less_the_more_it_says_what_the_query_does():
    def first(cosine):
        label = unit(cosine, (1 - cosine**2) ** 0.5, 0)
        scorer = SimpleNamespace(rivals=torch.from_numpy(np.stack([label, unit(0, 0, 1)])))
        return by_fit(scorer, QUERY, SOUNDS[:2]).tolist()[0]

    assert [first(cosine) for cosine in (0.2, 0.5, 0.89)] == [1, 1, 0]
