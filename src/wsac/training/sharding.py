"""A frozen language model that is split over the processes of a training (FSDP)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from wsac.decoder import CaptionDecoder
from wsac.io.console import say
from wsac.types import RecipeError

from .distributed import Processes
from .recipe import Recipe


def check_shard(recipe: Recipe, processes: Processes) -> None:
    """Raises RecipeError where ``split_frozen`` has nothing to split, or no one to share with."""
    if processes.count < 2:
        command = "torchrun --nproc-per-node 2 -m wsac train"
        raise RecipeError(f"--shard: there is only one process; start it with {command}")
    if recipe.decoder.kind not in ("causal-lm", "llm") or not recipe.decoder.frozen:
        what = f"splits a frozen language model, but this {recipe.decoder.kind} is trained whole"
        raise RecipeError(f"--shard: {what}; leave it out")
    if recipe.training.average:
        raise RecipeError("--shard: does not go with training.average; set that to 0")


def split_frozen(decoder: CaptionDecoder, processes: Processes, device: str) -> None:
    """Leave each process its part of the frozen weights of all layers, and move the rest.

    A layer gathers its weights when it works, and gives them up again; so all processes have to
    call the model equally often. What is trained stays whole in each of them: gradients, optimiser
    and checkpoints are as without. Raises RecipeError where torch is too old, or lacks layers.
    Source: FSDP, Zhao et al. 2023 (arXiv 2304.11277).
    """
    try:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard
    except ImportError as error:
        raise RecipeError("--shard: needs torch 2.9 or newer; upgrade it") from error
    lm = decoder.get_submodule("lm")
    layers = list(_frozen_layers(lm))
    if not layers:
        raise RecipeError("--shard: the language model has no list of layers; leave it out")
    mesh = init_device_mesh(torch.device(device).type, (processes.count,))
    everything, trained = set(decoder.parameters()), {*filter(_is_trained, decoder.parameters())}
    frozen = {value for layer in layers for value in layer.parameters()} - trained
    split, whole = (sum(map(torch.numel, values)) for values in (frozen, everything))
    for layer in layers:
        fully_shard(layer, mesh=mesh, reshard_after_forward=True, ignored_params=trained)
    rest = everything - frozen
    fully_shard(lm, mesh=mesh, ignored_params=rest)  # so that the next layer is gathered in time
    decoder.to(device)
    share = f"{split / whole:.0%} of {whole / 1e6:.1f} M parameters"
    say(f"{share} are split over {processes.count} processes")


def _frozen_layers(lm: nn.Module) -> Iterator[nn.Module]:
    """The members of the outermost lists of layers that have frozen weights."""
    inside: tuple[str, ...] = ()
    for name, part in lm.named_modules():
        if isinstance(part, nn.ModuleList) and not name.startswith(inside):
            inside = (*inside, f"{name}.")
            yield from (x for x in part if not all(map(_is_trained, x.parameters())))


def _is_trained(parameter: nn.Parameter) -> bool:
    return parameter.requires_grad
