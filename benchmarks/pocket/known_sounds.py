"""Write CSV files `audio,keywords` of recordings that no CLAP was trained on, for `wsac calibrate`.

    python benchmarks/pocket/known_sounds.py ../shared/audio runs/scenes-known \\
        runs/speech-known.csv -o runs/known.csv
    python benchmarks/pocket/known_sounds.py ../shared/audio runs/scenes-test \\
        runs/speech-test.csv -o runs/known-test.csv \\
        --part test

The ESC-50 clips are those of a part of pocket_pairs.py, the scenes those of `wsac soundworld`, and
the unrecognisable sounds (noise, single foreign words; no keywords) those in a CSV of
speech_pairs.py.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

from pocket_pairs import select

sys.path.append(str(Path(__file__).parents[1] / "esc50"))
from event_recall import load_synonyms

# What a caption of a SoundWorld kind may say: the synonyms of an ESC-50 class, or words of its own.
KINDS = {
    "rain": "=rain",
    "wind": "=wind",
    "sea_waves": "=sea_waves",
    "thunder": "=thunderstorm",
    "fire": "=crackling_fire",
    "stream": "stream|streams|brook|creek|river|babbling|babbles|bubbling|bubbles|"
    "trickling|trickles|gurgling|flowing",
    "pouring": "=pouring_water",
    "drip": "=water_drops",
    "dog": "=dog",
    "cat": "=cat",
    "cow": "=cow",
    "sheep": "=sheep",
    "duck": "duck|ducks|quack|quacks|quacking|goose|geese",
    "crow": "=crow",
    "frog": "=frog",
    "birds": "=chirping_birds",
    "owl": "owl|owls|hoot|hoots|hooting",
    "crickets": "=crickets",
    "insect": "=insects",
    "man": "man|men|male|speech|speaks|speaking|talks|talking|voice|voices|speaker|conversation",
    "woman": "woman|women|female|girl|lady|speech|speaks|speaking|talks|talking|voice|"
    "voices|conversation",
    "crowd": "crowd|crowds|people|voices|chatter|chattering|murmur|murmuring|talking|"
    "conversation|conversations",
    "baby": "=crying_baby",
    "cough": "=coughing",
    "snoring": "=snoring",
    "siren": "=siren",
    "clock": "=clock_tick",
    "whistle": "whistle|whistles|whistling|whistled",
    "alarm_clock": "=clock_alarm",
    "church_bell": "=church_bells",
    "gong": "gong|gongs|bowl|bell|bells|chime|chimes|chiming",
    "car_horn": "=car_horn",
    "footsteps": "=footsteps",
    "telephone": "phone|phones|telephone|telephones|ringtone|rings|ringing",
    "knocking": "=door_wood_knock",
    "hum": "hum|hums|humming|buzz|buzzes|buzzing|electrical|electric",
    "static": "static|radio|hiss|hisses|hissing",
    "guitar": "guitar|guitars|strum|strums|strumming|plucked|plucks|music|strings",
    "fireworks": "=fireworks",
    "piano": "piano|pianos|keyboard|music",
    "drums": "drum|drums|drumming|drummer|beat|percussion|music",
    "horse": "horse|horses|hoof|hooves|gallop|gallops|galloping|trots|trotting|clop|"
    "clopping|clip clop",
    "hammer": "hammer|hammers|hammering|hammered|nail|nails|pounding|pounds",
    "typing": "=keyboard_typing",
    "door": "door|doors|slam|slams|slamming|creak|creaks|creaking",
    "clapping": "=clapping",
    "engine": "=engine",
    "gunshot": "gun|guns|gunshot|gunshots|gunfire|shot|shots|shooting|shoots|fires",
    "helicopter": "=helicopter",
    "vacuum_cleaner": "=vacuum_cleaner",
    "drill": "drill|drills|drilling|drilled",
    "saw": "=hand_saw",
    "train": "=train",
    "glass": "=glass_breaking",
    "hiss": "hiss|hisses|hissing|steam|gas|spray|sprays|spraying",
}
UNCLEAR = ("unrecognisable", "noise", "spoken digit", "silence")  # labels


def write_known(path: Path, rows: list[tuple[str, str]]) -> None:
    """A CSV for `wsac calibrate`, of recordings and keywords."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("audio", "keywords"), *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "audio", type=Path, help="folder that holds manifest.csv and the recordings"
    )
    parser.add_argument("scenes", type=Path, help="a folder of wsac soundworld")
    parser.add_argument("unclear", type=Path, help="a CSV audio,caption,label of speech_pairs.py")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--part", choices=("held-out", "test"), default="held-out")
    options = parser.parse_args()
    synonyms = load_synonyms()
    rows: list[tuple[str, str]] = []
    with (options.audio / "manifest.csv").open(newline="", encoding="utf-8") as file:
        for clip in select(list(csv.DictReader(file)), options.part):
            rows.append(
                (str(options.audio / clip["file"]), "|".join(sorted(synonyms[clip["esc50_class"]])))
            )
    with (options.scenes / "scenes.jsonl").open(encoding="utf-8") as file:
        for scene in map(json.loads, file):
            words: set[str] = set()
            for event in scene["events"]:
                keywords = KINDS[event["kind"]]
                words |= (
                    synonyms[keywords[1:]] if keywords.startswith("=") else set(keywords.split("|"))
                )
            rows.append((str(options.scenes / scene["file"]), "|".join(sorted(words))))
    with options.unclear.open(newline="", encoding="utf-8") as file:
        unclear = {row["audio"]: "" for row in csv.DictReader(file) if row["label"] in UNCLEAR}
        rows += unclear.items()
    write_known(options.output, rows)
    print(f"{options.output}: {len(rows)} recordings, {len(unclear)} of them unrecognisable")


if __name__ == "__main__":
    main()
