"""Cut reference values down to what the tests compare: python tests/clap/parity/shrink.py
GOLDEN_FOLDER

Of each model NAME.json and NAME.safetensors become NAME.json.gz: names, shapes and fill of its
tensors, cases, token ids, tolerances; and NAME.safetensors: log-mel of one second, audio and text
embeddings. Numbers only, no weights.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

KEPT = ("logmel_w1_raw", "audio_embed", "text_embed")


def main(folder: str) -> None:
    here = Path(__file__).parent
    for source in sorted(Path(folder).glob("*.json")):
        raw = json.loads(source.read_text(encoding="utf-8"))
        if "manifest" not in raw:
            continue
        small = {
            "container": raw["container"]["state_dict_path"],
            "prefix": raw["container"]["prefix"],
            "extra": raw.get("extra_keys_to_drop") or [],
            "audio_config": (raw.get("config") or {}).get("audio_config"),
            "fused": "fused" in source.stem.split("-"),
            "tolerance": {k: v for k, v in raw["tolerance"]["recommended"].items() if "_atol" in k},
            "cases": [row["case"] for row in raw["audio_cases"]],
            "ids": [row["ids"] for row in raw["texts"]],
            "fed": [[row.get("raw", ""), row.get("fed", "")] for row in raw["texts"]],
            "tensors": [
                [row["key"], row["shape"], row["dtype"], row["fill"], row.get("sum")]
                for row in raw["manifest"]
            ],
        }
        data = json.dumps(small, separators=(",", ":")).encode()
        (here / f"{source.stem}.json.gz").write_bytes(gzip.compress(data, 9, mtime=0))
        tensors = load_file(source.with_suffix(".safetensors"))
        save_file(
            {name: tensors[name].contiguous() for name in KEPT}, here / f"{source.stem}.safetensors"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
