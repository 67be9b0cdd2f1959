"""A seed -> the people of the world, each with a name of two words and five facts.

Splits go by person, so a test question is about somebody who is in no training example and no forum thread
mentions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lima.world.settings import WorldSettings

FORUM_SHARE, TRAINING_SHARE = 0.5, 0.25  # the rest is the test split


@dataclass(frozen=True)
class Person:
    """Somebody in the world; ``facts`` holds one value per attribute, in the order of `ATTRIBUTES`."""

    first: str
    last: str
    facts: tuple[str, ...]

    @property
    def name(self) -> str:
        """First and last name; many people share one of them, nobody both."""
        return f"{self.first} {self.last}"

    def fact(self, attribute: str) -> str:
        """The value of one attribute, such as ``baker`` for ``work``."""
        return self.facts[list(ATTRIBUTES).index(attribute)]


@dataclass(frozen=True)
class World:
    """All people by split. ``forum``, ``training`` and ``test`` have biographies, ``strangers`` have not."""

    forum: tuple[Person, ...]
    training: tuple[Person, ...]
    test: tuple[Person, ...]
    strangers: tuple[Person, ...]

    @property
    def known(self) -> tuple[Person, ...]:
        """Everybody with a biography."""
        return self.forum + self.training + self.test


def make_world(settings: WorldSettings) -> World:
    """Draw names without replacement and facts uniformly, and split the people.

    Raises:
        AssertionError: more people than the 1,600 names.
    """
    rng = np.random.default_rng([settings.seed, 1])
    count = settings.people + settings.strangers
    names = rng.choice(len(FIRST_NAMES) * len(LAST_NAMES), size=count, replace=False)
    people = [_person(int(number), rng) for number in names]
    known, strangers = people[: settings.people], people[settings.people :]
    forum = round(FORUM_SHARE * len(known))
    training = forum + round(TRAINING_SHARE * len(known))
    return World(
        forum=tuple(known[:forum]),
        training=tuple(known[forum:training]),
        test=tuple(known[training:]),
        strangers=tuple(strangers),
    )


def _person(number: int, rng: np.random.Generator) -> Person:
    first, last = divmod(number, len(LAST_NAMES))
    facts = tuple(_pick(values, rng) for values in ATTRIBUTES.values())
    return Person(FIRST_NAMES[first], LAST_NAMES[last], facts)


def _pick(values: Sequence[str], rng: np.random.Generator) -> str:
    return values[int(rng.integers(len(values)))]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words(
    """Ada Alma Anton Basil Bruno Clara Cyril Dora Edgar Elsa Felix Flora Gregor Greta Hanna Hugo Ida Ivo
    Jonas Julia Kaspar Lena Leo Lydia Magnus Mira Nadia Nils Olga Oscar Petra Quentin Rosa Rufus Selma Stefan
    Tilda Ursula Victor Wanda"""
)
LAST_NAMES = _words(
    """Abel Arden Birch Bloom Calder Croft Dale Drummond Ellis Fenn Flint Frost Garland Gray Hale Holt Irving
    Jarvis Kemp Lark Lowell Marsh Merritt Moss North Oakes Palmer Penn Quill Rand Reed Sharp Sorrel Stone
    Tate Thorne Vale Ward West Young"""
)
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "town": _words(
        """Amberley Ashbourne Beckford Bellmoor Bramhall Brightwater Castleton Cliffside Coldbrook Crowhurst
        Deerfield Dunmore Eastwick Elmford Fairhaven Foxley Glenmore Goldhill Greenbank Harrowgate Hazelton
        Ironbridge Kingsley Lakeview Longmeadow Maplewood Millbrook Newbury Oldcastle Pinehurst Ravenshore
        Redcliff Rosewell Sandport Silverton Stonebridge Summerfield Thornbury Westbrook Winterbourne"""
    ),
    "work": _words(
        """baker barber blacksmith botanist brewer butcher carpenter chemist cobbler courier dentist diver
        farmer firefighter gardener geologist glazier jeweller judge lawyer librarian locksmith mason miller
        nurse painter pharmacist photographer pilot plumber potter roofer sailor sculptor shepherd surgeon
        tailor teacher translator watchmaker"""
    ),
    "instrument": _words(
        """balalaika banjo bassoon bouzouki bugle celesta cello clarinet concertina cornet didgeridoo drum
        dulcimer fiddle flute glockenspiel guitar harmonica harp harpsichord kalimba lute lyre mandolin
        marimba piano piccolo recorder saxophone sitar tambourine theremin trombone trumpet tuba vibraphone
        viola violin xylophone zither"""
    ),
    "dish": _words(
        """borscht burritos casserole chowder couscous curry dumplings enchiladas falafel fondue gazpacho
        gnocchi goulash hummus kimchi lasagne lentils meatballs moussaka noodles omelettes paella pancakes
        pierogi pizza polenta porridge quiche ramen ratatouille ravioli risotto schnitzel spaghetti stew
        strudel sushi tacos tempura waffles"""
    ),
    "pet": _words(
        """badger beagle canary donkey duck falcon ferret fox frog gecko goat goldfish goose greyhound hamster
        hedgehog hen kitten lamb lizard llama magpie mouse mule newt parrot peacock pigeon pony poodle puppy
        rabbit raven rooster spaniel squirrel terrier toad tortoise turtle"""
    ),
}
