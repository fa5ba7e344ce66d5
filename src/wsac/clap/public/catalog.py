"""The public checkpoints that are known by name, and how they come from the Hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wsac.io.hub import HUB_ID, hub_file, hub_folder
from wsac.types import ModelError

DRIVE = "https://drive.google.com/drive/folders/1pFr8IRY3E1FAtc2zjYmeuSVY3M5a-Kdj"  # WavCaps' own folder


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A published CLAP. repo, file: on the Hub; a repo without a file is a folder in the layout of ClapModel.

    overlap: what of Clotho and AudioCaps it has seen, as published; results on those are then not zero-shot.
    manual: where it is to be had by hand, if not on the Hub.
    """

    name: str
    family: str
    repo: str
    file: str
    dim: int
    licence: str
    overlap: str
    manual: str = ""


OMNIBIND = "Viglong/OmniBind"
_WAVCAPS = "non-commercial research"
CATALOG: dict[str, Checkpoint] = {
    row.name: row
    for row in (
        Checkpoint(
            "laion/clap-htsat-unfused",
            "transformers",
            "laion/clap-htsat-unfused",
            "",
            512,
            "Apache-2.0",
            "trained on Clotho and AudioCaps, training parts",
        ),
        Checkpoint(
            "laion/clap-htsat-fused",
            "transformers-fused",
            "laion/clap-htsat-fused",
            "",
            512,
            "Apache-2.0",
            "trained on Clotho and AudioCaps, training parts",
        ),
        Checkpoint(
            "laion/larger_clap_general",
            "transformers",
            "laion/larger_clap_general",
            "",
            512,
            "Apache-2.0",
            "not stated; take it as seen",
        ),
        Checkpoint(
            "laion/larger_clap_music",
            "transformers",
            "laion/larger_clap_music",
            "",
            512,
            "Apache-2.0",
            "not stated; take it as seen",
        ),
        Checkpoint(
            "laion/larger_clap_music_and_speech",
            "transformers",
            "laion/larger_clap_music_and_speech",
            "",
            512,
            "Apache-2.0",
            "not stated; take it as seen",
        ),
        *(
            Checkpoint(
                f"laion-{file.removesuffix('.pt')}",
                "laion-fused" if "fusion" in file else "laion",
                "lukewys/laion_clap",
                file,
                512,
                "CC0-1.0",
                "trained on Clotho and AudioCaps, training parts",
            )
            for file in (
                "630k-best.pt",
                "630k-audioset-best.pt",
                "630k-fusion-best.pt",
                "630k-audioset-fusion-best.pt",
                "music_audioset_epoch_15_esc_90.14.pt",
                "music_speech_epoch_15_esc_89.25.pt",
                "music_speech_audioset_epoch_15_esc_89.98.pt",
            )
        ),
        Checkpoint(
            "wavcaps-htsat-bert",
            "wavcaps-htsat",
            OMNIBIND,
            "checkpoints/wavcaps/HTSAT-BERT-PT.pt",
            1024,
            _WAVCAPS,
            "WavCaps, Clotho and AudioCaps, training parts",
        ),
        Checkpoint(
            "wavcaps-htsat-bert-clotho",
            "wavcaps-htsat",
            OMNIBIND,
            "checkpoints/wavcaps/HTSAT-BERT-FT-Clotho.pt",
            1024,
            _WAVCAPS,
            "fine-tuned on Clotho",
        ),
        Checkpoint(
            "wavcaps-htsat-bert-audiocaps",
            "wavcaps-htsat",
            OMNIBIND,
            "checkpoints/wavcaps/HTSAT-BERT-FT-AudioCaps.pt",
            1024,
            _WAVCAPS,
            "fine-tuned on AudioCaps",
        ),
        Checkpoint(
            "wavcaps-cnn14-bert",
            "wavcaps-cnn14",
            "",
            "cnn14-bert.pt",
            1024,
            _WAVCAPS,
            "WavCaps, Clotho and AudioCaps, training parts",
            DRIVE,
        ),
        Checkpoint(
            "msclap-2022",
            "msclap-2022",
            "microsoft/msclap",
            "CLAP_weights_2022.pth",
            1024,
            "MS-PL",
            "trained on Clotho and AudioCaps",
        ),
        Checkpoint(
            "msclap-2023",
            "msclap-2023",
            "microsoft/msclap",
            "CLAP_weights_2023.pth",
            1024,
            "MS-PL",
            "trained on Clotho and AudioCaps",
        ),
    )
}
CLAP_FOLDER = (
    "config.json",
    ("model.safetensors", "pytorch_model.bin"),
    "tokenizer.json",
)  # of a ClapModel


def fetch(name: str, *, offline: bool = False) -> tuple[Path, Path | None]:
    """Download a checkpoint of the catalogue, or any ``owner/model`` on the Hub, and the tokenizer it needs.

    name may end in ``@revision`` (a commit, tag or branch); without, the branch main, whose commit the Hub's cache
    remembers. Returns the file or folder, and the tokenizer where it lies elsewhere. Downloads are resumed, kept in
    the Hub's cache (HF_HOME) and checked against their published SHA-256. offline, or HF_HUB_OFFLINE: only the cache.
    Raises ModelError for what is not there or not whole.
    """
    name, _, revision = name.partition("@")
    row = CATALOG.get(name) or (
        Checkpoint(name, "transformers", name, "", 0, "", "") if HUB_ID.fullmatch(name) else None
    )
    if row is None:
        raise ModelError(f"{name}: no CLAP of this name; wsac clap list shows those that are known")
    if not row.repo:
        raise ModelError(
            f"{name}: not on the Hub; download {row.file} from {row.manual} and give its path instead"
        )
    if not row.file:
        return hub_folder(row.repo, CLAP_FOLDER, revision or None, offline=offline), None
    from .families import FAMILIES

    path = hub_file(row.repo, row.file, revision or None, offline=offline)
    return path, hub_file(FAMILIES[row.family].tokenizer, "tokenizer.json", offline=offline)
