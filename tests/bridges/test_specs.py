"""How bridges are written, and what is said when a spec or what it needs is wrong."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from miniatures.unit_embeddings import unit
from wsac.bridges import BridgeContext, inference_bridge, parse, register, training_bridge
from wsac.bridges.gap import fit_gap
from wsac.bridges.memory import SupportMemory
from wsac.bridges.retrieval import Identity, Projection, TopMean
from wsac.types import RecipeError


def test_specs(context):
    assert isinstance(inference_bridge("", context), Identity)
    [(kind, options)] = parse("santa:k=8,weight=0.5", "inference")
    assert (kind.name, options) == ("santa", {"k": 8, "weight": 0.5})
    bridge = inference_bridge(" topk:k=3 + pd : temperature = 0.5 ", context)
    x = unit(4, 2)
    assert_close(bridge(x), Projection(context.memory, 0.5)(TopMean(context.memory, 3)(x)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("pdd", "'pdd': unknown here; did you mean 'pd'? choose from"),
        (
            "pd,nnd",
            "'pd,nnd': unknown here; chain bridges with +; for wsac tune, repeat --bridge",
        ),
        ("santa:sharp=3", "no option 'sharp=3'; did you mean 'sharpness'? it has k=32"),
        ("noise", "'noise': is for training; for inference choose from ad,"),
        ("pd:heat=3", "no option 'heat=3'; it has temperature=0.01"),
        ("pd:0.3", "no option '0.3'"),
        ("ad:k=3", "it has none"),
        ("topk:k=many", "k=many is not a number"),
        ("topk:k=0", "k 0: give 1 or more"),
        ("pd:temperature=nan", "temperature nan"),
        ("santa:weight=2", "give a number from 0 to 1"),
        ("coral:shrinkage=0", "shrinkage 0.0"),
    ],
)
def test_wrong_specs_say_what_is_wrong(spec, message, context):
    with pytest.raises(RecipeError) as error:
        inference_bridge(spec, context)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("noise:variance=inf", "variance inf"),
        ("noise:variance=-1", "variance -1.0"),
        ("replace:share=2", "from 0 to 1"),
        ("replace:k=0", "k 0: give 1 or more"),
        ("mix:k=0", "k 0: give 1 or more"),
        ("project:temperature=0", "above 0"),
        ("pd", "'pd': is for inference; for training choose from"),
    ],
)
def test_wrong_training_specs(spec, message, context):
    with pytest.raises(RecipeError) as error:
        training_bridge(spec, context)
    assert message in str(error.value)


def test_what_is_missing_is_named(context):
    with pytest.raises(RecipeError, match="--bridge ad"):
        inference_bridge("pd", BridgeContext())
    with pytest.raises(RecipeError, match="wsac gap --save"):
        inference_bridge("shift", BridgeContext(context.memory))
    unpaired = BridgeContext(gap=fit_gap(unit(30, 1), unit(40, 2)))
    for make in (
        lambda: inference_bridge("pls", unpaired),
        lambda: training_bridge("pls+noise", unpaired),
    ):
        with pytest.raises(RecipeError, match="--pairs"):
            make()
    with pytest.raises(ValueError, match="8 dimensions, the memory 16"):
        Projection(context.memory)(torch.ones(2, 8))
    with pytest.raises(ValueError, match="N > 0"):
        SupportMemory(torch.zeros(0, 16))


def test_an_option_needs_a_default():
    with pytest.raises(TypeError, match="option share has no default"):

        @register("without", "inference")
        class Without:
            share: float

            def __call__(self, embedding, rng=None):
                return embedding
