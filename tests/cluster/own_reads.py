# SPDX-License-Identifier: Apache-2.0
"""Whether each mount of an eventual directory read its own writes and never
went back, in what clients (history_client.py, `own`) saw on all mounts.

Every value is written once, and the keys are there from the beginning. Each
change of a key has a version, so there must be one order of all values of a
key, the same for all mounts, in which on each mount
- what was read, or written and acknowledged, comes before what was written
  later there;
- what was read comes at or before what was read later there;
- what was written and acknowledged comes at or before what was read later.
That is a graph of values, and must have no circle. Later: called after the
other one had returned. A write of unknown outcome counts if its value was seen.

A crash ends the life of a mount. What had come from other nodes may have to
come once more then (grovefs(8)), so of earlier lives only acknowledged writes
bind.
"""

from collections import defaultdict


class Front:
    """Records that no other of them lies between those to come and."""

    def __init__(self):
        self.records = []

    def behind(self, record):
        """Those that had ended when this one began, but for those that others
        of them come behind."""
        ended = [r for r in self.records if r['end'] < record['start']]
        latest = max((r['start'] for r in ended), default=0)
        covered = [r for r in ended if r['end'] < latest]
        self.records = [r for r in self.records if r not in covered]
        return [r for r in ended if r not in covered]

    def add(self, record):
        self.records.append(record)


def life_of(record, ends):
    """In which life of its mount it ended."""
    return sum(end < record['end'] for end in ends)


def edges_of_mount(records, ends):
    """Pairs of values, of which the first is not the newer one."""
    seen = defaultdict(Front)  # life → what was read and written
    acknowledged = Front()
    for record in sorted(records, key=lambda r: r['start']):
        life = seen[life_of(record, ends)]
        for before in life.behind(record) + acknowledged.behind(record):
            yield before['text'], record['text']
        if record['result'] == 'ok':
            life.add(record)
            if record['op'] == 'put':
                acknowledged.add(record)


def find_circle(edges):
    """Values each of which comes before the next one, and the last before the
    first; or none."""
    after = defaultdict(set)
    for old, new in edges:
        if old != new:
            after[old].add(new)
    done = set()
    for start in list(after):
        path = {start: iter(after[start])}
        while path:
            value = next(reversed(path))
            following = next((v for v in path[value] if v not in done), None)
            if following is None:
                done.add(value)
                path.pop(value)
            elif following in path:
                values = list(path)
                return values[values.index(following):]
            else:
                path[following] = iter(after[following])
    return []


def counts(record):
    return record['result'] == 'ok' or (record['op'] == 'put' and record['result'] == 'unknown')


def judge_key(key, records, first, crashes):
    """What is wrong, in words."""
    began = {r['text']: r['start'] for r in records if r['op'] == 'put'}
    began[first] = 0
    by_node = defaultdict(list)
    for r in filter(counts, records):
        by_node[r['node']].append(r)
        if began.get(r['text'], r['end']) >= r['end']:
            yield f'{key}: {r["text"]!r} was read on node {r["node"]} before it was written'
    edges = [edge for node, seen in by_node.items()
             for edge in edges_of_mount(seen, crashes.get(node, []))]
    circle = find_circle(edges + [(first, text) for text in began])
    if circle:
        yield f'{key}: no order of its values explains what was read: {" < ".join(circle)} < ...'


def judge(records, first, crashes):
    """`first`: what all keys held in the beginning; `crashes`: node → when its
    mount had ended. Returns what is wrong, in words."""
    by_key = defaultdict(list)
    for r in records:
        by_key[r['key']].append(r)
    return [text for key in sorted(by_key)
            for text in judge_key(key, by_key[key], first, crashes)]
