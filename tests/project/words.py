"""The words that this project does not use, each with the standard term.

The rules are for English text: prose, comments, docstrings and messages. Each pattern is matched
case-insensitively in text whose line breaks were replaced by spaces.
"""

from typing import NamedTuple


class Word(NamedTuple):
    """A rule about a word.

    Attributes:
        write: The standard term.
        instead_of: The rejected one, as `CONTRIBUTING.md` shows it.
        pattern: Regular expression of the rejected one.
    """

    write: str
    instead_of: str
    pattern: str


_PLACE = "in|on|at|there|here|beside|before|below|above"

WORDS = (
    Word("transient", "passing", r"\bpassing (failure|reason|error|trouble)|for passing\b"),
    Word(
        "attempt, retry",
        "try",
        r"\btries\b|\b(a|another|each|every|first|further|last|next|one) try\b|\btr(y|ied) again\b",
    ),
    Word("reject, rejected", "refuse, refused", r"(?<!connection )\brefus(e|es|ed|ing|al)\b"),
    Word("reject, drop", "keep out", r"\bke(pt|eps?) (\w+ )?out\b"),
    Word("timestamp, time", "moment", r"\bmoments?\b"),
    Word("time zone", "zone", r"(?<!time )(?<!time-)\bzones?\b"),
    Word("quarantined, aborted, skipped", "put aside, set aside", r"\baside\b"),
    Word("rows with the same key", "rows of one key", r"\b(of one|one) key('s)?\b(?! columns?\b)"),
    Word("check against, verify", "hold against", r"\bh(eld|olds?|olding) (\w+ ){0,2}against\b"),
    Word("source system, simulated", "outside world", r"\boutside (world|systems?)\b"),
    Word("watermark", "mark", r"\b(table'?s?|moves? (its|the)) mark\b"),
    Word("reload, full refresh, again", "afresh, anew", r"\b(afresh|anew)\b"),
    Word(
        "another writer, a user, the operator",
        "somebody, nobody, whoever",
        r"\b(some|no|any|every)body\b|\bwho(m)?ever\b",
    ),
    Word("other systems", "others write", r"\bothers (write|wrote)\b"),
    Word(
        "is not a valid …",
        "is no …",
        r"(?<!there )\b(is|are|was|were) no (?!longer|later|earlier|older|more|other|less)[a-z]",
    ),
    Word("is stored in, is defined in", "stands in", rf"\bst(ands?|ood) ({_PLACE})\b"),
    Word("report, configure", "tell of, told", r"\btold\b|\btell(s|ing)? of\b"),
    Word("repair, correct", "mend", r"\bmend(s|ed|ing)?\b"),
    Word("continue", "go on", r"\b(goes|went) on\b(?! the\b)|\bto go on\b"),
    Word("forever", "for ever", r"\bfor ever\b"),
    Word("corrupt a response", "spoil an answer", r"\bspoils? (\w+ )?(\w+'s )?answers?\b"),
    Word("redact", "strike out", r"\bstr(uck|ikes?) out\b"),
)
