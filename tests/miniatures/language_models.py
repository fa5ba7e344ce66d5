"""Tiny language models with random weights in the layouts of the public ones,
each with a tokenizer.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()
END = "<|endoftext|>"
MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def byte_level(texts: list[str]) -> Tokenizer:
    """GPT-2's: byte-level BPE, no space before a text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer.add_special_tokens([END])
    return tokenizer


def wordpiece(texts: list[str]) -> Tokenizer:
    """BERT's: lower case, pieces of words, [CLS] and [SEP]."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=300, special_tokens=MARKS, show_progress=False)
    )
    return tokenizer


def write_lm(kind: str, folder: Path, texts: list[str], *, seed: int = 0) -> Path:
    """config.json, model.safetensors and tokenizer.json of a gpt2 or llama.

    Its vocabulary is wider than the pieces.
    """
    words = byte_level(texts)
    end, rows = words.token_to_id(END), words.get_vocab_size() + 8
    torch.manual_seed(seed)
    if kind == "gpt2":
        sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 96}
        model = GPT2LMHeadModel(
            GPT2Config(vocab_size=rows, eos_token_id=end, bos_token_id=end, **sizes)
        )
    else:
        sizes = {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 96,
        }
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=rows, eos_token_id=[end, 1], bos_token_id=end, pad_token_id=end, **sizes
            )
        )
    for parameter in model.parameters():  # peaked, untied choices
        if parameter.ndim > 1:
            parameter.data *= 4
    model.save_pretrained(folder)
    words.save(str(folder / "tokenizer.json"))
    return folder


def published(
    folder: Path, texts: list[str], *, embed_dim: int = 16, width: int = 32
) -> tuple[Path, GPT2LMHeadModel]:
    """``epoch-9.pt`` as the published code saves it, with its tokenizer beside it.

    And its GPT-2.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = wordpiece(texts)
    words.save(str(folder / "tokenizer.json"))
    torch.manual_seed(5)
    gpt2 = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=words.get_vocab_size() + 20,
            n_embd=width,
            n_layer=4,
            n_head=4,
            n_positions=64,
            bos_token_id=None,
            eos_token_id=None,
        )
    ).eval()
    for (
        name,
        parameter,
    ) in gpt2.named_parameters():  # so that rows differ, and some end by themselves
        if parameter.ndim > 1:
            parameter.data *= 5 if "wpe" in name else 3
    state = {f"decoder.{name}": value for name, value in gpt2.state_dict().items()}
    state["clap_project.model.0.weight"] = torch.randn(width, embed_dim)
    state["clap_project.model.0.bias"] = 0.25 * torch.randn(width)
    state["decoder.transformer.h.0.attn.bias"] = (
        torch.ones(1, 1, 64, 64).tril().bool()
    )  # of older versions
    torch.save(state, folder / "epoch-9.pt")
    return folder / "epoch-9.pt", gpt2
