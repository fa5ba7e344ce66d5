"""The forms of the verbs that captions of sounds use: bark, barks, barking, barked."""

from __future__ import annotations

import re

# the verbs of published captions of sounds; left out are those whose "-s" form is mostly a noun
VERBS = """
accelerate add adjust advance alternate announce answer applaud approach argue arrange assemble
attempt baa babble backfire bang bark beat become beep begin belch bellow bite blare blast bleat
bleep blend blow bob boil boom bounce brake break breathe brew bring brush bubble bump burble burn
burp burst bustle buzz cackle call calm carry catch caw change chant chat chatter cheep cheer chew
chime chirp choke chop chuckle chug churn circle clack clamor clang clank clap clash clatter clean
clear click climb clink clip clip-clop clop close cluck clump clunk collapse collide comb come
communicate consist continue converse coo cook cough crack crackle crank crash creak crinkle croak
cross crow cruise crumble crumple crunch crush cry cut cycle dance decelerate decrease demonstrate
depart descend dial die dig ding dip discuss dispense drag drain draw dribble drift drill drink drip
drive drizzle drone drop drum eat echo emit erupt escape exchange exhale exit expel explode express
fade fall fart feed fiddle fight fill fire fix fizz flap flicker flip float flow flush flutter fly
fold fry fumble gain gallop gargle gasp gather get giggle give go gobble grate grind groan grow
growl grumble grunt gulp gurgle gush hammer handle happen have hear heave help hiccup hiss hit hold
holler honk hoot hover howl hum hurry idle ignite imitate increase indicate inhale intensify jangle
jingle jog join jump keep kick knead knock lap lash laugh lead lick lift listen lock look lose lower
make mate meow mew mimic mix moan moo move mow muffle mumble munch murmur mutter narrate neigh
nibble observe occur oink open operate oscillate overflow pace paddle pant pass patter pause peck
peddle peel peep pelt percolate perform pick ping pitch play plop plunge pop pound pour practice
prepare press pretend proceed produce pull pulsate pulse pump punch purr push put putter quack race
rage rain raise rake rap rasp ratchet rattle reach read recede release remove repeat resonate
respond resume return rev reverberate ride ring rinse rip ripple rise roam roar roll rotate row rub
ruffle rumble rummage run rush rustle sail sand saw say scamper scan scatter scoop scrape scratch
scream screech scribble scrub scuff scuffle scurry search set shake sharpen shatter shave shift
shoot shout shovel shred shriek shuffle shut sigh signal sing sip sit sizzle skid slam slap slice
slide sling slosh slow slurp smack smash snap snarl sneak sneeze snicker sniff sniffle snip snore
snort soar sob sort sound spark spatter speak speed spew spin spit splash splat splatter splutter
spray spread sprinkle spurt sputter squawk squeak squeal squeeze squelch squirt squish stack stamp
stand start stick stir stomp stop storm strain stream stretch strike stroll struggle strum stutter
suck surround swallow swarm sway sweep swim swing swirl swish switch swoosh take talk tap tear throw
thrum thud thump thunder thwack tick tick-tock tie tighten tinker tinkle toll toot toss touch travel
tread trickle trill trim trot trudge try tug tumble tune turn tweet twirl twist twitter type unlock
unwrap unzip use vacuum vary vibrate vocalize wade wail walk warble wash weld wheeze whimper whine
whinny whip whir whirl whisper whistle whizz whoop whoosh wiggle wind wipe woof work wrap write yank
yap yell yelp yip yodel yowl zip zoom
""".split()
IRREGULAR = """
beat:beat,beaten begin:began,begun blow:blew,blown break:broke,broken burst:burst,burst
catch:caught,caught come:came,come cut:cut,cut dig:dug,dug drink:drank,drunk drive:drove,driven
eat:ate,eaten fall:fell,fallen feed:fed,fed fight:fought,fought fly:flew,flown get:got,gotten
give:gave,given grow:grew,grown
go:went,gone grind:ground,ground have:had,had hit:hit,hit hold:held,held
keep:kept,kept
read:read,read ride:rode,ridden ring:rang,rung rise:rose,risen run:ran,run
say:said,said set:set,set shake:shook,shaken shut:shut,shut sing:sang,sung sit:sat,sat
slide:slid,slid speak:spoke,spoken speed:sped,sped spin:spun,spun spit:spat,spat stand:stood,stood
strike:struck,stricken sweep:swept,swept swim:swam,swum swing:swung,swung take:took,taken
tear:tore,torn throw:threw,thrown tread:trod,trodden write:wrote,written
bite:bit,bitten bring:brought,brought make:made,made shoot:shot,shot
put:put,put spread:spread,spread wind:wound,wound lose:lost,lost become:became,become
draw:drew,drawn hear:heard,heard lead:led,led stick:stuck,stuck sling:slung,slung
sneak:sneaked,snuck
"""
DOUBLED_AT_THE_END = ("begin", "emit", "outrun")  # stressed on the last of several syllables
NOUNS_IN_ING = frozenset(
    "anything building ceiling clothing evening everything lightning morning nothing ongoing "
    "oncoming railing ring something spring string thing king wing during swing sing bring cling "
    "being engineering deafening including fling ting ping".split()
)


def participle(verb: str) -> str:
    """The present participle: barking, running, dying."""
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and verb[-2] not in "eoy":
        return verb[:-1] + "ing"
    return _doubled(verb) + "ing"


def third_person(verb: str, *, plural: bool = False) -> str:
    """The present: "barks" of one, "bark" of several."""
    if plural:
        return verb
    if verb == "have":
        return "has"
    if re.search("(s|x|z|ch|sh|[^aeiou]o)$", verb) or verb in ("go", "do"):
        return verb + "es"
    return verb[:-1] + "ies" if re.search("[^aeiou]y$", verb) else verb + "s"


def _doubled(verb: str) -> str:
    """With its last consonant twice, where endings want that: stop, stopp-ing."""
    short = re.fullmatch("(?:[^aeiou]|qu)*[aeiouy][^aeiouwxy]", verb)
    return verb + verb[-1] if short or verb in DOUBLED_AT_THE_END else verb


def _past(verb: str) -> tuple[str, ...]:
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if verb.endswith("e"):
        return (verb + "d",)
    return (verb[:-1] + "ied" if re.search("[^aeiou]y$", verb) else _doubled(verb) + "ed",)


_IRREGULAR = {
    verb: tuple(forms.split(",")) for verb, forms in (row.split(":") for row in IRREGULAR.split())
}
BASE = frozenset(VERBS)
OF_PARTICIPLE = {participle(verb): verb for verb in VERBS} | {"vocalising": "vocalize"}
OF_THIRD_PERSON = {third_person(verb): verb for verb in VERBS}
OF_PAST = {form: verb for verb in VERBS for form in _past(verb)}
# forms that are other words, too: "a saw", "the ground"
PAST_ONLY = frozenset(OF_PAST) - BASE - {"ground", "rose", "wound", "bit", "led", "shot"} | set(
    "was were had did been done made left heard said told became".split()
)


def verb_of_participle(word: str) -> str | None:
    """The verb of "barking"; of an unknown participle its stem, None of other words."""
    if word in NOUNS_IN_ING or not word.endswith("ing"):
        return None
    return OF_PARTICIPLE.get(word, "")
