"""Words of captions by what they do in a sentence: the closed classes, and common adjectives."""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# what stands before the event: "In the background there is the sound of …"
LEADS = re.compile(
    r"^(?:(?:in|at|from) the (?:\w+ )?(?:background|distance|foreground|beginning|start),? "
    r"|there(?:'s| is| are| was| were) |it (?:is|was|sounds like) "
    r"|(?:this|that|these|those) (?:is|are) "
    r"|(?:i|we|you|someone) (?:can )?hears? |what sounds like |sounds like "
    r"|(?:[\w-]+ ){0,3}(?:sounds?|noises?) "
    r"(?:of|from|made by|like|coming from|being made by|as) "
    r"|(?:and|then|followed by|followed|with|of|also|but|by|to|is|are) "
    r"|(?:a|an|the|some|this|that|his|her|its|their|my|your|our|very|different|various) )"
)
# where the first clause ends
BOUNDARIES = _words("""
as while when whilst before after then followed until till because where which that who whom whose
but since although though so including accompanied than if ; : , . ( ) who's that's it's
""")
PREPOSITIONS = _words("""
about above across against along alongside amid among around at atop behind below beneath beside
between beyond by down during for from in inside into like near nearby of off on onto out outside
over past through throughout to toward towards under underneath up upon via with within without away
back forth together apart again
""")
PARTICLES = _words("by off down up over away along past around through back out on")
DETERMINERS = _words("""
a an the some this that these those his her its their my your our
""")
# "a group of people" are people
COLLECTIVES = _words("""
group crowd flock herd pack series set couple number bunch lot pair variety swarm gaggle litter
handful lots dozens bit multitude kind type sort form piece amount
""")
PLURALS = _words("""
people men women children kids geese mice feet teeth sheep cattle bees birds police wolves leaves
several two three four many few multiple both others someones
""")
ADJECTIVES = _words("""
loud loudly soft slow fast low high quiet faint distant heavy light steady continuous sharp short
long deep small large big young old hard clear constant dull gentle strong intermittent rhythmic
mechanical electronic electric electrical metallic metal wooden hollow quick rapid sudden brief
different various several two three four five many multiple few more other another one adult little
tiny huge good bad dry wet hot cold warm thick thin noisy windy rainy busy slight consistent
repetitive rhythmical gradual heavy-duty high-pitched low-pitched vehicular human animal public
certain strange odd weird natural single very really quite somewhat extremely indistinct unknown
foreign native english french spanish white same audible present ongoing
""")
# in "-ed", but no past: they describe a thing
STATES = _words("""
muffled distorted high-pitched low-pitched crowded amplified motorized pressurized excited muted
synthesized wooded enclosed stringed hoofed red bed shed sled weed seed feed speed steed reed need
indeed hundred sped breed bleed freed agreed exceed proceed succeed kindred watershed
""")
# "playing guitar" is no guitar that plays
TRANSITIVE = _words("""
play wash use type open close shut cut chop stir make pour tear rip pull push drive ride clean brush
shuffle eat drink hit rub turn crumple fill set take give get hold throw strike sharpen read write
dial press operate kick carry sweep feed fry
""")
AUXILIARIES = _words("""
is are was were be been being can could will would may might has have had does do did
""")
SKIPPED = AUXILIARIES | _words("heard not also still there just now")
CATENATIVES = _words("begin start continue keep proceed attempt try")
LIGHT = _words("occur happen have")  # say only that the subject is there
EMPTY = _words("heard there present ongoing audible who's")
NOISES = _words("noise noises sound sounds effect effects")
PROPER = {
    word.lower(): word
    for word in "TV CD DJ PA UFO ATV AC English Spanish French German Chinese Japanese Russian "
    "Italian Arabic Christmas Morse American British Indian African".split()
}
