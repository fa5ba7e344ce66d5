"""Zero-shot tagging: score sounds against any labels. Nothing is trained for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from wsac.arrays import F, Tensor, torch
from wsac.clap import ClapEncoder
from wsac.clap.sounds import Audio, AudioEmbedding, map_sounds, raise_errors
from wsac.clap.tag_calibration import confidence_in
from wsac.data.audio.audio_options import AS_IS, AudioOptions
from wsac.data.audio.stream import AudioStream
from wsac.data.captions.labels import check_labels
from wsac.types import AudioError, RecipeError

from .sound_results import Tag, TaggedSound

# written down before anything was scored with them, and never tuned on test data
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


def embed_in_prompts(
    clap: ClapEncoder, texts: Sequence[str], prompts: Sequence[str] = PROMPTS
) -> Tensor:
    """Unit-norm [N, D]: of each text, the mean over all prompts, in which it stands for {}."""
    phrases = [prompt.replace("{}", text) for text in texts for prompt in prompts]
    embeddings = clap.embed_text(phrases).view(len(texts), len(prompts), -1)
    return F.normalize(embeddings.mean(dim=1), dim=-1)


class Tagger:
    """Scores sounds against labels.

    >>> tagger = Tagger(load_clap(), ["dog bark", "rain", "siren"])
    >>> tagger.tag("dog.wav")[0]              # Tag(label="dog bark", score=..., probability=...)

    A label is embedded in every prompt, with spaces for underscores; the normalised mean stands for
    it. Probabilities are those of the CLAP's ``TagCalibration``; a CLAP without one gives the
    softmax of score / temperature, with the temperature of its training. Audio is a path, a file
    object or samples, as ``wsac.data.audio.stream`` lists.
    """

    def __init__(
        self,
        clap: ClapEncoder,
        labels: Sequence[str],
        prompts: Sequence[str] = PROMPTS,
        *,
        embeddings: Tensor | None = None,
    ) -> None:
        """embeddings: of the labels, if they are known. Raises RecipeError for fewer than two
        labels, empty or repeated ones, and for prompts without {}."""
        self.clap = clap
        self.labels, texts = check_labels(labels)
        if not prompts or isinstance(prompts, str) or not all("{}" in prompt for prompt in prompts):
            raise RecipeError(f"prompts {prompts!r}: give a list with {{}} in each, for the label")
        self.temperature = clap.temperature
        self.calibration = getattr(clap, "tagging", None)
        if embeddings is None:
            embeddings = embed_in_prompts(clap, texts, prompts)
        self.label_embeddings = embeddings

    def tag(
        self,
        audio: Audio,
        *,
        sample_rate: int | None = None,
        audio_options: AudioOptions = AS_IS,
    ) -> list[Tag]:
        """Every label, best first; none for a silent sound. It is streamed, whatever its length.

        sample_rate: of samples in an array; default: the CLAP's. audio_options: track and channel.
        Raises AudioError.
        """
        return self.tag_batch([audio], sample_rate=sample_rate, audio_options=audio_options)[0]

    def tag_batch(
        self,
        audio: Sequence[Audio],
        *,
        sample_rate: int | None = None,
        audio_options: AudioOptions = AS_IS,
    ) -> list[list[Tag]]:
        """The tags of every sound, in order. Raises AudioError for the first that fails."""
        many = self.tag_many(audio, sample_rate=sample_rate, audio_options=audio_options)
        return [list(sound.tags) for sound in raise_errors(many)]

    def tag_windows(
        self,
        audio: Audio | AudioStream,
        *,
        window_seconds: float = 10.0,
        hop_seconds: float | None = None,
        sample_rate: int | None = None,
        audio_options: AudioOptions = AS_IS,
    ) -> Iterator[TaggedSound]:
        """Successive windows with their tags, as ``Captioner.caption_windows`` cuts them."""
        options = audio_options.at(sample_rate)
        many = self.tag_many([audio], window_seconds, hop_seconds, audio_options=options)
        return raise_errors(many)

    def tag_many(
        self,
        sounds: Iterable[Audio | AudioStream],
        window_seconds: float | None = None,
        hop_seconds: float | None = None,
        *,
        sample_rate: int | None = None,
        audio_options: AudioOptions = AS_IS,
    ) -> Iterator[TaggedSound | AudioError]:
        """Tags of many sounds, streaming and in order. An AudioError stands in the place of each
        sound that fails.

        window_seconds: tag successive windows instead of whole sounds. hop_seconds: from one window
        to the next; default: the window's length. sample_rate, audio_options: as for ``tag``.
        """
        options = audio_options.at(sample_rate)

        def tag(batch: list[AudioEmbedding]) -> Iterator[TaggedSound]:
            for sound, tags in zip(batch, self.tag_embeddings(batch), strict=True):
                notes = sound.notes
                if window_seconds and sound.silent and not any("silent: " in x for x in notes):
                    notes += (SILENT_WINDOW,)
                none = self.none_of(tags)
                yield TaggedSound(sound.file, sound.start, sound.end, tuple(tags), notes, none)

        return map_sounds(tag, self.clap, sounds, window_seconds, hop_seconds, options)

    def none_of(self, tags: Sequence[Tag]) -> float | None:
        """The probability that none of all labels fits; None without a calibration."""
        if not tags or self.calibration is None:
            return None
        return max(0.0, 1 - sum(tag.probability for tag in tags))

    def tag_embeddings(self, sounds: Sequence[AudioEmbedding]) -> list[list[Tag]]:
        """The tags of embedded sounds. Equal scores are in alphabetical order."""
        if not sounds:
            return []
        embeddings = torch.stack([sound.embedding for sound in sounds]).double()
        scores = embeddings @ self.label_embeddings.double().T  # [B, N]
        shares = confidence_in(scores, self.calibration, self.temperature)[:, :-1]
        tags = []
        for sound, *values in zip(sounds, scores.tolist(), shares.tolist(), strict=True):
            row = [] if sound.silent else map(Tag, self.labels, *values)
            tags.append(sorted(row, key=lambda tag: (-tag.score, tag.label)))
        return tags
