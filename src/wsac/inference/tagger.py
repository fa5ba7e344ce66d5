"""Zero-shot tagging: which of these labels does a sound fit? The labels are any words; nothing is trained for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from wsac.clap import ClapEncoder
from wsac.clap.sounds import Audio, AudioEmbedding, embed_stream, map_embeddings, raise_errors
from wsac.data.audio.stream import AudioStream
from wsac.types import AudioError, RecipeError

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
SILENT_WINDOW = "silent: no sound above -60 dBFS in this window"
TEMPERATURE = (
    0.07  # of a CLAP that does not name its own: where CLIP's and most CLAPs' training begins
)


@dataclass(frozen=True, slots=True)
class Tag:
    """A label on a sound. score: cosine of sound and label; probability: among the labels given, which sum to 1."""

    label: str
    score: float
    probability: float


@dataclass(frozen=True, slots=True)
class TaggedSound:
    """A sound, or a window of it, with its tags, best first. start, end: seconds. A silent one has a note, no tags."""

    file: str
    start: float
    end: float
    tags: tuple[Tag, ...]
    notes: tuple[str, ...] = ()


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
        return [list(sound.tags) for sound in raise_errors(self.tag_many(audio))]

    def tag_windows(
        self,
        audio: Audio | AudioStream,
        *,
        window_seconds: float = 10.0,
        hop_seconds: float | None = None,
    ) -> Iterator[TaggedSound]:
        """Successive windows with their tags, while the file is read; as ``Captioner.caption_windows``."""
        return raise_errors(self.tag_many([audio], window_seconds, hop_seconds))

    def tag_many(
        self,
        sounds: Iterable[Audio | AudioStream],
        window_seconds: float | None = None,
        hop_seconds: float | None = None,
    ) -> Iterator[TaggedSound | AudioError]:
        """Tags of many sounds, streaming and in order; an AudioError in the place of each that fails.

        window_seconds: tag successive windows instead of whole sounds. hop_seconds: from one window to the next;
        default: the window's length.
        """

        def describe(batch: list[AudioEmbedding]) -> Iterator[TaggedSound]:
            for sound, tags in zip(batch, self.tag_embeddings(batch), strict=True):
                notes = sound.notes
                if window_seconds and sound.silent and not any("silent: " in x for x in notes):
                    notes += (SILENT_WINDOW,)
                yield TaggedSound(sound.file, sound.start, sound.end, tuple(tags), notes)

        embeddings = embed_stream(self.clap, sounds, window_seconds, hop_seconds)
        return map_embeddings(describe, embeddings)

    def tag_embeddings(self, sounds: Sequence[AudioEmbedding]) -> list[list[Tag]]:
        """The tags of sounds that are embedded already; equal scores are in the order of the alphabet."""
        if not sounds:
            return []
        embeddings = torch.stack([sound.embedding for sound in sounds]).double()
        scores = embeddings @ self.label_embeddings.double().T  # [B, N]
        shares = (scores / self.temperature).softmax(dim=-1)
        tags: list[list[Tag]] = []
        for sound, values, parts in zip(sounds, scores.tolist(), shares.tolist(), strict=True):
            row = [] if sound.silent else map(Tag, self.labels, values, parts)
            tags.append(sorted(row, key=lambda tag: (-tag.score, tag.label)))
        return tags


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
