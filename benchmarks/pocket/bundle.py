"""Copy trained models into the package.

python benchmarks/pocket/bundle.py CLAP_FOLDER [CAPTIONER_RUN]
"""

from __future__ import annotations

import argparse

from wsac.clap import load_clap
from wsac.clap.loading import BUNDLED
from wsac.inference.bundle import BUNDLED_CAPTIONER
from wsac.inference.captioner import Captioner
from wsac.io.files import read_json


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clap", help="a folder of wsac train-clap")
    parser.add_argument("captioner", nargs="?", help="a folder of wsac train")
    options = parser.parse_args()
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


if __name__ == "__main__":
    main()
