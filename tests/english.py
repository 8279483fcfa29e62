"""English where Portuguese is wanted: words of English sentences, and of this product, that Portuguese does not have."""

import re
from typing import Final

_WORDS: Final = """
the of is are was were be been being and with without from this that these those it its to in on by at has have had not when which who
than but or all more less under over between each every so how what yes since until if then they them their there here you your we our
he she his her will would can could may might should must one two three first last new after before again ago any some other same only
just still yet also very much many most few too up down off into about against because while where why own nor nobody somebody nothing
something
payment payments transaction transactions fraud frauds alert alerts customer customers card cards merchant merchants device devices
address outcome outcomes reason reasons label labels review decline declined approve approved scored queue list lists entry entries
seal seals event events model models training trainings feature features value values amount amounts average threshold champion
challenger candidate shadow retired refused registered viewer analyst lead admin user users role open opened closed claimed waiting
running done failed cancelled deny allow watch snooze legitimate unsure known unknown day days week weeks month months hour hours
minute minutes time times now today name count version session sessions password settings search filter clear save share shared back
next older newer show hide usually policy rule rules test high low very
"""
ENGLISH: Final = frozenset(_WORDS.split())
_WORD: Final = re.compile(r"[A-Za-zÀ-ÿ]+")
_NAME: Final = re.compile(r"`[^`]*`|\S*[\w](?:[\d_@/:…]|\.(?=\w))\S*")
"""Of programs, settings, files and things with an id."""


def english_in(text: str) -> list[str]:
    """`no`, `as`, `do`, `me`, `a`, `for`, `out` are Portuguese too and never among them; what is written in capitals is a code."""
    words = _WORD.findall(_NAME.sub(" ", text))
    return [word for word in words if word.lower() in ENGLISH and not (len(word) > 1 and word.isupper())]
