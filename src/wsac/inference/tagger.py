"""Zero-shot tagging: which of these labels does a sound fit? The labels are any words; nothing is trained for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from wsac.clap import ClapEncoder
from wsac.clap.sounds import (
    WINDOWS_AT_ONCE,
    Audio,
    AudioEmbedding,
    batches,
    embed_sound,
    embed_windows_of,
)
from wsac.data.audio.stream import AudioStream
from wsac.types import RecipeError

# Written down before anything was scored with them, and never tuned on test data: plain ways to say that a thing is
# heard, so that a label is not judged by one wording of it.
PROMPTS = (
    "{}",
    "the sound of {}",
    "this is a sound of {}",
    "a recording of {}",
    "{} can be heard",
    "there is {}",
    "{} is heard nearby",
)


@dataclass(frozen=True, slots=True)
class Tag:
    """A label on a sound. score: cosine of sound and label; probability: among the labels given, which sum to 1."""

    label: str
    score: float
    probability: float


class Tagger:
    """Scores sounds against labels.

    >>> tagger = Tagger(load_clap(), ["dog bark", "rain", "siren"])
    >>> tagger.tag("dog.wav")[0]                           # Tag(label="dog bark", score=..., probability=...)

    A label is embedded through every prompt, underscores read as spaces; the mean, normalised again, stands for it.
    Probabilities are the softmax of score / temperature, with the temperature that the CLAP was trained with.
    Audio is a path, or mono float samples [T] at the rate of the CLAP. What is silent has no tags: an empty list.
    """

    def __init__(
        self, clap: ClapEncoder, labels: Sequence[str], prompts: Sequence[str] = PROMPTS
    ) -> None:
        """Raises RecipeError for fewer than two labels, empty or repeated ones, and prompts without {}."""
        self.clap, self.labels, texts = clap, *_checked(labels)
        if not prompts or isinstance(prompts, str) or not all("{}" in prompt for prompt in prompts):
            raise RecipeError(
                f"prompts {prompts!r}: give a list with {{}} in each, the place of the label"
            )
        self.temperature = clap.temperature
        embedded = clap.embed_text(
            [prompt.replace("{}", text) for text in texts for prompt in prompts]
        )
        means = embedded.view(len(texts), len(prompts), -1).mean(dim=1)
        self.label_embeddings = F.normalize(means, dim=-1)  # [N, D] unit norm

    def tag(self, audio: Audio) -> list[Tag]:
        """Every label, best first. A file is streamed, whatever its length. Raises AudioError."""
        return self.tag_batch([audio])[0]

    def tag_batch(self, audio: Sequence[Audio]) -> list[list[Tag]]:
        """The tags of every sound, in order. Raises AudioError for the first file that cannot be decoded."""
        return self.tag_heard([embed_sound(self.clap, one) for one in audio])

    def tag_windows(
        self,
        audio: Audio | AudioStream,
        *,
        window_seconds: float = 10.0,
        hop_seconds: float | None = None,
    ) -> Iterator[tuple[AudioEmbedding, list[Tag]]]:
        """Successive windows, whose ``start`` and ``end`` are in seconds, with their tags; as ``embed_windows_of``."""
        for heard in batches(
            embed_windows_of(self.clap, audio, window_seconds, hop_seconds), WINDOWS_AT_ONCE
        ):
            yield from zip(heard, self.tag_heard(heard), strict=True)

    def tag_heard(self, heard: Sequence[AudioEmbedding]) -> list[list[Tag]]:
        """The tags of sounds that are embedded already; equal scores are in the order of the alphabet."""
        if not heard:
            return []
        scores = (
            torch.stack([one.embedding for one in heard]).double()
            @ self.label_embeddings.double().T
        )  # [B, N]
        rows = zip(
            heard,
            scores.tolist(),
            (scores / self.temperature).softmax(dim=-1).tolist(),
            strict=True,
        )
        found = (
            [] if one.silent else map(Tag, self.labels, score, share) for one, score, share in rows
        )
        return [sorted(tags, key=lambda tag: (-tag.score, tag.label)) for tags in found]


def _checked(labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """The labels as written, and as they are read in a prompt."""
    if isinstance(labels, str):
        raise RecipeError(f'labels {labels!r}: give a list, such as ["dog bark", "rain"]')
    shown = [label.strip() for label in labels]
    texts = [" ".join(label.replace("_", " ").split()) for label in shown]
    if not texts:
        raise RecipeError("no labels; give two or more, such as: dog bark, rain")
    seen: dict[str, str] = {}
    for place, (label, text) in enumerate(zip(shown, texts, strict=True), 1):
        if not text:
            raise RecipeError(f"label {place} of {len(texts)} is empty; is there a comma too many?")
        if text.casefold() in seen:
            raise RecipeError(
                f"labels {seen[text.casefold()]!r} and {label!r} read the same; keep one of them"
            )
        seen[text.casefold()] = label
    if len(texts) == 1:
        raise RecipeError(
            f"one label only, {shown[0]!r}: its probability would always be 1; give two or more"
        )
    return shown, texts
