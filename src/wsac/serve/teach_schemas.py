"""Requests and answers of ``/v1/teach``, field by field."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from .schemas import Strict

MOST_LINES = 20_000  # of captions
MOST_CHARACTERS = 4_000_000  # of all captions as one text
MOST_EPOCHS = 50
NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$"
Line = Annotated[str, Field(max_length=2000)]
Lines = Annotated[list[Line], Field(min_length=1, max_length=MOST_LINES)]
Text = Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)]
EXAMPLE = ["a dog barks", "rain on a roof", "a door slams", "a siren wails", "birds sing"]


class TeachRequest(Strict):
    captions: Text | Lines = Field(
        examples=[EXAMPLE], description="A file of captions as text, or a list of them."
    )
    format: Literal["txt", "csv", "json", "jsonl"] = Field(
        "txt", description="Of captions as text. txt: one a line."
    )
    name: str = Field("taught", pattern=NAME, description="Of the new model.")
    epochs: int = Field(0, ge=0, le=MOST_EPOCHS, description="0: as many as suit their number.")
    start: Literal["", "pocket", "none"] = Field(
        "", description="What it continues from; as wsac train --start."
    )
    seed: int = Field(0, ge=0, lt=1 << 31)


class LossRow(BaseModel):
    step: int = Field(description="Updates of the weights.")
    loss: float = Field(description="Nats per token.")


class TeachState(BaseModel):
    """model: of this training, or of the last one."""

    state: Literal["idle", "training", "done", "failed", "cancelled"]
    model: str = ""
    step: str = Field("", description="What is being done, such as train.")
    done: int = Field(0, description="Parts of the step that are done.")
    total: int = 0
    seconds: float = 0.0
    losses: list[LossRow] = Field([], description="Of training.")
    held_out: list[LossRow] = Field([], description="On held-out captions.")
    log: list[str] = Field([], description="The last lines of wsac train.")
    error: str = Field("", description="Why it failed.")
    grade: str = Field("", description="little, useless, behind or good.")
    verdict: list[str] = Field([], description="What the new captioner is worth, in words.")
