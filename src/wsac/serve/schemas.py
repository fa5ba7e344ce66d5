"""Requests and answers of the API, field by field: checked by them, and documented from them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SkipValidation, WithJsonSchema

MOST_INPUTS, MOST_CHARACTERS = 256, 20_000
FormatName = Literal["json", "text", "srt", "vtt", "verbose_json"]
Share = Annotated[float | None, Field(ge=0, le=1)]
Label = Annotated[str, Field(max_length=200)]
File = Annotated[
    SkipValidation[Any],
    WithJsonSchema({"type": "string", "format": "binary", "description": "A sound or a video."}),
]


class Strict(BaseModel):
    """Unknown fields are errors."""

    model_config = ConfigDict(extra="forbid")


class SoundForm(Strict):
    file: File
    model: str = Field("", description="One of /v1/models; any other name means the first.")
    track: int | None = Field(None, ge=1, description="Audio track. Default: the loudest.")
    channel: str | None = Field(None, description="Number or mix. Default: mix.")


class PictureForm(SoundForm):
    pass


class CaptionForm(SoundForm):
    bridge: str = Field("", description="One of those that /v1/about names.", max_length=200)
    alternatives: int = Field(0, ge=0, le=8, description="Other captions of the sound.")
    nearest: int = Field(0, ge=0, le=20, description="Captions of the memory nearest to it.")
    min_confidence: Share = Field(None, description="Below it the caption is a guess.")


class TagForm(SoundForm):
    labels: str = Field(description="Any words, separated by commas.", max_length=20_000)
    top: int = Field(5, ge=1, le=1000)


class SpanForm(SoundForm):
    bridge: str = Field("", description="One of those that /v1/about names.", max_length=200)
    skip: list[Literal["sound", "speech", "music"]] = Field([], alias="skip[]")
    style: str = Field("sdh", description="Of the cues: sdh, dcmp, netflix, bbc or plain.")
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class TranscriptionForm(SoundForm):
    """As Whisper clients send it. What is not listed is taken and has no effect."""

    response_format: FormatName = "json"
    language: str = Field("", description="No effect: captions are in English.")
    prompt: str = Field("", description="No effect.")
    temperature: str = Field("", description="No effect: the likeliest caption is taken.")
    stream: Literal["", "false", "False", "0"] = Field("", description="Answers come whole.")
    model_config = ConfigDict(extra="ignore")


class SearchRequest(Strict):
    query: str = Field(min_length=1, max_length=2000, examples=["dog barking far away"])
    minus: list[Label] = Field([], max_length=20, description="What is not wanted.")
    where: str | None = Field(None, max_length=2000, examples=["duration < 5"])
    top: int = Field(20, ge=1, le=1000)
    spans: bool = Field(False, description="Moments within the files.")


class EmbeddingRequest(BaseModel):
    input: str | Annotated[list[str], Field(min_length=1, max_length=MOST_INPUTS)] = Field(
        examples=["a dog barks"],
        description="Texts, or sounds as base64 or data: addresses. Nothing is fetched.",
    )
    model: str = Field("", description="One of /v1/models; any other name means the first.")
    modality: Literal["text", "audio"] = "text"
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1, description="That of the model, or left out.")
    model_config = ConfigDict(extra="ignore")


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: None = None
    code: None = None


class ErrorAnswer(BaseModel):
    error: ErrorDetail


class TagRow(BaseModel):
    label: str
    score: float = Field(description="Cosine of sound and label.")
    probability: float


class SoundAnswer(BaseModel):
    file: str
    start: float
    end: float | None
    notes: list[str] = Field(description="What is wrong with the sound.")


class AlternativeRow(BaseModel):
    caption: str
    confidence: float | None
    logprob: float


class NearRow(BaseModel):
    caption: str = Field(description="As the decoder reads it back from the memory.")
    score: float = Field(description="Cosine of sound and caption.")


class CaptionAnswer(SoundAnswer):
    caption: str = Field(description="Empty when the model is unsure; see guess.")
    guess: str
    confidence: float | None = Field(description="Probability that the caption is right.")
    logprob: float = Field(description="Mean per token, in nats.")
    alternatives: list[AlternativeRow] = []
    nearest: list[NearRow] = []


class TagAnswer(SoundAnswer):
    tags: list[TagRow]
    none: float | None = Field(description="Probability that no label fits.")


class SpanRow(BaseModel):
    start: float
    end: float
    caption: str
    confidence: float | None
    tags: list[TagRow]
    loudness: float = Field(description="RMS in dBFS.")
    prominence: float = Field(description="dB above what is around it.")
    sustained: bool
    background: bool
    kind: Literal["sound", "speech", "music"]


class CueRow(BaseModel):
    start: float
    end: float
    text: str


class SpanAnswer(SoundAnswer):
    spans: list[SpanRow]
    cues: list[CueRow] = Field(description="Subtitles, as wsac subtitle writes them.")


class SearchHit(BaseModel):
    file: str
    score: float
    start: float
    end: float
    caption: str
    confidence: float | None


class SearchAnswer(BaseModel):
    results: list[SearchHit]


class EmbeddingRow(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str = Field(description="Numbers, or base64 of float32.")


class Usage(BaseModel):
    prompt_tokens: int = 0
    total_tokens: int = 0


class EmbeddingAnswer(BaseModel):
    object: Literal["list"] = "list"
    data: list[EmbeddingRow]
    model: str
    usage: Usage = Usage()


class Segment(BaseModel):
    """A cue in Whisper's shape. avg_logprob: the logarithm of its confidence."""

    id: int
    seek: int = 0
    start: float
    end: float
    text: str
    tokens: list[int] = []
    temperature: float = 0.0
    avg_logprob: float
    compression_ratio: float = 1.0
    no_speech_prob: float = 0.0


class Transcription(BaseModel):
    text: str


class VerboseTranscription(Transcription):
    task: Literal["transcribe"] = "transcribe"
    language: Literal["english"] = "english"
    duration: float
    segments: list[Segment]


class ModelRow(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: Literal["wsac"] = "wsac"


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelRow]


class AboutModel(BaseModel):
    id: str
    bridges: list[str] = Field(description="Of captions; the first is the usual one.")
    memory: int = Field(description="Captions in its memory.")
    calibrated: bool = Field(description="Whether it tells its confidence.")


class About(BaseModel):
    """What this server offers. examples: names under /examples/."""

    models: list[AboutModel]
    styles: list[str] = Field(description="Of cues.")
    examples: list[str]
    search: bool
    teach: bool
    max_bytes: int
    max_seconds: float


class State(BaseModel):
    status: Literal["ok", "stopping"]
