"""Colours and arrow heads: an actor has the same ones in every picture and in the terminal."""

from pvc.fsm.row import roles_in
from pvc.fsm.states import By

# The colours are those of Okabe and Ito, darkened where thin lines on white need it: they stay apart for the colour-blind.
COLOURS = {
    By.CLIENT: "#0072b2",
    By.OWNER: "#00875f",
    By.TARGET: "#a05a00",
    By.HOME: "#7a6a00",
    By.HOST: "#b0307a",
    By.FENCER: "#cc3311",
    By.PEER: "#6a3d9a",
    By.SESSION: "#555555",
}

# Black-and-white prints and screen readers of shapes tell actors apart by these.
HEADS = {
    By.CLIENT: "vee",
    By.OWNER: "normal",
    By.TARGET: "onormal",
    By.HOME: "empty",
    By.HOST: "box",
    By.FENCER: "diamond",
    By.PEER: "odiamond",
    By.SESSION: "dot",
}

# What the heads look like, for a legend made of text.
GLYPHS = {
    By.CLIENT: "\u2794",
    By.OWNER: "\u25b6",
    By.TARGET: "\u25b7",
    By.HOME: "\u25bd",
    By.HOST: "\u25a0",
    By.FENCER: "\u25c6",
    By.PEER: "\u25c7",
    By.SESSION: "\u25cf",
}


# Words about several actors that may fire the same row.
SEVERAL = "#333333"


def colour(by: By) -> str:
    """The colour of an actor; for several that may take the same arrow, their colours side by side."""
    return ":".join(COLOURS[role] for role in roles_in(by))


def text_colour(by: By) -> str:
    """The colour of words about an actor."""
    return COLOURS.get(by, SEVERAL)
