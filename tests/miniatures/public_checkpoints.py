"""Tiny checkpoints with random weights in public layouts, with a tokenizer for each."""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from wsac.clap.public.catalog import FAMILIES
from wsac.clap.public.public_clap import PublicClap
from wsac.clap.public.state_dicts import HTSAT_NAMES, LAYOUTS

WORDS = [
    "a dog barks",
    "rain falls on a roof",
    "someone speaks!",
    "a bell rings, then a dog barks",
    "wind blows",
]
HTSAT = {
    "patch_embeds_hidden_size": 8,
    "hidden_size": 64,
    "depths": [1, 1, 1, 1],
    "num_attention_heads": [1, 1, 1, 1],
    "num_hidden_layers": 4,
}
BERT = {
    "vocab_size": 320,
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 64,
    "max_position_embeddings": 120,
    "type_vocab_size": 1,
}
GPT2 = {
    "vocab_size": 320,
    "n_positions": 100,
    "n_embd": 64,
    "n_layer": 1,
    "n_head": 1,
    "n_inner": 64,
}
FILES = ("wavcaps-cnn14", "wavcaps-htsat", "msclap-2022", "msclap-2023", "laion", "laion-fused")


def tokenizer(kind: str) -> Tokenizer:
    """A byte-level BPE of 320 entries with the special tokens of BERT, RoBERTa or GPT-2."""
    special = {
        "bert": ["[PAD]", "[CLS]", "[SEP]"],
        "roberta": ["<s>", "<pad>", "</s>"],
        "gpt2": ["!", "<|endoftext|>"],
    }
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special[kind], initial_alphabet=alphabet
    )
    bpe.train_from_iterator(WORDS, trainer)
    if kind != "gpt2":
        first, last = (
            (special[kind][1], special[kind][2])
            if kind == "bert"
            else (special[kind][0], special[kind][2])
        )
        pair = [(name, bpe.token_to_id(name)) for name in (first, last)]
        bpe.post_processor = processors.TemplateProcessing(
            single=f"{first} $A {last}", special_tokens=pair
        )
    return bpe


def model(family: str, positions: int = 120) -> PublicClap:
    row = FAMILIES[family]
    audio = {
        "channels": [4, 4, 8, 8, 8, 16],
        "pools_last": family == "wavcaps-cnn14",
        "fc": family == "msclap-2022",
    }
    if family not in ("wavcaps-cnn14", "msclap-2022"):
        audio = HTSAT | ({"enable_fusion": True, "fusion_type": "aff_2d"} if row.fused else {})
    text = GPT2 if row.text == "gpt2" else BERT | {"max_position_embeddings": positions}
    epsilon = {"layer_norm_epsilon" if row.text == "gpt2" else "layer_norm_eps": row.text_epsilon}
    torch.manual_seed(0)
    return PublicClap(row, audio, text | epsilon, 32).eval()


def write_file(family: str, folder: Path) -> Path:
    """Write a checkpoint as its authors' code does, with tokenizer.json beside it."""
    layout = family.partition("-")[0]
    audio, text, audio_projection, text_projection = LAYOUTS[layout].split()
    htsat = audio + ("htsat." if family == "msclap-2023" else "")
    state: dict[str, torch.Tensor] = {}
    for name, value in _joined(model(family).state_dict()).items():
        if name.startswith("audio_projection."):
            state[audio_projection + _numbered(name.removeprefix("audio_projection."), layout)] = (
                value
            )
        elif name.startswith("text_projection."):
            state[text_projection + _numbered(name.removeprefix("text_projection."), layout)] = (
                value
            )
        elif name.startswith("text.model."):
            state[text + name.removeprefix("text.model.")] = value
        elif name.startswith("audio.model.audio_encoder."):
            state[htsat + _old(name.removeprefix("audio.model.audio_encoder."))] = value
        elif name.startswith("audio."):
            state[htsat + name.removeprefix("audio.")] = value
    state[
        "temp" if layout == "wavcaps" else "logit_scale_a" if layout == "laion" else "logit_scale"
    ] = torch.tensor(0.05 if layout == "wavcaps" else 3.0)
    if layout == "laion":
        container = {
            "epoch": 1,
            "state_dict": {f"module.{name}": value for name, value in state.items()},
        }
    else:
        container = {"model": state, "epoch": 1}
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer(FAMILIES[family].text).save(str(folder / "tokenizer.json"))
    torch.save(container, folder / f"{family}.pt")
    return folder / f"{family}.pt"


def write_folder(folder: Path, *, fused: bool = False, positions: int = 120) -> Path:
    """Write it in the layout of transformers' ClapModel. positions: those of the text tower."""
    clap = model("transformers-fused" if fused else "transformers", positions)
    state = {}
    for name, value in clap.state_dict().items():
        name = name.replace("audio.model.", "audio_model.").replace("text.model.", "text_model.")
        if name not in ("scale", "log_mel.filters"):
            state[name] = value.contiguous()
    state["logit_scale_a"] = state["logit_scale_t"] = torch.tensor(3.0)
    state["logit_scale_t"] = state["logit_scale_t"].clone()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / "model.safetensors")
    card = {
        "model_type": "clap",
        "projection_dim": 32,
        "text_config": BERT | {"max_position_embeddings": positions},
        "audio_config": HTSAT | ({"enable_fusion": True, "fusion_type": "aff_2d"} if fused else {}),
    }
    (folder / "config.json").write_text(json.dumps(card))
    tokenizer("roberta").save(str(folder / "tokenizer.json"))
    return folder


def _numbered(name: str, layout: str) -> str:
    return name if layout == "msclap" else name.replace("linear1.", "0.").replace("linear2.", "2.")


def _old(name: str) -> str:
    for old, new in HTSAT_NAMES:
        name = name.replace(new, old)
    return re.sub(r"^batch_norm\.", "bn0.", name)


def _joined(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Query, key and value of HTSAT in one, as its first code has them."""
    out: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        match = re.fullmatch(
            r"(audio\.model\..*)\.attention\.self\.(query|key|value)\.(weight|bias)", name
        )
        if not match:
            out[name] = value
        elif match[2] == "query":
            parts = [
                state[f"{match[1]}.attention.self.{part}.{match[3]}"]
                for part in ("query", "key", "value")
            ]
            out[f"{match[1]}.attn.qkv.{match[3]}"] = torch.cat(parts)
    return out
