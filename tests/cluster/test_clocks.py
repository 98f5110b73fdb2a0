#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes whose clocks are wrong."""

import errno
import os
import re
import time

from faked_clocks import Clocks, version_ms
from harness import errno_of, get, load, main, put, test, wait_until


def clock_lines(c, node):
    return [line for line in c.info(node, 'health').splitlines() if ' clock ' in line]


def leads(c, seen_from):
    return {c.leader(seen_from, region) for region in (0, 1)}


@test
def a_node_with_a_wrong_clock_is_named_and_leads_no_more(t):
    clocks = Clocks(t)
    c = clocks.cluster
    for node in c.nodes:
        c.wait_healthy(node)
    victim = c.leader()
    other = next(node for node in c.nodes if node != victim)
    writers = load(c)
    clocks.set(victim, 3600)
    for node in c.nodes:
        lines = wait_until('health says so', 30, lambda node=node: clock_lines(c, node))
        assert len(lines) == 1, lines
        said = re.match(rf'the clock of node {victim} is (\d+\.\d+) s ahead of ', lines[0])
        assert said and 3595 < float(said.group(1)) < 3605, lines
    wait_until('others lead', 30, lambda: victim not in leads(c, other))
    offset = re.search(rf'^grovefs_clock_offset_seconds{{node="{victim}"}} (.*)$',
                       c.info(other, 'metrics'), re.M)
    assert 3595 < float(offset.group(1)) < 3605, offset
    assert errno_of(put, c.path(other, '.cluster/region/1/transfer'),
                    f'{victim}\n'.encode(), flags=os.O_TRUNC) == errno.EPERM
    assert f'node {victim} has a wrong clock' in c.info(other, 'log')

    clocks.set(victim, 0)
    for node in c.nodes:
        c.wait_healthy(node)
        assert 'is right again' in c.info(node, 'log')
    put(c.path(other, '.cluster/region/1/transfer'), f'{victim}\n'.encode(),
        flags=os.O_TRUNC)
    assert c.leader(other) == victim
    for writer in writers:
        writer.end()
        for node in c.nodes:
            writer.check(c.mount(node))


@test
def what_a_wrong_clock_stamps_looks_as_new_as_it_is(t):
    clocks = Clocks(t)
    c = clocks.cluster
    victim = next(node for node in c.nodes if node not in leads(c, 1))
    other = c.leader()
    for seconds in (3600, -3600):
        clocks.set(victim, seconds)
        wait_until('its clock is wrong', 30, lambda: clock_lines(c, other))
        name = f'f{seconds}'
        put(c.path(victim, name), b'1\n')
        now_ms = time.time() * 1000
        assert get(c.path(other, name)) == b'1\n'
        assert abs(version_ms(c.path(other, name)) - now_ms) < 60000
        before = version_ms(c.path(other, name))
        put(c.path(other, name), b'2\n')
        assert version_ms(c.path(victim, name)) >= before
        assert os.getxattr(c.path(victim, name), 'user.grove.node') == str(victim).encode()
        clocks.set(victim, 0)
        wait_until('its clock is right', 30, lambda: not clock_lines(c, other))


if __name__ == '__main__':
    main()
