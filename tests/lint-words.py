#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""lint-words.py - does the man page tell all, and only what there is?

Every name for -P, every key of a JSON object, every TLS library and every
reason of a loss that the sources have must stand in the man page; every key
that stands there must be in the sources.  Prints what does not, and then exits
with 1.  Of options tests/cli.bats asks the program itself.
"""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
ROOMS = ("parsers", "sinks")
KEY = r"[a-z][a-z0-9_]*(?:\.[a-z0-9_-]+)+"
# A call with an exchange, or a sink, and a key behind it; OWN is a prefix.
CALL = re.compile(
    r'\b\w+\(\s*&?(?:exchange|\w+->exchange|sink)\s*,\s*(?:\w+\s*,\s*)?'
    r'"([a-z0-9_.]+)"(?:\s*,\s*"([a-z0-9_.]+)")?')
OWN = re.compile(r'^#define OWN "([a-z_.]+)"\n', re.M)
OWN_KEY = re.compile(r'\bOWN\s+"([a-z0-9_.]+)"')
LITERAL = re.compile(r'"(%s)"' % KEY)
NAME = re.compile(
    r'^const struct (?:parser|http_application) \w+ = \{\s*\.name = "(\w+)"',
    re.M)
TLS = re.compile(r'\[BATCH_TLS_\w+\] = "(\w+)"')
LOSS = re.compile(r'\[LOSS_(?!NONE)\w+\] = "(\w+)"')
COMMENT = re.compile(r"/\*.*?\*/", re.S)
# Keys that are made of a part that is known and one that is not.
OPEN = ("capture.lost.", "db.query.parameter.")
# Values of a key, that look like one.
VALUES = {"datasnoop.exchange", "datasnoop.summary"}


def sources():
    """The text of every source that writes keys, without comments."""
    for room in ROOMS:
        for path in sorted((TOP / room).glob("*.[ch]")):
            yield COMMENT.sub("", path.read_text(encoding="utf-8"))


def keys_of(texts):
    """Keys, and the literals that may be some by what they begin with."""
    keys, literals = {"timestamp"}, set()
    for text in texts:
        own = OWN.search(text)
        prefix = own.group(1) if own else ""
        text = OWN.sub("", text)
        keys |= {prefix + key for key in OWN_KEY.findall(text)}
        keys |= {key for pair in CALL.findall(text) for key in pair
                 if "." in key}
        literals |= set(LITERAL.findall(text))
    # Keys in tables and macros share a first word with one in a call; so do
    # names in the JSON of an API, which are no keys, with none of ours.
    spaces = {key.split(".")[0] for key in keys} - {"client", "error",
                                                   "server"}
    keys |= {literal for literal in literals
             if literal.split(".")[0] in spaces}
    return keys - VALUES


def page_text():
    """The man page without its escapes."""
    page = (TOP / "man/datasnoop.8").read_text(encoding="utf-8")
    page = re.sub(r"\\f[BIRP]", "", page)
    return page.replace("\\-", "-").replace("\\&", "")


def missing_of(page, texts, words):
    """What the sources have and the page has not, but for keys."""
    connection = (TOP / "streams/connection.c").read_text(encoding="utf-8")
    account = (TOP / "streams/account.c").read_text(encoding="utf-8")
    found = [
        {"-P " + name: re.search(r"^%s\t" % name, page, re.M)
         for text in texts for name in NAME.findall(text)},
        {name: name in words for name in TLS.findall(connection)},
        {name: name in words for name in LOSS.findall(account)},
    ]
    for kind in found:
        if not kind:
            yield "what to compare with"
        yield from sorted(name for name in kind if not kind[name])


def main():
    """All checks; the status."""
    texts = list(sources())
    keys = keys_of(texts)
    page = page_text()
    words = set()
    for word in re.findall(r"[A-Za-z0-9_.-]+", page):
        words |= {word, word.rstrip(".-")}
    missing = sorted(keys - words) + list(missing_of(page, texts, words))
    spaces = {key.split(".")[0] for key in keys}
    stale = sorted(word for word in words - keys - VALUES
                   if re.fullmatch(KEY, word) and
                   word.split(".")[0] in spaces and
                   not (word + ".").startswith(OPEN))
    for word in missing:
        print(f"man page: {word} is missing")
    for word in stale:
        print(f"man page: {word} is in no source")
    return 1 if missing or stale else 0


if __name__ == "__main__":
    sys.exit(main())
