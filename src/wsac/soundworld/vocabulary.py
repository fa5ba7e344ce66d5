"""The words for each kind of sound: clauses in two forms, and the adverbs and places that fit them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clause:
    """A sound as subject, verb and the rest: "a dog" + "barks" or "barking" + "" (rest may be empty).

    All lower-case. ``finite()`` is a whole clause ("a dog barks"), ``gerund()`` a noun phrase ("a dog barking").
    """

    subject: str
    verb: str
    ing: str
    rest: str = ""

    def finite(self, adverb: str = "") -> str:
        return self._join(self.verb, adverb)

    def gerund(self, adverb: str = "") -> str:
        return self._join(self.ing, adverb)

    def _join(self, verb: str, adverb: str) -> str:
        """ "waves crash loudly on the shore", but "a car honks its horn loudly" and "an alarm goes off loudly"."""
        first, _, more = self.rest.partition(" ")
        before = adverb.endswith("ly") and more and first in ("on", "in", "over", "at")
        tail = (adverb, self.rest) if before else (self.rest, adverb)
        return " ".join(filter(None, (self.subject, verb, *tail)))


@dataclass(frozen=True, slots=True)
class Words:
    """What may be said of one kind of sound. nouns: names for it without a verb ("heavy rain")."""

    clauses: tuple[Clause, ...]
    nouns: tuple[str, ...]
    adverbs: tuple[str, ...]


LOUDNESS = ("loudly", "softly", "nearby", "in the distance")
LOUD = ("loudly", "nearby", "in the distance")
REPEATED = (*LOUDNESS, "repeatedly", "several times", "over and over")
STEADY = (*LOUDNESS, "steadily", "continuously")
OUTSIDE = ("outdoors", "outside")


def _words(clauses: str, nouns: str, adverbs: tuple[str, ...]) -> Words:
    """Read "subject|verb|ing|rest; …" and "noun, noun" into Words."""
    rows = (row.strip().split("|") for row in clauses.split(";"))
    return Words(tuple(Clause(*row) for row in rows), tuple(nouns.split(", ")), adverbs)


WORDS: dict[str, Words] = {
    "rain": _words(
        "rain|falls|falling; rain|comes|coming|down; raindrops|patter|pattering|on a surface",
        "rainfall, the patter of rain",
        (*STEADY, "heavily", *OUTSIDE),
    ),
    "wind": _words(
        "the wind|blows|blowing; wind|howls|howling; a strong wind|gusts|gusting",
        "gusts of wind, a howling wind",
        ("loudly", "in the distance", "constantly", *OUTSIDE),
    ),
    "sea_waves": _words(
        "waves|crash|crashing|on the shore; ocean waves|roll|rolling|in; the sea|washes|washing|over the beach",
        "ocean waves, the surf of the sea",
        ("loudly", "softly", "in the distance", "nearby", "again and again"),
    ),
    "thunder": _words(
        "thunder|rumbles|rumbling; thunder|rolls|rolling; a thunderclap|booms|booming",
        "a clap of thunder, rumbling thunder",
        ("loudly", "in the distance", "nearby", *OUTSIDE),
    ),
    "stream": _words(
        "a stream|flows|flowing; water|runs|running; water|trickles|trickling; a brook|babbles|babbling",
        "running water, a bubbling stream",
        (*STEADY, "quickly"),
    ),
    "fire": _words(
        "a fire|crackles|crackling; a fire|burns|burning; wood|crackles|crackling|in a fire",
        "a crackling fire, the crackle of flames",
        STEADY,
    ),
    "dog": _words(
        "a dog|barks|barking; a dog|yaps|yapping; a dog|is barking|barking",
        "a barking dog, the barking of a dog",
        (*REPEATED, "excitedly", *OUTSIDE),
    ),
    "cat": _words(
        "a cat|meows|meowing; a cat|cries|crying|out; a cat|is meowing|meowing",
        "a meowing cat, the meow of a cat",
        REPEATED,
    ),
    "cow": _words(
        "a cow|moos|mooing; a cow|bellows|bellowing; a cow|is mooing|mooing",
        "a mooing cow, the moo of a cow",
        (*REPEATED, *OUTSIDE),
    ),
    "birds": _words(
        "birds|chirp|chirping; a bird|sings|singing; birds|tweet|tweeting|in the trees",
        "birdsong, chirping birds",
        (*REPEATED, "cheerfully", *OUTSIDE),
    ),
    "crickets": _words(
        "crickets|chirp|chirping; crickets|sing|singing|at night; insects|trill|trilling|in the grass",
        "chirping crickets, the chirping of crickets",
        (*STEADY, *OUTSIDE),
    ),
    "insect": _words(
        "a fly|buzzes|buzzing|around; a bee|hums|humming; an insect|buzzes|buzzing",
        "a buzzing insect, the buzz of a fly",
        ("loudly", "softly", "nearby", "continuously"),
    ),
    "man": _words(
        "a man|speaks|speaking; a man|talks|talking; a male voice|is speaking|speaking",
        "male speech, the voice of a man",
        (*LOUDNESS, "calmly", "quickly"),
    ),
    "woman": _words(
        "a woman|speaks|speaking; a woman|talks|talking; a female voice|is speaking|speaking",
        "female speech, the voice of a woman",
        (*LOUDNESS, "calmly", "quickly"),
    ),
    "baby": _words(
        "a baby|cries|crying; an infant|wails|wailing; a baby|is crying|crying",
        "a crying baby, the cry of an infant",
        (*LOUD, "continuously", "repeatedly"),
    ),
    "siren": _words(
        "a siren|wails|wailing; an emergency siren|sounds|sounding; a siren|blares|blaring",
        "a wailing siren, an emergency siren",
        (*LOUD, "continuously", "repeatedly"),
    ),
    "alarm_clock": _words(
        "an alarm clock|beeps|beeping; an alarm|goes|going|off; an electronic alarm|beeps|beeping",
        "a beeping alarm clock, the beeping of an alarm",
        (*REPEATED, "rapidly"),
    ),
    "church_bell": _words(
        "a church bell|rings|ringing; a large bell|tolls|tolling; a bell|chimes|chiming",
        "the ringing of a church bell, a tolling bell",
        (*REPEATED, "slowly"),
    ),
    "clock": _words(
        "a clock|ticks|ticking; a clock|is ticking|ticking",
        "a ticking clock, the ticking of a clock",
        (*STEADY, "rhythmically"),
    ),
    "telephone": _words(
        "a telephone|rings|ringing; a phone|rings|ringing; a telephone|is ringing|ringing",
        "a ringing telephone, the ringing of a phone",
        REPEATED,
    ),
    "car_horn": _words(
        "a car horn|honks|honking; a car|honks|honking|its horn; a vehicle horn|blares|blaring",
        "a honking car horn, the honking of a car",
        (*LOUD, "repeatedly", "several times", *OUTSIDE),
    ),
    "guitar": _words(
        "a guitar|plays|playing; someone|plucks|plucking|the strings of a guitar; "
        "an acoustic guitar|is playing|playing",
        "guitar music, the sound of an acoustic guitar",
        ("loudly", "softly", "nearby", "in the distance", "slowly", "gently"),
    ),
    "footsteps": _words(
        "someone|walks|walking|along; footsteps|thud|thudding|on the ground; a person|walks|walking|at a steady pace",
        "footsteps, the footsteps of a person walking",
        ("loudly", "softly", "nearby", "in the distance"),
    ),
    "knocking": _words(
        "someone|knocks|knocking|on a door; a person|knocks|knocking|on a wooden door; "
        "somebody|is knocking|knocking|at the door",
        "knocking on a door, a knock at the door",
        ("loudly", "softly", "repeatedly", "several times", "firmly"),
    ),
    "typing": _words(
        "someone|types|typing|on a keyboard; a person|is typing|typing|on a computer keyboard; "
        "the keys of a keyboard|click|clicking",
        "typing on a keyboard, the clicking of computer keys",
        ("loudly", "softly", "quickly", "rapidly", "nearby"),
    ),
    "clapping": _words(
        "people|clap|clapping; an audience|applauds|applauding; a crowd|is clapping|clapping|hands",
        "applause, clapping hands",
        ("loudly", "softly", "enthusiastically", "continuously"),
    ),
    "engine": _words(
        "an engine|idles|idling; a motor|runs|running; an engine|rumbles|rumbling",
        "an idling engine, the rumble of a motor",
        STEADY,
    ),
    "helicopter": _words(
        "a helicopter|flies|flying|by; a helicopter|hovers|hovering; the blades of a helicopter|chop|chopping|the air",
        "a passing helicopter, the chopping blades of a helicopter",
        ("loudly", "nearby", "in the distance", "overhead"),
    ),
    "vacuum_cleaner": _words(
        "a vacuum cleaner|runs|running; a vacuum cleaner|hums|humming; someone|is vacuuming|vacuuming|the floor",
        "a running vacuum cleaner, the roar of a vacuum cleaner",
        ("loudly", "nearby", "continuously", "steadily"),
    ),
    "fireworks": _words(
        "fireworks|explode|exploding; fireworks|burst|bursting|in the sky; fireworks|go|going|off",
        "exploding fireworks, bursts of fireworks",
        ("loudly", "repeatedly", "nearby", "in the distance", "overhead"),
    ),
}
