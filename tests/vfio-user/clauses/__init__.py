# SPDX-License-Identifier: BSD-2-Clause
"""The clauses: functions with a name, a weight and a sentence, in the order in which they run."""
import collections

Clause = collections.namedtuple('Clause', 'name weight text check')
CLAUSES = []


def clause(name, text, weight='must'):
    """`must`: the text of the protocol demands it. `should`: clients in use depend on it, or robustness does."""
    def add(check):
        CLAUSES.append(Clause(name, weight, text, check))
        return check
    return add
