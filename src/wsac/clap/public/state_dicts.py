"""Names of tensors: which family a public state dict belongs to, its sizes, and its names in ours.

The names of the files' keys come from the public training codes; HTSAT is transformers' ClapAudioModel under old names.
"""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor

from wsac.types import ModelError

from .families import FAMILIES, Family

# prefix of the audio tower, of the text tower, of both projections; by what the first keys say of the family
LAYOUTS = {
    "wavcaps": (
        "audio_encoder.audio_enc.",
        "text_encoder.text_encoder.",
        "audio_proj.",
        "text_proj.",
    ),
    "msclap": (
        "audio_encoder.base.",
        "caption_encoder.base.",
        "audio_encoder.projection.",
        "caption_encoder.projection.",
    ),
    "laion": ("audio_branch.", "text_branch.", "audio_projection.", "text_projection."),
    "transformers": ("audio_model.", "text_model.", "audio_projection.", "text_projection."),
}
# what no embedding depends on, or what older libraries left in the files
DROPPED = re.compile(
    r"(.*\.)?(position_ids|token_type_ids|num_batches_tracked)$|.*\.(attn_mask|masked_bias)$|.*\.attn\.bias$"
    r"|.*\.(spectrogram_extractor|mel_trans)\..*|.*\.(tscam_conv|head|fc_audioset)\..*"
    r"|(audio|text)_transform\..*|caption_encoder\.base\.pooler\..*|text_encoder\.text_encoder\.pooler\..*"
    r"|clap_project\..*|gpt\..*"
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


def canonical(
    state: dict[str, Tensor], source: str
) -> tuple[Family, dict[str, Tensor], dict[str, Tensor]]:
    """Tell the family and give every tensor its name in PublicClap; the third part holds the scales.

    source: named in errors. Raises ModelError for a layout that is not known, or a key that nothing is known of.
    """
    state = {
        name.removeprefix("module.").removeprefix("clap."): value for name, value in state.items()
    }
    layout = _layout(state, source)
    audio, text, audio_projection, text_projection = LAYOUTS[layout]
    htsat = f"{audio}htsat." if any(name.startswith(f"{audio}htsat.") for name in state) else audio
    family = _family(layout, state, htsat, audio)
    found: dict[str, Tensor] = {}
    scales: dict[str, Tensor] = {}
    for name, value in state.items():
        if name in SCALES:
            scales[name] = value
        elif FILTERS.match(name):
            if not family.fused:  # LAION's fused models carry one that they do not use
                found["log_mel.filters"] = value
        elif DROPPED.match(name):
            continue
        elif name.startswith(audio_projection):
            found["audio_projection." + _linear(name.removeprefix(audio_projection))] = value
        elif name.startswith(text_projection):
            found["text_projection." + _linear(name.removeprefix(text_projection))] = value
        elif name.startswith(htsat):
            for new, part in _audio(name.removeprefix(htsat), value, layout, family):
                found[new] = part
        elif name.startswith(text):
            found["text.model." + name.removeprefix(text)] = value
        else:
            raise ModelError(
                f"{source}: unknown tensor '{name}' in a checkpoint of the family {family.name}"
            )
    return family, found, scales


def _layout(state: dict[str, Tensor], source: str) -> str:
    for layout, (audio, text, *_) in LAYOUTS.items():
        if any(name.startswith(audio) for name in state) and any(
            name.startswith(text) for name in state
        ):
            return layout
    some = ", ".join(list(state)[:3]) or "none"
    raise ModelError(
        f"{source}: not a CLAP that is known here (tensors: {some}, …); see wsac clap list"
    )


def _family(layout: str, state: dict[str, Tensor], htsat: str, audio: str) -> Family:
    fused = any(".mel_conv2d." in name for name in state)
    cnn = f"{audio}conv_block1.conv1.weight" in state
    if layout == "wavcaps":
        return FAMILIES["wavcaps-cnn14" if cnn else "wavcaps-htsat"]
    if layout == "msclap":
        return FAMILIES["msclap-2022" if cnn else "msclap-2023"]
    return FAMILIES[f"{layout}-fused" if fused else layout]


def _linear(name: str) -> str:
    """Layers of a Sequential by number: 0 and 2 are the two linear ones."""
    return re.sub(r"^2\.", "linear2.", re.sub(r"^0\.", "linear1.", name))


def _audio(name: str, value: Tensor, layout: str, family: Family) -> list[tuple[str, Tensor]]:
    if layout == "transformers":
        return [(f"audio.model.{name}", value)]
    if family.name in ("wavcaps-cnn14", "msclap-2022"):
        return [(f"audio.{name}", value)]
    name = re.sub(r"^bn0\.", "batch_norm.", name)
    if ".attn.qkv." in name:
        before, after = name.split(".attn.qkv.")
        parts = zip(("query", "key", "value"), value.chunk(3), strict=True)
        return [
            (f"audio.model.audio_encoder.{before}.attention.self.{part}.{after}", third)
            for part, third in parts
        ]
    for old, new in HTSAT_NAMES:
        name = name.replace(old, new)
    return [(f"audio.model.audio_encoder.{name}", value)]


# -- sizes, from the shapes ------------------------------------------------------------------------------------------
def audio_config(state: dict[str, Tensor], family: Family) -> dict[str, Any]:
    """Arguments of Cnn14, or of ClapAudioConfig."""
    if "audio.conv_block1.conv1.weight" in state:
        blocks = _count(state, r"audio\.conv_block(\d+)\.", first=1)
        channels = [len(state[f"audio.conv_block{i}.conv1.weight"]) for i in range(1, blocks + 1)]
        microsoft = family.name == "msclap-2022"
        return {"channels": channels, "pools_last": not microsoft, "fc": microsoft}
    encoder = "audio.model.audio_encoder."
    stages = _count(state, r"audio\.model\.audio_encoder\.layers\.(\d+)\.")
    tables = [
        state[f"{encoder}layers.{i}.blocks.0.attention.self.relative_position_bias_table"]
        for i in range(stages)
    ]
    config: dict[str, Any] = {
        "patch_embeds_hidden_size": len(state[f"{encoder}patch_embed.proj.weight"]),
        "hidden_size": len(state[f"{encoder}norm.weight"]),
        "depths": [
            _count(state, rf"audio\.model\.audio_encoder\.layers\.{i}\.blocks\.(\d+)\.")
            for i in range(stages)
        ],
        "num_attention_heads": [table.shape[1] for table in tables],
        "num_hidden_layers": stages,
        "window_size": (round(len(tables[0]) ** 0.5) + 1) // 2,
    }
    if family.fused:
        inner, outer = state[f"{encoder}patch_embed.fusion_model.local_att.0.weight"].shape[:2]
        config |= {"enable_fusion": True, "fusion_type": "aff_2d", "aff_block_r": outer // inner}
    return config


def text_config(state: dict[str, Tensor], family: Family) -> dict[str, Any]:
    """Arguments of BertConfig, ClapTextConfig or GPT2Config; a head is 64 wide in all of them."""
    model = "text.model."
    if family.text == "gpt2":
        tokens = state[f"{model}wte.weight"]
        return {
            "vocab_size": len(tokens),
            "n_positions": len(state[f"{model}wpe.weight"]),
            "n_embd": tokens.shape[1],
            "n_layer": _count(state, r"text\.model\.h\.(\d+)\."),
            "n_head": max(1, tokens.shape[1] // 64),
            "n_inner": state[f"{model}h.0.mlp.c_fc.weight"].shape[1],
            "layer_norm_epsilon": family.text_epsilon,
        }
    tokens = state[f"{model}embeddings.word_embeddings.weight"]
    return {
        "vocab_size": len(tokens),
        "hidden_size": tokens.shape[1],
        "num_hidden_layers": _count(state, r"text\.model\.encoder\.layer\.(\d+)\."),
        "num_attention_heads": max(1, tokens.shape[1] // 64),
        "intermediate_size": len(state[f"{model}encoder.layer.0.intermediate.dense.weight"]),
        "max_position_embeddings": len(state[f"{model}embeddings.position_embeddings.weight"]),
        "type_vocab_size": len(state[f"{model}embeddings.token_type_embeddings.weight"]),
        "layer_norm_eps": family.text_epsilon,
    }


def _count(state: dict[str, Tensor], pattern: str, first: int = 0) -> int:
    numbers = {int(match[1]) for name in state if (match := re.match(pattern, name))}
    return max(numbers) + 1 - first if numbers else 0
