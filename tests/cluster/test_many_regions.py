#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Thousands of regions in which nothing happens cost next to nothing."""

import os
import re
import time

from harness import get, main, put, test, wait_until

REGIONS = 2000
LATEST_START_SECONDS = 20  # twice what is wanted
MOST_CPU_PERCENT = 4       # of one core; twice what is wanted
MOST_KIB_PER_REGION = 10   # beyond what RocksDB holds
WATCH_SECONDS = 30
IN_ONE_FOLDER = 50


def cpu_seconds(pid):
    """utime and stime of proc(5)."""
    with open(f'/proc/{pid}/stat', encoding='latin-1') as f:
        fields = f.read().rpartition(') ')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def own_memory_kib(c, node):
    """Memory of the daemon's own, without what RocksDB holds."""
    with open(f'/proc/{c.pid(node)}/status', encoding='ascii') as f:
        anonymous = int(re.search(r'RssAnon:\s+(\d+) kB', f.read()).group(1))
    stores = re.findall(r'^grovefs_store_memory_bytes\{.*\} (\d+)$',
                        c.info(node, 'metrics'), re.M)
    assert len(stores) == 2, stores
    return anonymous - sum(map(int, stores)) / 1024


def place(i):
    return f'd{i // IN_ONE_FOLDER:02}/{i:04}'


def split_all(c):
    """Region 1 always keeps what sorts first: folders are in the order in which
    they were made."""
    for i in range(REGIONS - 1, 0, -1):
        put(c.path(1, '.cluster/region/1/split'), f'/{place(i)}\n'.encode(),
            flags=os.O_TRUNC)


def count_regions(c, node):
    """Data regions that have a leader, as the node knows it."""
    rows = c.info(node, 'leaders').splitlines()[1:]
    return sum(row.split()[0] != '0' for row in rows)


def started(c):
    begin = time.monotonic()
    c.up_again()
    for node in c.nodes:
        wait_until(f'node {node} has all regions', 60,
                   lambda n=node: count_regions(c, n) == REGIONS, 0.2)
    return time.monotonic() - begin


def settle(c):
    """Until a second costs no more than a few ticks of the clock."""
    def is_idle():
        before = [cpu_seconds(c.pid(node)) for node in c.nodes]
        time.sleep(1)
        return all(cpu_seconds(c.pid(node)) - old < 0.05
                   for node, old in zip(c.nodes, before))
    wait_until('all regions sleep', 60, is_idle)


def cpu_percents(c):
    begin = time.monotonic()
    before = [cpu_seconds(c.pid(node)) for node in c.nodes]
    time.sleep(WATCH_SECONDS)
    seconds = time.monotonic() - begin
    return [100 * (cpu_seconds(c.pid(node)) - old) / seconds
            for node, old in zip(c.nodes, before)]


@test
def two_thousand_idle_regions_start_in_seconds_and_cost_nearly_nothing(t):
    c = t.cluster()
    for i in range(0, REGIONS, IN_ONE_FOLDER):
        os.mkdir(c.path(1, os.path.dirname(place(i))))
    c.run('down')
    c.up_again()
    settle(c)
    empty_kib = [own_memory_kib(c, node) for node in c.nodes]

    split_all(c)
    c.run('down')
    start_seconds = started(c)
    settle(c)
    percents = cpu_percents(c)
    kib = [(own_memory_kib(c, node) - empty) / REGIONS
           for node, empty in zip(c.nodes, empty_kib)]
    print(f'{REGIONS} regions started in {start_seconds:.1f} s; idle, the nodes take '
          f'{", ".join(f"{p:.2f}" for p in percents)} % of a core and '
          f'{", ".join(f"{k:.1f}" for k in kib)} KiB per region beyond RocksDB')
    assert start_seconds < LATEST_START_SECONDS
    assert max(percents) < MOST_CPU_PERCENT
    assert max(kib) < MOST_KIB_PER_REGION

    # And the first use wakes the right one up.
    for node in c.nodes:
        name = place(node * REGIONS // 4)
        put(c.path(node, name), b'awake')
        for other in c.nodes:
            assert get(c.path(other, name)) == b'awake'


main()
