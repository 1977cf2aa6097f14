# SPDX-License-Identifier: BSD-3-Clause
"""Words that follow a number."""


def counted(count: int, word: str, plural: str = "") -> str:
    """Say how many of something there are: "1 image", "2,000 images", "0 classes".

    Parameters
    ----------
    count : int
    word : str
        The word for one.
    plural : str, optional
        The word for several, if it is not made with an s, or es after an s.
    """
    if count != 1:
        word = plural or word + ("es" if word.endswith("s") else "s")
    return f"{count:,} {word}"


def verb(count: int, singular: str, plural: str) -> str:
    """The form of a verb that goes with a number."""
    return singular if count == 1 else plural
