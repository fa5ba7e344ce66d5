"""The words of a cue by style: "[dog barking]", "DOG BARKS".

Sources: DCMP Captioning Key, "Sound Effects and Music" (brackets, lower case, the source named,
onomatopoeia on a line of its own, present participle for sustained sounds, third person for abrupt
ones, never past, "[squealing continues]"); Netflix Timed Text Style Guide, English, part I
(brackets, lower case); BBC Subtitle Guidelines, "Sound effects" (capitals, a subject and a finite
verb).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wsac.types import RecipeError, did_you_mean

from .caption_words import participle, third_person
from .event_phrase import EventPhrase, event_phrase

LINE = 42  # characters
LINES = 2
BREAK_BEFORE = frozenset(
    "and or of on in into at against along across over under through to from with by near inside "
    "outside down up away behind around towards for".split()
)
# what a thing does that a caption only names: "[rain]" is "[rain falling]"
USUAL = dict(
    pair.split(":")
    for pair in """
    rain:fall snow:fall hail:fall wind:blow breeze:blow music:play thunder:rumble waves:crash
    fire:crackle birds:chirp crickets:chirp siren:wail sirens:wail dog:bark dogs:bark cat:meow
    clock:tick engine:run waterfall:roar helicopter:whir traffic:pass stream:flow crowd:murmur
    """.split()
)
# nature, music and crowds are the sound themselves: "[rain continues]", but "[barking continues]"
SOUNDS = frozenset("rain snow hail wind breeze music thunder applause laughter traffic".split())
ONOMATOPOEIA = dict(
    pair.split(":")
    for pair in """
    bark:woof meow:meow moo:moo baa:baa bleat:baa oink:oink quack:quack crow:cock-a-doodle-doo
    croak:ribbit hoot:hoo knock:knock tick:tick-tock ring:ring beep:beep chirp:tweet tweet:tweet
    buzz:bzz hiss:hiss pop:pop boom:boom bang:bang explode:boom honk:honk clap:clap sneeze:achoo
    cough:ahem snore:zzz drip:drip neigh:neigh caw:caw growl:grr roar:roar thump:thump clink:clink
    clang:clang splash:splash rumble:boom chime:ding-dong toll:dong squeak:squeak click:click
    """.split()
)


@dataclass(frozen=True, slots=True)
class Style:
    """How a cue is written. finite: also of sustained sounds. phrased: as a phrase, else the
    caption. brackets: what stands around it."""

    brackets: tuple[str, str] = ("[", "]")
    upper: bool = False
    finite: bool = False
    phrased: bool = True


STYLES = {
    "sdh": Style(),
    "dcmp": Style(),
    "netflix": Style(),
    "bbc": Style(brackets=("", ""), upper=True, finite=True),
    "plain": Style(brackets=("", ""), phrased=False),
}


def style_named(name: str) -> Style:
    """Raises RecipeError for an unknown name."""
    if name not in STYLES:
        known = did_you_mean(name, STYLES)
        raise RecipeError(f"style {name!r}: {known}there are {', '.join(STYLES)}")
    return STYLES[name]


def wordings(
    caption: str, style: Style, *, sustained: bool, onomatopoeia: bool = False, again: bool = False
) -> list[str]:
    """Texts of a cue in 1 or 2 lines of at most 42 characters, the fullest first; at least one.

    again: the sound was there before and goes on. onomatopoeia: where there is one, the fullest
    text has it as its second line.
    """
    phrase = _with_usual_verb(event_phrase(caption))
    if again:
        rows = [_continues(phrase)]
    elif style.phrased:
        rows = phrase.words(sustained=sustained and not style.finite)
    else:
        rows = [_plain_words(caption), *phrase.words(sustained=sustained)]
    if style.upper:
        rows = [[word.upper() for word in words] for words in rows]
    texts = [text for words in rows if (text := _lines(words, style))]
    if not texts:
        texts = [_cut(rows[-1], style)]
    sound = ONOMATOPOEIA.get(phrase.verb, "")
    if onomatopoeia and sound and not again:
        second = ", ".join([sound] * (3 if sustained else 1))
        second = second.upper() if style.upper else second
        texts = [f"{text}\n{second}" for text in texts if "\n" not in text] + texts
    return list(dict.fromkeys(texts))


def same_sound(caption: str) -> str:
    """A key that captions of the same event share: the noun and the verb."""
    phrase = _with_usual_verb(event_phrase(caption))
    return " ".join((phrase.core[-1], phrase.verb or phrase.doing)).strip().lower()


def _with_usual_verb(phrase: EventPhrase) -> EventPhrase:
    usual = USUAL.get(phrase.core[-1].lower(), "") if not phrase.doing else ""
    if not usual or "and" in phrase.subject:
        return phrase
    return replace(phrase, verb=usual, doing=participle(usual))


def _continues(phrase: EventPhrase) -> list[str]:
    noun = phrase.core[-1]
    if phrase.doing and noun.lower() not in SOUNDS:
        return [phrase.doing, "continues"]
    return [*phrase.core, third_person("continue", plural=phrase.plural)]


def _plain_words(caption: str) -> list[str]:
    words = " ".join(caption.split()).rstrip(".,;: ")
    return words.translate(dict.fromkeys(map(ord, "{}<>\\"))).split()


def _lines(words: list[str], style: Style) -> str:
    """The words in brackets on one line or two, broken at a natural place; "" if too long."""
    opening, closing = style.brackets
    text = f"{opening}{' '.join(words)}{closing}"
    if len(text) <= LINE:
        return text
    parts = text.split(" ")
    places = []
    for i in range(1, len(parts)):
        first, second = " ".join(parts[:i]), " ".join(parts[i:])
        if len(first) <= LINE and len(second) <= LINE:
            unnatural = parts[i].lower().strip("[]") not in BREAK_BEFORE
            places.append((unnatural, abs(2 * len(first) - len(text)), first, second))
    return "\n".join(min(places)[2:]) if places else ""


def _cut(words: list[str], style: Style) -> str:
    """As many words as fit on a line; of a word that is too long its beginning."""
    room = LINE - sum(map(len, style.brackets))
    while len(words) > 1 and len(" ".join(words)) > room:
        words = words[:-1]
    return _lines([" ".join(words)[:room]], style)
