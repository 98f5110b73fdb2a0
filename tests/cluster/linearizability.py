#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether histories (see history_client.py) are linearizable: whether there is
one order of all steps, each at a moment between its call and its return, that
explains what every client saw.

usage: linearizability.py FILE...    exit status 1: one is not

Groups of keys are judged apart, which is as good as together. A step that
said for sure that it did nothing is left out: what it wrote must never be
read. One of unknown outcome may take effect at any time after its call, or
never. The search is that of Wing and Gong with Lowe's memory of what was
tried: place any step that began before the first return of those that are not
placed yet, and go back when what it saw does not fit.

A key's value is one string. What is not one simple step is modelled as it is:
- A descriptor belongs to a file, not to a name. A step through one during
  whose life there was a rename may hit any key of the group.
- An `echo text > key` in which more than a moment passes between open and
  write may be two steps, the truncation and the write (fs/handle.h,
  STAGE_GRACE_MS).
"""

import copy
import json
import sys
from collections import defaultdict

INFINITY = float('inf')
GRACE_NS = 100_000_000
STATES_MAX = 500_000


class Step:
    """One step of one group. `targets`: the keys that it may hit, as indexes
    into the state."""

    def __init__(self, record, keys):
        self.record = record
        self.op = record['op']
        self.text = record.get('text')
        self.seen = record['result'] == 'seen'
        self.slow = self.op == 'put' and record['end'] - record['since'] > GRACE_NS
        self.start = record['start']
        self.end = INFINITY if record['result'] == 'unknown' else record['end']
        self.key = keys.index(record['key'])
        self.key2 = keys.index(record['key2']) if self.op == 'rename' else None
        self.targets = [self.key]

    def after(self, state):
        """The states in which it may leave the group; none: it does not fit."""
        if self.seen:
            there = state[self.key] is not None
            return [state] if there == (self.op == 'create') else []
        return getattr(self, f'after_{self.op}')(state)

    def after_read(self, state):
        return [state] if any(state[key] == self.text for key in self.targets) else []

    def after_found(self, state):
        return [state] if state[self.key] is not None else []

    def after_touch(self, state):
        return [state if state[self.key] is not None else changed(state, self.key, '')]

    def after_emptied(self, state):
        return [state] + [changed(state, key, '') for key in self.present(state)]

    def after_put(self, state):
        states = [changed(state, key, self.text) for key in self.present(state)]
        if self.slow:
            states += [changed(state, key, self.text + state[key][len(self.text):])
                       for key in self.present(state)]
        return states

    def after_append(self, state):
        return [changed(state, key, state[key] + self.text) for key in self.present(state)]

    def after_create(self, state):
        return [changed(state, self.key, '')] if state[self.key] is None else []

    def after_unlink(self, state):
        return [changed(state, self.key, None)] if state[self.key] is not None else []

    def after_rename(self, state):
        if state[self.key] is None:
            return []
        return [changed(changed(state, self.key2, state[self.key]), self.key, None)]

    def present(self, state):
        return [key for key in self.targets if state[key] is not None]

    def __str__(self):
        r = self.record
        words = [self.op, r['key'], r.get('key2') or '', repr(r.get('text')), r['result'],
                 r.get('errno', ''), f'node {r["node"]} client {r["client"]}']
        return ' '.join(word for word in words if word)


def changed(state, key, value):
    return state[:key] + (value,) + state[key + 1:]


# ---- from records to steps


def group_of(key):
    return key.partition('.')[0]


def load(paths):
    records = []
    for path in paths:
        with open(path, encoding='ascii') as f:
            records += [json.loads(line) for line in f]
    return records


def counts(record):
    """Whether it has done or seen something, or may have."""
    return record['result'] == 'ok' or (record['op'] != 'read' and record['result'] != 'none')


def moved_meanwhile(record, renames):
    """Whether the file may have been renamed while its descriptor was open."""
    return any(overlap(r, record['since'], record['end']) for r in renames)


def overlap(record, start, end):
    return record['start'] <= end and (record['end'] >= start or record['result'] == 'unknown')


def part_of(step, op):
    """A step before another one's, from the opening of its descriptor on."""
    part = copy.copy(step)
    part.op = op
    part.start = step.record['since']
    return part


def steps_of_one(record, keys, renames):
    step = Step(record, keys)
    through_descriptor = step.op in ('put', 'append') or step.text is not None
    if step.op != 'rename' and through_descriptor and moved_meanwhile(record, renames):
        step.targets = range(len(keys))
    steps = [step] if counts(record) else []
    if steps and step.op == 'read' and len(step.targets) > 1:
        steps.append(part_of(step, 'found'))
    if step.slow:
        steps.append(part_of(step, 'emptied'))
    return steps


def steps_of(records):
    keys = sorted({r[name] for r in records for name in ('key', 'key2') if name in r})
    renames = [r for r in records if r['op'] == 'rename' and r['result'] in ('ok', 'unknown')]
    return keys, [step for record in records for step in steps_of_one(record, keys, renames)]


# ---- the search


class Undecided(Exception):
    pass


class Search:
    """Over what is placed: all of `required` below `base`, those above it by
    the bits of `placed`, and those of `unknown` by the bits of `extra`."""

    def __init__(self, keys, steps):
        in_order = sorted(steps, key=lambda step: step.start)
        self.required = [step for step in in_order if step.end != INFINITY]
        self.unknown = [step for step in in_order if step.end == INFINITY]
        self.empty = (None,) * len(keys)
        self.furthest = (-1, None, [])

    def next_of(self, base, placed):
        """Required steps that could be next, and the first return of those."""
        limit = INFINITY
        found = []
        for i in range(base, len(self.required)):
            if placed >> (i - base) & 1:
                continue
            step = self.required[i]
            if step.start > limit:
                break
            limit = min(limit, step.end)
            found.append(i)
        # The first to return is tried first: it comes last on the stack.
        found.sort(key=lambda i: -self.required[i].end)
        return found, limit

    def successors(self, base, placed, extra, state):
        found, limit = self.next_of(base, placed)
        for i, step in enumerate(self.unknown):
            if step.start <= limit and not extra >> i & 1:
                for after in step.after(state):
                    yield base, placed, extra | 1 << i, after
        for i in found:
            for after in self.required[i].after(state):
                yield *advanced(base, placed | 1 << (i - base)), extra, after

    def note(self, base, placed, state):
        count = base + placed.bit_count()
        if count > self.furthest[0]:
            found, _ = self.next_of(base, placed)
            self.furthest = (count, state, [self.required[i] for i in found])

    def run(self):
        """True: linearizable. Raises Undecided when it takes too long."""
        stack = [(0, 0, 0, self.empty)]
        tried = set(stack)
        while stack:
            node = stack.pop()
            base, placed, extra, state = node
            if base == len(self.required):
                return True
            self.note(base, placed, state)
            for after in self.successors(*node):
                if after not in tried:
                    tried.add(after)
                    stack.append(after)
            if len(tried) > STATES_MAX:
                raise Undecided
        return False


def advanced(base, placed):
    while placed & 1:
        placed >>= 1
        base += 1
    return base, placed


# ---- the verdict


class Verdict:
    """What was found in all groups."""

    def __init__(self):
        self.groups = self.steps = self.largest = 0
        self.rejected = {}  # group → in words, why
        self.undecided = []

    def add(self, group, records):
        keys, steps = steps_of(records)
        search = Search(keys, steps)
        self.groups += 1
        self.steps += len(steps)
        self.largest = max(self.largest, len(steps))
        try:
            if not search.run():
                self.rejected[group] = explain(keys, search)
        except Undecided:
            self.undecided.append(group)

    def linearizable(self):
        return not self.rejected and not self.undecided

    def __str__(self):
        lines = [f'group {group} is not linearizable: {why}'
                 for group, why in self.rejected.items()]
        lines += [f'group {group} is undecided' for group in self.undecided]
        lines.append(f'{self.groups} groups, {self.steps} steps, at most {self.largest}'
                     f' in a group: {len(self.rejected)} not linearizable,'
                     f' {len(self.undecided)} undecided')
        return '\n'.join(lines)


def explain(keys, search):
    count, state, stuck = search.furthest
    held = ', '.join(f'{key} = {value!r}' for key, value in zip(keys, state))
    return (f'{count} steps fit, then {held}, and none of these: ' +
            '; '.join(map(str, stuck)))


def judge(records):
    groups = defaultdict(list)
    for record in records:
        groups[group_of(record['key'])].append(record)
    verdict = Verdict()
    for group in sorted(groups):
        verdict.add(group, groups[group])
    return verdict


def main():
    verdict = judge(load(sys.argv[1:]))
    print(verdict)
    sys.exit(0 if verdict.linearizable() else 1)


if __name__ == '__main__':
    main()
