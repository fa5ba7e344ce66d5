"""Export a captioner as ONNX graphs, tokenizer and config.json, checked in onnxruntime."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from wsac import __version__
from wsac.clap.pocket.pocket_clap import PocketClap
from wsac.data.audio.stream import SILENCE_PEAK
from wsac.data.audio.windows import shortest_tail
from wsac.data.tokenizer import BOS, EOS, PAD
from wsac.decoder import TransformerDecoder
from wsac.inference.captioner import Captioner
from wsac.inference.sound_results import SILENCE
from wsac.io.files import atomic_folder, write_json
from wsac.types import ModelError, WsacError


def export_onnx(
    captioner: Captioner, folder: str | Path, *, decoder_only: bool = False
) -> dict[str, Any]:
    """Write audio.onnx, bridge.onnx, prefill.onnx, step.onnx, tokenizer.json, config.json.

    folder: new or empty. decoder_only: without the audio tower, for a captioner whose CLAP is not a
    pocket one; its embeddings then come from elsewhere. Returns the sizes of the files in bytes and
    the results of ``check.check``.
    Raises ModelError when something cannot be exported or onnxruntime gives other results than
    torch, WsacError when the extra is missing or the folder cannot be written. On an error, nothing
    is left behind.
    """
    _refuse(captioner, decoder_only)
    from .check import check
    from .graphs import write_audio, write_bridge, write_decoder

    with atomic_folder(folder) as part:
        write_bridge(captioner.bridge, captioner.clap.embed_dim, part / "bridge.onnx")
        decoder = cast(TransformerDecoder, captioner.decoder)
        write_decoder(decoder, part / "prefill.onnx", part / "step.onnx")
        if not decoder_only:
            write_audio(cast(PocketClap, captioner.clap), part / "audio.onnx")
        checked = check(captioner, part, audio=not decoder_only)
        captioner.tokenizer.save(part / "tokenizer.json")
        write_json(part / "config.json", runner_config(captioner) | {"checked": checked})
        files = {path.name: path.stat().st_size for path in sorted(part.iterdir())}
    return {"folder": str(folder), "files": files, "bytes": sum(files.values()), "checked": checked}


def export_light(captioner: Captioner, folder: Path) -> list[str]:
    """Add the graphs that a wsac without torch reads to the folder of a captioner.

    Returns their places. Raises ModelError when there can be none, WsacError without the extra.
    """
    _refuse(captioner, decoder_only=True)
    from .skeletons import add_graphs

    return [str(path) for path in add_graphs(captioner, folder)]


def runner_config(captioner: Captioner) -> dict[str, Any]:
    """What a runner must know besides the graphs; see docs/export.md. Lengths in samples."""
    clap = captioner.clap
    window = round(clap.window_seconds * clap.sample_rate)
    return {
        "version": 1,
        "made_by": f"wsac {__version__}",
        "clap": clap.fingerprint,
        "sample_rate": clap.sample_rate,
        "window": window,
        "hop": window,
        "shortest_tail": math.ceil(shortest_tail(window)),
        "silence_peak": SILENCE_PEAK,
        "silence": SILENCE,
        "embed_dim": clap.embed_dim,
        "bridge": captioner.options.bridge,
        "trained": captioner.trained,
        "memory_entries": 0 if captioner.memory is None else len(captioner.memory),
        "pad": PAD,
        "begin": BOS,
        "end": EOS,
        "max_tokens": captioner.decoder.max_tokens,
        "length_penalty": captioner.options.generation.length_penalty,
    }


def _refuse(captioner: Captioner, decoder_only: bool) -> None:
    """Raise for a captioner that cannot be exported, before anything is written."""
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise WsacError(f"wsac export needs {' and '.join(missing)}: pip install 'wsac[export]'")
    decoder, clap = captioner.decoder, captioner.clap
    if not isinstance(decoder, TransformerDecoder):
        reason = "only decoders of kind transformer can"
        raise ModelError(f"a {type(decoder).__name__} cannot be exported: {reason}")
    if captioner.prompter is not None or decoder.prompt_tokens:
        remedy = "train one without --set prompt"
        raise ModelError(f"a captioner that reads a prompt cannot be exported: {remedy}")
    if not decoder_only and not isinstance(clap, PocketClap):
        problem = f"the CLAP {clap.source or clap.fingerprint} cannot be exported"
        remedy = "only a pocket one: --decoder-only writes what follows the audio embedding"
        raise ModelError(f"{problem}, {remedy}")
