"""Words, and what counts as the same one. Pure."""

from __future__ import annotations

import re

TIME_WORDS = (
    "today", "tomorrow", "tonight", "yesterday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday",
    "sunday", "this", "next",
)  # fmt: skip
_EMPTY_WORDS = """
    a about all also am an and any are as at be been by can could currently current did do does for from get
    gets give has have hello hey hi how i if in information into is it its kind let like look made make me my
    named near now of okay on or our out outside over please returns right say see she show so some such tell
    that the their them then there these they thing this those times to up us use used user using was we well what
    what's whats when where whether which who whose why will with would you your want know need how's it's i'd
    i'm let's given name called
"""
STOP_WORDS = frozenset(_EMPTY_WORDS.split()) | frozenset(TIME_WORDS)
"""Words that do not tell one tool from another."""


def plain(name: str) -> str:
    """get_currentWeather -> get current weather"""
    return re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)).strip().lower()


def stem(word: str) -> str:
    """A word without its commonest endings: cities -> city, raining -> rain."""
    word = word.lower().replace("’", "'").removesuffix("'s")
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    for ending, least in (("ing", 6), ("ed", 5)):
        if len(word) >= least and word.endswith(ending):
            return word.removesuffix(ending)
    return word


def stems(text: str) -> set[str]:
    """The words of a text that say something, by their stems."""
    words = re.findall(r"[\w'’]+", text.lower())
    return {stem(word) for word in words if word not in STOP_WORDS}
