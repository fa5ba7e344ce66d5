"""The words for each kind of sound: clauses in two forms, nouns, and what its strokes are called when counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clause:
    """A sound as subject, verb and the rest: "a dog" + "barks" or "barking" + "" (rest may be empty).

    All lower-case. ``finite()`` is a whole clause ("a dog barks"), ``gerund()`` a noun phrase ("a dog barking").
    takes: which adjectives fit the subject: "any" of a sound, "place" ("a distant dog") or "none" ("someone").
    """

    subject: str
    verb: str
    ing: str
    rest: str = ""
    takes: str = "place"

    def finite(self, *adverbs: str, subject: str | None = None) -> str:
        return self._join(subject or self.subject, self.verb, adverbs)

    def gerund(self, *adverbs: str, subject: str | None = None) -> str:
        return self._join(subject or self.subject, self.ing, adverbs)

    def _join(self, subject: str, verb: str, adverbs: tuple[str, ...]) -> str:
        """ "waves crash loudly on the shore", but "a car honks its horn loudly" and "an alarm goes off loudly"."""
        first, _, more = self.rest.partition(" ")
        inner = [
            word
            for word in adverbs
            if word.endswith("ly") and more and first in ("on", "in", "over", "at", "into")
        ]
        outer = [word for word in adverbs if word not in inner]
        return " ".join(filter(None, (subject, verb, *inner, self.rest, *outer)))


@dataclass(frozen=True, slots=True)
class Words:
    """What may be said of one kind of sound.

    nouns: names of the sound without a verb ("the barking of a dog"), to which any adjective fits.
    stroke: ("bark", "barks", "of a dog"), for kinds that are counted. body: the adjectives for a low and a high voice
    that fit the subject ("large", "small"), where those of a sound do not. voice: where the pitch lies ("in a deep
    voice") instead of "at a low pitch".
    """

    clauses: tuple[Clause, ...]
    nouns: tuple[str, ...]
    stroke: tuple[str, str, str] | None = None
    body: tuple[str, str] | None = None
    voice: tuple[str, str] = ("at a low pitch", "at a high pitch")


MARKS = {"~": "any", "-": "none"}  # before a subject: it is a sound itself; it takes no adjective


def _words(clauses: str, nouns: str, stroke: str = "", body: str = "", voice: str = "") -> Words:
    """Read the short notation below: clauses by ";", nouns by ",", and the parts of all others by "|"."""
    found = []
    for row in clauses.split("; "):
        takes = MARKS.get(row[0], "place")
        subject, verb, ing, *rest = row.lstrip("~-").split("|")
        found.append(Clause(subject, verb, ing, "".join(rest), takes))
    one_many = tuple(stroke.split("|")) if stroke else None
    bodies = tuple(body.split("|")) if body else None
    voices = tuple(voice.split("|")) if voice else ("at a low pitch", "at a high pitch")
    return Words(tuple(found), tuple(nouns.split(", ")), one_many, bodies, voices)  # type: ignore[arg-type]


DEEP = "in a deep voice|in a high voice"

WORDS: dict[str, Words] = {
    "rain": _words(
        "~rain|falls|falling; ~rain|patters|pattering|on a roof; raindrops|patter|pattering",
        "rainfall, rain",
    ),
    "wind": _words(
        "-the wind|blows|blowing; -wind|howls|howling; -the wind|gusts|gusting",
        "wind, gusts of wind",
    ),
    "sea_waves": _words(
        "waves|crash|crashing|on the shore; ocean waves|roll|rolling|in; waves|break|breaking|on a beach",
        "ocean waves, surf, the crashing of waves",
    ),
    "thunder": _words(
        "~thunder|rumbles|rumbling; ~thunder|rolls|rolling; ~thunder|claps|clapping",
        "thunder, a thunderclap",
    ),
    "stream": _words(
        "a stream|flows|flowing; a brook|babbles|babbling; water|runs|running|in a stream",
        "the bubbling of a stream, the babbling of a brook",
    ),
    "pouring": _words(
        "-someone|pours|pouring|water into a glass; -someone|is pouring|pouring|water; "
        "water|pours|pouring|into a container",
        "the pouring of water, water pouring",
    ),
    "drip": _words(
        "water|drips|dripping; a tap|drips|dripping; water drops|fall|falling|into a basin",
        "dripping water, the dripping of a tap",
    ),
    "fire": _words(
        "a fire|crackles|crackling; a fire|burns|burning; wood|crackles|crackling|in a fire",
        "the crackling of a fire, the crackle of flames",
    ),
    "dog": _words(
        "a dog|barks|barking; a dog|is barking|barking",
        "the barking of a dog",
        "bark|barks|of a dog",
        "large|small",
    ),
    "cat": _words(
        "a cat|meows|meowing; a cat|is meowing|meowing",
        "the meowing of a cat",
        "meow|meows|of a cat",
    ),
    "cow": _words(
        "a cow|moos|mooing; a cow|is mooing|mooing", "the mooing of a cow", "moo|moos|of a cow"
    ),
    "sheep": _words(
        "a sheep|bleats|bleating; a sheep|baas|baaing",
        "the bleating of a sheep",
        "bleat|bleats|of a sheep",
    ),
    "duck": _words(
        "a duck|quacks|quacking; a duck|is quacking|quacking",
        "the quacking of a duck",
        "quack|quacks|of a duck",
    ),
    "crow": _words(
        "a crow|caws|cawing; a crow|is cawing|cawing", "the cawing of a crow", "caw|caws|of a crow"
    ),
    "frog": _words(
        "a frog|croaks|croaking; a frog|is croaking|croaking",
        "the croaking of a frog",
        "croak|croaks|of a frog",
    ),
    "owl": _words(
        "an owl|hoots|hooting; an owl|is hooting|hooting",
        "the hooting of an owl, the call of an owl",
    ),
    "birds": _words(
        "birds|chirp|chirping; birds|sing|singing; birds|tweet|tweeting|in the trees",
        "birdsong, the chirping of birds",
    ),
    "crickets": _words(
        "crickets|chirp|chirping; crickets|sing|singing; crickets|are chirping|chirping|at night",
        "the chirping of crickets",
    ),
    "insect": _words(
        "a fly|buzzes|buzzing|around; a bee|buzzes|buzzing; an insect|buzzes|buzzing",
        "the buzzing of an insect, the buzz of a fly",
    ),
    "man": _words(
        "a man|speaks|speaking; a man|talks|talking; a man|is speaking|speaking",
        "the speech of a man",
        voice=DEEP,
    ),
    "woman": _words(
        "a woman|speaks|speaking; a woman|talks|talking; a woman|is speaking|speaking",
        "the speech of a woman",
        voice=DEEP,
    ),
    "crowd": _words(
        "a crowd|murmurs|murmuring; people|chatter|chattering; a crowd of people|talks|talking",
        "the murmur of a crowd, crowd chatter, the chatter of many people",
    ),
    "baby": _words(
        "a baby|cries|crying; an infant|cries|crying; a baby|wails|wailing",
        "the crying of a baby, the cry of an infant",
    ),
    "cough": _words(
        "-someone|coughs|coughing; a person|coughs|coughing", "coughing", "cough|coughs|"
    ),
    "snoring": _words(
        "-someone|snores|snoring; a person|snores|snoring; a person|is snoring|snoring", "snoring"
    ),
    "whistle": _words(
        "-someone|whistles|whistling|a tune; a person|whistles|whistling; a person|is whistling|whistling",
        "whistling, the whistling of a person",
    ),
    "siren": _words(
        "~a siren|wails|wailing; ~an emergency siren|wails|wailing; ~a siren|howls|howling",
        "the wail of a siren, the wailing of an emergency siren",
    ),
    "alarm_clock": _words(
        "~an alarm clock|beeps|beeping; ~an alarm|beeps|beeping; ~an electronic alarm|beeps|beeping",
        "the beeping of an alarm clock, beeping",
    ),
    "church_bell": _words(
        "~a church bell|rings|ringing; ~a bell|tolls|tolling; ~a bell|rings|ringing",
        "the ringing of a church bell, the tolling of a bell",
        "stroke|strokes|of a bell",
    ),
    "gong": _words(
        "~a gong|sounds|sounding; -someone|strikes|striking|a singing bowl; -someone|strikes|striking|a gong",
        "the ringing of a gong, the ringing of a singing bowl",
        "stroke|strokes|of a gong",
    ),
    "clock": _words("a clock|ticks|ticking; a clock|is ticking|ticking", "the ticking of a clock"),
    "telephone": _words(
        "~a telephone|rings|ringing; ~a phone|rings|ringing; ~a telephone|is ringing|ringing",
        "the ringing of a telephone, the ringing of a phone",
        "ring|rings|of a telephone",
    ),
    "car_horn": _words(
        "~a car horn|honks|honking; a car|honks|honking|its horn; ~a car horn|beeps|beeping",
        "the honking of a car horn",
        "honk|honks|of a car horn",
    ),
    "hum": _words(
        "~an electrical hum|drones|droning; a transformer|hums|humming; an electrical appliance|hums|humming",
        "an electrical hum, the hum of a transformer, electrical humming",
    ),
    "static": _words(
        "a radio|hisses|hissing|with static; ~radio static|crackles|crackling; ~static|crackles|crackling|on a radio",
        "radio static, static from a radio",
    ),
    "guitar": _words(
        "~a guitar|plays|playing; -someone|plays|playing|the guitar; -someone|plucks|plucking|a guitar",
        "guitar music, the plucking of a guitar",
    ),
    "piano": _words(
        "~a piano|plays|playing; -someone|plays|playing|the piano; a pianist|plays|playing",
        "piano music",
    ),
    "drums": _words(
        "drums|beat|beating; -someone|plays|playing|the drums; a drummer|plays|playing|a beat",
        "drumming, a drum beat",
    ),
    "footsteps": _words(
        "-someone|walks|walking; ~footsteps|sound|sounding; a person|walks|walking|along",
        "footsteps, the footsteps of a person",
    ),
    "horse": _words(
        "a horse|trots|trotting; a horse|clip-clops|clip-clopping|along; hooves|clatter|clattering",
        "the hoofbeats of a horse, the clip-clop of hooves",
    ),
    "knocking": _words(
        "-someone|knocks|knocking|on a door; a person|knocks|knocking|on a wooden door; "
        "-someone|is knocking|knocking|at the door",
        "knocking on a door",
        "knock|knocks|on a door",
    ),
    "hammer": _words(
        "-someone|hammers|hammering|on a nail; a hammer|strikes|striking|a nail; a person|hammers|hammering",
        "hammering, the hammering of a nail",
        "blow|blows|of a hammer",
    ),
    "door": _words(
        "a door|slams|slamming; a door|slams|slamming|shut; -someone|slams|slamming|a door",
        "the slamming of a door",
        "slam|slams|of a door",
    ),
    "gunshot": _words(
        "a gun|fires|firing; -someone|fires|firing|a gun; -someone|shoots|shooting|a gun",
        "gunfire, shooting",
        "gunshot|gunshots|",
    ),
    "fireworks": _words(
        "fireworks|explode|exploding; fireworks|go|going|off; fireworks|burst|bursting|in the sky",
        "fireworks, the booms of fireworks",
    ),
    "glass": _words(
        "glass|breaks|breaking; glass|shatters|shattering; a window|shatters|shattering",
        "the breaking of glass, the shattering of glass",
    ),
    "typing": _words(
        "-someone|types|typing|on a keyboard; a person|types|typing|on a computer keyboard; -someone|is typing|typing",
        "typing on a keyboard, the clicking of computer keys",
    ),
    "clapping": _words(
        "people|clap|clapping; an audience|applauds|applauding; a crowd|claps|clapping",
        "applause, clapping, the applause of an audience",
    ),
    "engine": _words(
        "~an engine|runs|running; ~a motor|runs|running; ~an engine|rumbles|rumbling",
        "the rumble of an engine, the running of an engine, engine noise",
    ),
    "helicopter": _words(
        "a helicopter|flies|flying; a helicopter|hovers|hovering; the blades of a helicopter|chop|chopping|the air",
        "the chopping of a helicopter, helicopter noise",
    ),
    "vacuum_cleaner": _words(
        "~a vacuum cleaner|runs|running; ~a vacuum cleaner|hums|humming; -someone|vacuums|vacuuming|the floor",
        "the roar of a vacuum cleaner, the running of a vacuum cleaner",
    ),
    "drill": _words(
        "~a drill|whirs|whirring; -someone|drills|drilling; ~an electric drill|runs|running",
        "drilling, the whir of an electric drill",
    ),
    "saw": _words(
        "-someone|saws|sawing|wood; a hand saw|cuts|cutting|through wood; a person|saws|sawing|with a hand saw",
        "sawing, the sawing of wood",
    ),
    "train": _words(
        "a train|rattles|rattling|along; a train|clatters|clattering|over the rails; a train|passes|passing",
        "the clatter of a train, the rattling of a train",
    ),
    "hiss": _words(
        "~steam|hisses|hissing; air|hisses|hissing|out; ~steam|escapes|escaping",
        "the hissing of steam, hissing steam",
    ),
}
