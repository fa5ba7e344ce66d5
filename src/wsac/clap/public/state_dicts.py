"""The tensors of public checkpoints: which family a state dict belongs to, its sizes, and its names
in PublicClap.

The names come from the public training codes. HTSAT is transformers' ClapAudioModel under older
names.
"""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor

from wsac.types import ModelError

from .catalog import FAMILIES, Family

# Layouts by the prefixes of the audio tower, the text tower, and the projections of both.
LAYOUTS = {
    "wavcaps": "audio_encoder.audio_enc. text_encoder.text_encoder. audio_proj. text_proj.",
    "msclap": "audio_encoder.base. caption_encoder.base. "
    "audio_encoder.projection. caption_encoder.projection.",
    "laion": "audio_branch. text_branch. audio_projection. text_projection.",
    "transformers": "audio_model. text_model. audio_projection. text_projection.",
}
# Tensors that no embedding depends on, or that older libraries left in the files.
DROPPED = re.compile(
    r"(.*\.)?(position_ids|token_type_ids|num_batches_tracked)$|.*\.(attn_mask|masked_bias)$"
    r"|.*\.attn\.bias$|.*\.(spectrogram_extractor|mel_trans)\..*"
    r"|.*\.(tscam_conv|head|fc_audioset)\..*|(audio|text)_transform\..*"
    r"|(caption_encoder\.base|text_encoder\.text_encoder)\.pooler\..*|clap_project\..*|gpt\..*"
)
FILTERS = re.compile(r".*\.(logmel_extractor|log_trans)\.melW$")
SCALES = ("temp", "logit_scale", "logit_scale_a", "logit_scale_t")
HTSAT_NAMES = (
    (".norm1.", ".layernorm_before."),
    (".norm2.", ".layernorm_after."),
    (".mlp.fc1.", ".intermediate.dense."),
    (".mlp.fc2.", ".output.dense."),
    (".attn.proj.", ".attention.output.dense."),
    (".attn.relative_position", ".attention.self.relative_position"),
)
ENCODER = "audio.model.audio_encoder."


def canonical(
    state: dict[str, Tensor], source: str
) -> tuple[Family, dict[str, Tensor], dict[str, Tensor]]:
    """The family of a state dict, its tensors by their names in PublicClap, and the scales by their
    own names.

    source: named in errors. Raises ModelError for an unknown layout or an unknown tensor.
    """
    state = {re.sub(r"^((module|model|clap)\.)+", "", name): value for name, value in state.items()}
    layout = _layout(state, source)
    audio, text, audio_projection, text_projection = LAYOUTS[layout].split()
    family = _family(layout, state, audio)
    if any(name.startswith(f"{audio}htsat.") for name in state):
        audio = f"{audio}htsat."
    tensors: dict[str, Tensor] = {}
    scales: dict[str, Tensor] = {}
    for name, value in state.items():
        if name in SCALES:
            scales[name] = value
        elif FILTERS.match(name):
            if not family.fused:  # LAION's fused models carry filters that they do not use
                tensors["log_mel.filters"] = value
        elif DROPPED.match(name):
            continue
        elif name.startswith(audio_projection):
            tensors["audio_projection." + _linear(name.removeprefix(audio_projection))] = value
        elif name.startswith(text_projection):
            tensors["text_projection." + _linear(name.removeprefix(text_projection))] = value
        elif name.startswith(audio):
            tensors |= _audio(name.removeprefix(audio), value, layout, family)
        elif name.startswith(text):
            tensors["text.model." + name.removeprefix(text)] = value
        else:
            where = f"a checkpoint of the family {family.name}"
            raise ModelError(f"{source}: unknown tensor '{name}' in {where}")
    return family, tensors, scales


def _layout(state: dict[str, Tensor], source: str) -> str:
    for layout, prefixes in LAYOUTS.items():
        if all(any(name.startswith(p) for name in state) for p in prefixes.split()[:2]):
            return layout
    examples = ", ".join(list(state)[:3]) or "none"
    what = f"not a CLAP that is known here (tensors: {examples}, …)"
    raise ModelError(f"{source}: {what}; see wsac clap list")


def _family(layout: str, state: dict[str, Tensor], audio: str) -> Family:
    cnn = f"{audio}conv_block1.conv1.weight" in state
    if layout == "wavcaps":
        return FAMILIES["wavcaps-cnn14" if cnn else "wavcaps-htsat"]
    if layout == "msclap":
        return FAMILIES["msclap-2022" if cnn else "msclap-2023"]
    fused = any(".mel_conv2d." in name for name in state)
    return FAMILIES[f"{layout}-fused" if fused else layout]


def _linear(name: str) -> str:
    """The layers 0 and 2 of a Sequential are the two linear ones."""
    return re.sub(r"^2\.", "linear2.", re.sub(r"^0\.", "linear1.", name))


def _audio(name: str, value: Tensor, layout: str, family: Family) -> dict[str, Tensor]:
    if layout == "transformers":
        return {f"audio.model.{name}": value}
    if family.name in ("wavcaps-cnn14", "msclap-2022"):
        return {f"audio.{name}": value}
    if ".attn.qkv." in name:
        block, kind = name.split(".attn.qkv.")
        query, key, values = (
            f"{ENCODER}{block}.attention.self.{part}.{kind}" for part in ("query", "key", "value")
        )
        return dict(zip((query, key, values), value.chunk(3), strict=True))
    name = re.sub(r"^bn0\.", "batch_norm.", name)
    for old, new in HTSAT_NAMES:
        name = name.replace(old, new)
    return {ENCODER + name: value}


def audio_config(state: dict[str, Tensor], family: Family) -> dict[str, Any]:
    """Arguments of Cnn14 or of ClapAudioConfig, from the shapes of canonical tensors."""
    if "audio.conv_block1.conv1.weight" in state:
        blocks = range(1, _count(state, "audio.conv_block"))
        channels = [len(state[f"audio.conv_block{i}.conv1.weight"]) for i in blocks]
        microsoft = family.name == "msclap-2022"
        return {"channels": channels, "pools_last": not microsoft, "fc": microsoft}
    stages = range(_count(state, f"{ENCODER}layers."))
    bias = "attention.self.relative_position_bias_table"
    tables = [state[f"{ENCODER}layers.{i}.blocks.0.{bias}"] for i in stages]
    config: dict[str, Any] = {
        "patch_embeds_hidden_size": len(state[f"{ENCODER}patch_embed.proj.weight"]),
        "hidden_size": len(state[f"{ENCODER}norm.weight"]),
        "depths": [_count(state, f"{ENCODER}layers.{i}.blocks.") for i in stages],
        "num_attention_heads": [table.shape[1] for table in tables],
        "num_hidden_layers": len(stages),
        "window_size": (round(len(tables[0]) ** 0.5) + 1) // 2,
    }
    if family.fused:
        inner, outer = state[f"{ENCODER}patch_embed.fusion_model.local_att.0.weight"].shape[:2]
        config |= {"enable_fusion": True, "fusion_type": "aff_2d", "aff_block_r": outer // inner}
    return config


def text_config(state: dict[str, Tensor], family: Family) -> dict[str, Any]:
    """Arguments of BertConfig, ClapTextConfig or GPT2Config. Attention heads are 64 wide."""
    model = "text.model."
    if family.text == "gpt2":
        tokens = state[f"{model}wte.weight"]
        return {
            "vocab_size": len(tokens),
            "n_positions": len(state[f"{model}wpe.weight"]),
            "n_embd": tokens.shape[1],
            "n_layer": _count(state, f"{model}h."),
            "n_head": max(1, tokens.shape[1] // 64),
            "n_inner": state[f"{model}h.0.mlp.c_fc.weight"].shape[1],
            "layer_norm_epsilon": family.text_epsilon,
        }
    embeddings = f"{model}embeddings."
    tokens = state[f"{embeddings}word_embeddings.weight"]
    return {
        "vocab_size": len(tokens),
        "hidden_size": tokens.shape[1],
        "num_hidden_layers": _count(state, f"{model}encoder.layer."),
        "num_attention_heads": max(1, tokens.shape[1] // 64),
        "intermediate_size": len(state[f"{model}encoder.layer.0.intermediate.dense.weight"]),
        "max_position_embeddings": len(state[f"{embeddings}position_embeddings.weight"]),
        "type_vocab_size": len(state[f"{embeddings}token_type_embeddings.weight"]),
        "layer_norm_eps": family.text_epsilon,
    }


def _count(state: dict[str, Tensor], prefix: str) -> int:
    """One more than the largest number that follows the prefix."""
    matches = (re.match(re.escape(prefix) + r"(\d+)\.", name) for name in state)
    return max((int(match[1]) + 1 for match in matches if match), default=0)
