# SPDX-License-Identifier: BSD-2-Clause
"""Assertions that tell what was there instead, and marks for tests."""
import re


def eq(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what or 'value'}: got {got!r}, want {want!r}")


def lines_eq(got, want, what=""):
    """Two texts, compared line by line."""
    g = got.splitlines() if isinstance(got, str) else list(got)
    w = want.splitlines() if isinstance(want, str) else list(want)
    if g != w:
        import difflib
        diff = "\n".join(difflib.unified_diff(w, g, "want", "got", lineterm="", n=2))
        raise AssertionError(f"{what or 'text'} differs\n{diff}")


def at_least(got, least, what=""):
    if got < least:
        raise AssertionError(f"{what or 'value'}: got {got!r}, want at least {least!r}")


def between(got, lo, hi, what=""):
    if not lo <= got <= hi:
        raise AssertionError(f"{what or 'value'}: got {got!r}, want {lo!r} to {hi!r}")


def contains(text, part, what=""):
    if part not in text:
        raise AssertionError(f"{what or 'text'}: {part!r} is not in\n{text}")


def absent(text, part, what=""):
    if part in text:
        raise AssertionError(f"{what or 'text'}: {part!r} is in\n{text}")


def matches(text, pattern, what=""):
    m = re.search(pattern, text, re.M)
    if not m:
        raise AssertionError(f"{what or 'text'}: {pattern!r} matches nothing in\n{text}")
    return m


class Skip(Exception):
    """This machine cannot do it; counted apart, with the reason."""


def timeout(seconds):
    """A test may take that long (60 s by default)."""
    def mark(f):
        f.timeout = seconds
        return f
    return mark


def cases(*params):
    """One test for each parameter: a tuple whose first element names it."""
    def mark(f):
        f.cases = params
        return f
    return mark


def one_lab(make, by=None):
    """
    The cases, or those that are alike in parameter number `by', are run one after the other
    at the lab that make() returns, which may be given that parameter; after one that has
    failed, at another.  The test gets the lab as its first argument.  Its clean() says that
    the next may begin.
    """
    def mark(f):
        f.lab = make
        f.lab_of = lambda params: () if by is None else (params[by],)
        return f
    return mark
