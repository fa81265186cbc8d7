# SPDX-License-Identifier: GPL-2.0-or-later
"""score.py - does a tool report what is expected?

Lines are paired connection by connection, in order, by operation and main
text; only fields that an expected line has are compared.  A line with
`detail` may be left out, one that is reported and not expected is wrong,
unless the mapping says why its kind is `unasserted`.
"""
import collections
import re

# What identifies a line inside its connection.
KEY = ("op", "text", "uri", "cmd", "stream", "correlation_id", "method",
       "path")
# What says something about the expectation, not about the exchange.
ABOUT = {"n", "proto", "conn", "detail", "status_unasserted", "note", "tshark",
         "lossy_ok", "lossy", "uri_unknown", "via", "wire", "reason"}
# Compared when it is reported, not missed when it is not.
OPTIONAL = {"sample_rows", "doc_json", "resp_body_raw", "user_agent",
            "auth_plugin"}


class Result:
    """How many lines there were, how many are right, and what is not."""

    def __init__(self):
        self.lines = self.right = self.elsewhere = 0
        self.differences = []
        self.note = ""

    def add(self, other):
        self.lines += other.lines
        self.right += other.right
        self.elsewhere += other.elsewhere
        self.differences += other.differences

    def __str__(self):
        return "%d of %d right, %d differences" % (
            self.right, self.lines, len(self.differences))


def identity(line):
    """What joins a vector and its expectation."""
    return str(line.get("id", line.get("name", line.get("seqno"))))


def key(line):
    return tuple("" if line.get(k) is None else str(line[k]) for k in KEY)


def align(expected, actual):
    """The longest list of pairs in the order of both."""
    rows, columns = len(expected), len(actual)
    left = [key(line) for line in expected]
    right = [key(line) for line in actual]
    best = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in reversed(range(rows)):
        for j in reversed(range(columns)):
            best[i][j] = max(best[i + 1][j], best[i][j + 1],
                             best[i + 1][j + 1] + (left[i] == right[j])
                             if left[i] == right[j] else 0)
    pairs, i, j = [], 0, 0
    while i < rows and j < columns:
        if left[i] == right[j] and best[i][j] == best[i + 1][j + 1] + 1:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def match_any_order(expected, actual, same):
    """Pairs of equal keys wherever they are, those that agree first."""
    pairs, free = [], set(range(len(actual)))
    for agreed in (True, False):
        done = {i for i, _ in pairs}
        for i, line in enumerate(expected):
            if i in done:
                continue
            for j in sorted(free):
                if key(line) == key(actual[j]) and \
                        (not agreed or not same(line, actual[j])):
                    pairs.append((i, j))
                    free.discard(j)
                    break
    return pairs


def equal(expected, actual):
    """Numbers are printed in many ways, and may be printed as text."""
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if expected is None:
        return actual is None or actual == "NULL"
    if isinstance(expected, (int, float)) and \
            isinstance(actual, (int, float, str)):
        try:
            return abs(float(expected) - float(actual)) <= \
                1e-6 * max(1, abs(float(expected)))
        except ValueError:
            return False
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and \
            all(map(equal, expected, actual))
    if isinstance(expected, dict) and list(expected) == ["hex"] and \
            isinstance(actual, str):
        # JSON has no bytes: what is no UTF-8 comes as replacements.
        text = bytes.fromhex(expected["hex"]).decode(errors="replace")
        return re.sub("\ufffd+", "\ufffd", text) == \
            re.sub("\ufffd+", "\ufffd", actual)
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and \
            all(equal(v, actual[k]) for k, v in expected.items())
    return expected == actual


def compare(expected, actual):
    """The differences of a pair of lines."""
    found = []
    for name, value in expected.items():
        if name in ABOUT or (name not in actual and name in OPTIONAL):
            continue
        if name == "status" and expected.get("status_unasserted"):
            continue
        if (name not in actual and value is not None) or \
                not equal(value, actual.get(name)):
            found.append("%s is %r, expected %r" %
                         (name, actual.get(name), value))
    return found


def describe(line):
    text = " ".join(str(line[k]) for k in KEY if line.get(k) is not None)
    return "%s %s" % (line.get("conn", ""), text)


def score_connection(expected, actual, result, ordered):
    core = [line for line in expected if not line.get("detail")]
    if ordered:
        pairs = align(core, actual)
    else:
        pairs = match_any_order(core, actual, compare)
    result.lines += len(core)
    for i, j in pairs:
        differences = compare(core[i], actual[j])
        result.right += not differences
        result.differences += ["%s: %s" % (describe(core[i]), difference)
                               for difference in differences]
    found = {i for i, _ in pairs}
    result.differences += ["%s: not reported" % describe(line)
                           for i, line in enumerate(core) if i not in found]
    # What may be left out may be reported, so often.
    may = collections.Counter(key(line) for line in expected
                              if line.get("detail"))
    used = {j for _, j in pairs}
    for j, line in enumerate(actual):
        if j in used:
            continue
        if may[key(line)]:
            may[key(line)] -= 1
        elif not line.get("unasserted"):
            result.differences.append("%s: reported, not expected" %
                                      describe(line))


def score(expected, actual, module):
    """Of one capture; module.UNORDERED: replies overtake each other."""
    result = Result()
    loose = getattr(module, "UNORDERED", ())
    for conn in sorted({line.get("conn") for line in expected + actual}):
        sides = [[line for line in lines if line.get("conn") == conn]
                 for lines in (expected, actual)]
        for op_is_loose in (False, True):
            parts = [[line for line in side
                      if (loose is True or line.get("op") in loose)
                      is op_is_loose]
                     for side in sides]
            score_connection(*parts, result, not op_is_loose)
    return result
