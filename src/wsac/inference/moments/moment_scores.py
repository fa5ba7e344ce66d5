"""How well passages fit queries, and with what probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsac.arrays import Tensor, torch
from wsac.clap import ClapEncoder
from wsac.inference.confidence import Logistic
from wsac.inference.spans.describe_spans import PROMPTS, label_embeddings
from wsac.inference.tagger import embed_in_prompts
from wsac.io.files import read_json

CALIBRATION = Path(__file__).with_name("moment_calibration.json")
SHARPNESS = 0.1  # divides the cosines with labels: the nearest of them count most
SYNONYM = 0.7  # cosine from which on a label says the same as a query, and is no rival


@dataclass(frozen=True, slots=True)
class Scores:
    """score: [Q, N], higher is better, comparable within a query. probability: [Q, N]; None for a
    CLAP without calibration."""

    score: Tensor
    probability: Tensor | None


class MomentScorer:
    """Scores passages by their cosine with a query, against that of rival labels.

    A passage that sounds like everything has high cosines with every query; what it is most like
    counts. The probabilities are fitted by ``benchmarks/spans/calibrate_find.py`` for one CLAP,
    whose fingerprint stands beside them; another one gets none.
    """

    def __init__(self, clap: ClapEncoder) -> None:
        self.clap = clap
        self.rivals = label_embeddings(clap)
        self.calibration: dict[str, Any] = {}
        fitted = read_json(CALIBRATION) if CALIBRATION.is_file() else {}
        if fitted.pop("fingerprint", None) == clap.fingerprint:
            self.calibration = {kind: Logistic(**values) for kind, values in fitted.items()}

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit-norm [N, D]: the mean over prompts."""
        return embed_in_prompts(self.clap, texts, PROMPTS)

    def features(self, query: Tensor, passages: Tensor) -> Tensor:
        """[N, 2] of a query [D] and passages [N, D]: score and cosine."""
        cosine = passages @ query
        rivals = self.rivals[self.rivals @ query < SYNONYM]
        shares = torch.logsumexp(passages @ rivals.T / SHARPNESS, dim=1)
        return torch.stack((cosine / SHARPNESS - shares, cosine), dim=1)

    def __call__(self, queries: Tensor, passages: Tensor, kind: str = "text") -> Scores:
        """Scores of queries [Q, D] and passages [N, D]. kind: of the queries, text or sound."""
        features = [self.features(query, passages) for query in queries]
        scores = torch.stack([rows[:, 0] for rows in features])
        if kind not in self.calibration:
            return Scores(scores, None)
        probability = torch.stack([self.calibration[kind](rows) for rows in features])
        return Scores(scores, probability)
