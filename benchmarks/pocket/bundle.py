"""Copy trained models into the package.

python benchmarks/pocket/bundle.py CLAP_FOLDER [CAPTIONER_RUN]
python benchmarks/pocket/bundle.py --words    (only give the built-in captioner its vocabulary)
"""

from __future__ import annotations

import argparse

from wsac.clap import load_clap
from wsac.clap.loading import BUNDLED
from wsac.inference.bundle import BUNDLED_CAPTIONER, set_words
from wsac.inference.captioner import Captioner
from wsac.io.config import load_recipe
from wsac.io.files import read_json
from wsac.training.material import read_captions
from wsac.training.recipe import Recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clap", nargs="?", help="a folder of wsac train-clap")
    parser.add_argument("captioner", nargs="?", help="a folder of wsac train")
    parser.add_argument("--words", action="store_true", help="write words.txt by the recipe")
    options = parser.parse_args()
    if options.words:
        print(f"{add_words():,} words in {BUNDLED_CAPTIONER}")
    if not options.clap:
        return
    load_clap(options.clap).save(BUNDLED)
    if options.captioner:
        card = read_json(f"{options.captioner}/captioner.json")
        notes = {key: card[key] for key in ("validation_loss", "step", "captions")}
        Captioner.load(options.captioner).save(
            BUNDLED_CAPTIONER, half=True, memory_precision="int8", notes=notes
        )
    files = [
        path
        for folder in (BUNDLED, BUNDLED_CAPTIONER)
        for path in folder.glob("*")
        if path.is_file()
    ]
    print(f"{sum(path.stat().st_size for path in files) / 1e6:.1f} MB in {BUNDLED.parent}")


def add_words() -> int:
    """The words of the recipe's captions into the built-in captioner, which must fit its CLAP."""
    captions, _ = read_captions(load_recipe(Recipe, "bundled").corpus)
    return set_words(BUNDLED_CAPTIONER, captions)


if __name__ == "__main__":
    main()
