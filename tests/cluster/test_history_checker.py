#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The checker's own tests: it accepts what is linearizable and rejects what is
not, in small histories written by hand, in those of mounts that really are not
one store, and in true ones in which one answer was falsified."""

import os
import threading

import own_reads
from harness import get, main, put, test
from history import AFTER, History
from linearizability import group_of, judge


# ---- by hand

def record(text, number):
    """`START-END OP KEY [KEY2] [=TEXT] [RESULT]` as history_client.py writes it."""
    words = text.split()
    start, _, end = words[0].partition('-')
    texts = [word[1:] for word in words[2:] if word.startswith('=')]
    results = [word for word in words[2:] if word in ('seen', 'none', 'unknown')]
    keys = [word for word in words[2:] if word in ('a', 'b')]
    found = {'op': words[1], 'key': f'g.{keys[0]}', 'start': int(start), 'since': int(start),
             'end': int(end), 'client': number, 'node': number,
             'result': results[0] if results else 'ok'}
    if len(keys) > 1:
        found['key2'] = f'g.{keys[1]}'
    if found['op'] in ('read', 'put', 'append'):
        found['text'] = texts[0] if texts else None
    return found


def linearizable(*lines):
    return judge([record(line, number) for number, line in enumerate(lines)]).linearizable()


MADE = '0-1 touch a', '2-3 put a =x'


@test
def what_one_order_explains_is_accepted(t):
    for lines in (
            ['0-1 read a'],
            [*MADE, '4-5 read a =x'],
            [*MADE, '4-9 put a =y', '5-6 read a =x', '5-6 read a =y', '7-8 read a =y'],
            [*MADE, '4-5 append a =y', '6-7 read a =xy'],
            [*MADE, '4-5 put a =y unknown', '6-7 read a =x', '8-9 read a =y'],
            [*MADE, '4-5 put a =y unknown', '6-7 read a =x', '8-9 read a =x'],
            [*MADE, '4-5 put a =y none', '6-7 read a =x'],
            [*MADE, '4-5 create a seen', '6-7 unlink a', '8-9 create a', '10-11 read a ='],
            [*MADE, '4-7 unlink a', '5-6 unlink a seen'],
            [*MADE, '4-5 rename a b', '6-7 read b =x', '6-7 read a'],
            [*MADE, '4-7 rename a b', '5-6 rename a b seen', '8-9 read b =x'],
            [*MADE, '4-5 rename a b', '4-9 put a =y', '10-11 read b =y'],
            [*MADE, '4-200000000 put a =y', '5-6 read a =']):
        assert linearizable(*lines), lines


@test
def what_no_order_explains_is_rejected(t):
    for lines in (
            [*MADE, '4-5 read a'],
            [*MADE, '4-5 read a ='],
            [*MADE, '4-5 put a =y', '6-7 read a =x'],
            [*MADE, '4-9 put a =y', '5-6 read a =y', '7-8 read a =x'],
            [*MADE, '4-9 put a =y', '5-6 read a ='],
            [*MADE, '4-5 put a =y unknown', '6-7 read a =y', '8-9 read a =x'],
            [*MADE, '4-5 put a =y none', '6-7 read a =y'],
            [*MADE, '4-5 append a =y', '6-7 read a =x'],
            [*MADE, '4-5 append a =y', '6-7 read a =y'],
            [*MADE, '4-5 append a =y', '6-7 read a =xyy'],
            [*MADE, '4-7 append a =y', '4-7 append a =z', '8-9 read a =xz'],
            [*MADE, '4-5 create a'],
            ['0-1 create a seen'],
            ['0-3 create a', '0-3 create a'],
            [*MADE, '4-5 unlink a', '6-7 read a =x'],
            [*MADE, '4-7 unlink a', '4-7 unlink a'],
            [*MADE, '4-5 unlink a seen'],
            ['0-1 unlink a'],
            ['0-1 rename a b'],
            [*MADE, '4-5 rename a b seen'],
            [*MADE, '4-5 rename a b', '6-7 read a =x'],
            [*MADE, '4-5 rename a b', '6-7 read b'],
            [*MADE, '4-7 rename a b', '5-6 rename a b', '8-9 read b =x'],
            [*MADE, '4-5 rename a b', '6-7 rename a b']):
        assert not linearizable(*lines), lines


# ---- own reads, by hand


def own_reads_fit(*lines, crashes=()):
    """`START-END put|read =TEXT NODE [unknown]`; `crashes`: of node 1."""
    records = []
    for line in lines:
        times, op, text, node, *result = line.split()
        start, _, end = times.partition('-')
        records.append({'op': op, 'key': 'k', 'text': text[1:], 'node': int(node),
                        'start': int(start), 'end': int(end), 'result': (result or ['ok'])[0]})
    return not own_reads.judge(records, 'first', {1: crashes})


@test
def mounts_that_read_their_own_writes_and_never_go_back_are_accepted(t):
    for lines in (
            ['1-2 put =a 1', '3-4 read =a 1', '3-4 read =first 2', '5-6 read =a 2'],
            ['1-2 put =a 1', '1-2 put =b 2', '3-4 read =a 1', '3-4 read =b 2', '5-6 read =b 1'],
            ['1-9 put =a 1', '2-3 read =first 1', '2-4 read =a 1', '5-6 read =a 1'],
            ['1-2 put =a 1 unknown', '3-4 read =first 1', '5-6 read =a 1'],
            ['1-2 put =a 1 unknown', '3-4 put =b 1', '5-6 read =b 1'],
            ['1-2 put =a 2', '1-2 put =b 1', '3-4 read =b 2', '5-6 put =c 2', '7-8 read =c 1']):
        assert own_reads_fit(*lines), lines
    assert own_reads_fit('1-2 put =a 2', '3-4 read =a 1', '6-7 read =first 1', crashes=[5])


@test
def mounts_that_miss_their_own_writes_or_go_back_are_rejected(t):
    for lines in (
            ['1-2 put =a 1', '3-4 read =first 1'],
            ['1-2 put =a 2', '3-4 read =a 1', '5-6 read =first 1'],
            ['1-2 put =a 1', '3-4 put =b 1', '5-6 read =a 2', '5-6 read =b 1', '7-8 read =b 2',
             '9-10 read =a 2'],
            ['1-2 put =a 1', '1-2 put =b 2', '3-4 read =b 1', '3-4 read =a 2'],
            ['1-2 put =a 2', '3-4 read =a 1', '5-6 put =b 1', '7-8 read =b 2', '9-10 read =a 2'],
            ['1-2 read =a 1', '3-4 put =a 1'],
            ['1-2 read =none 1'],
            ['1-2 put =a 1 unknown', '3-4 read =a 1', '5-6 read =first 1']):
        assert not own_reads_fit(*lines), lines
    for lines in (['1-2 put =a 1', '6-7 read =first 1'],
                  ['1-2 put =a 1', '3-4 read =a 1', '6-7 read =first 1']):
        assert not own_reads_fit(*lines, crashes=[5]), lines


# ---- mounts that are not one store


def copy_forever(source, target, ending, pause_s=0.1):
    """Makes one tree like another one, again and again, but always late."""
    while not ending.wait(pause_s):
        names = os.listdir(source)
        for name in set(os.listdir(target)) - set(names):
            os.unlink(f'{target}/{name}')
        for name in names:
            try:
                put(f'{target}/{name}', get(f'{source}/{name}'))
            except FileNotFoundError:
                pass


def judge_with_a_copy(t, read_only):
    """Clients on two mounts of a cluster, and on another cluster's, which is
    all the time made like the first. Returns the verdict."""
    c = t.cluster(nodes=2)
    lone = t.cluster(nodes=1)
    third = t.read_only(lone.mount(1)) if read_only else lone.mount(1)
    ending = threading.Event()
    copier = threading.Thread(target=copy_forever, args=(c.mount(1), lone.mount(1), ending),
                              daemon=True)
    copier.start()
    history = History(t, {1: c.mount(1), 2: c.mount(2), 3: third})
    counts = history.wait_for(AFTER, history.mounts)
    history.clients.end()
    ending.set()
    copier.join()
    verdict = judge(history.clients.collect())
    t.say(f'operations {counts}; {len(verdict.rejected)} of {verdict.groups} groups rejected')
    return verdict


@test
def clients_of_which_some_have_a_late_copy_are_rejected(t):
    assert judge_with_a_copy(t, read_only=False).rejected


@test
def clients_of_which_some_read_a_late_copy_are_rejected(t):
    assert judge_with_a_copy(t, read_only=True).rejected


# ---- falsified answers


def told(records, op, was, now):
    """Copies of such steps that have another result; with their originals."""
    return [(r, {**r, 'result': now}) for r in records if r['op'] == op and r['result'] == was]


def read_late(records):
    """Reads that are answered with what was read of the key before."""
    last = {}
    for r in sorted(records, key=lambda r: r['start']):
        if r['op'] != 'read' or r['result'] != 'ok':
            continue
        before = last.get(r['key'], r)
        last[r['key']] = r
        if before['text'] != r['text']:
            yield r, {**r, 'text': before['text']}


FALSIFIED = {
    'a read that came too late': read_late,
    'a touch that did nothing': lambda rs: told(rs, 'touch', 'ok', 'none'),
    'a put that did nothing': lambda rs: told(rs, 'put', 'ok', 'none'),
    'an append that did nothing': lambda rs: told(rs, 'append', 'ok', 'none'),
    'a create with two winners': lambda rs: told(rs, 'create', 'seen', 'ok'),
    'a create that did nothing': lambda rs: told(rs, 'create', 'ok', 'none'),
    'an unlink of nothing': lambda rs: told(rs, 'unlink', 'seen', 'ok'),
    'an unlink that did nothing': lambda rs: told(rs, 'unlink', 'ok', 'none'),
    'a rename of nothing': lambda rs: told(rs, 'rename', 'seen', 'ok'),
    'a rename that did nothing': lambda rs: told(rs, 'rename', 'ok', 'none'),
}
TRIED_MAX = 20


def rejected(records, true, false):
    """Whether its group is rejected with the false record for the true one."""
    group = [r for r in records if group_of(r['key']) == group_of(true['key']) and r is not true]
    return not judge(group + [false]).linearizable()


@test
def a_true_history_is_rejected_once_an_answer_is_falsified(t):
    c = t.cluster()
    history = History(t, dict(zip(c.nodes, c.mounts())))
    history.wait_for(5 * AFTER, history.mounts)
    records = history.judge()
    for what, falsify in FALSIFIED.items():
        pairs = list(falsify(records))
        tried = pairs[::len(pairs) // TRIED_MAX + 1]
        count = sum(rejected(records, *pair) for pair in tried)
        t.say(f'{what}: {count} of {len(tried)} rejected')
        assert count > 0, what


main()
