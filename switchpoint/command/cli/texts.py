"""Texts that come from data, on a terminal."""


def plain(line: str) -> str:
    """One line of what can be printed: a photo's name is data, and may hold line breaks or be no UTF-8."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line)
