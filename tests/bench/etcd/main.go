// SPDX-License-Identifier: Apache-2.0

// etcd-load [-c CLIENTS] [-k KEYS] [-s SECONDS] [-w WARMUP] ENDPOINT WORKLOAD...
//
// The clients of the benchmark against etcd: the same workloads as
// tests/bench/load.c on the same keys, and the same lines of output, through
// the client library that etcd's users have (clientv3). Each client has its own
// connection. Rename has no counterpart in etcd and is left out.
//
// scripts/bench builds it from Debian's golang-etcd-server-dev, without modules.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/clientv3"
)

const (
	valueSize  = 128
	keysPrefix = "keys/"
	newPrefix  = "new/"
	timeout    = 10 * time.Second
)

type config struct {
	endpoint string
	clients  int
	keys     int
	seconds  float64
	warmup   float64
}

type client struct {
	config *config
	etcd   *clientv3.Client
	index  int
	random uint64
	run    int64 // When the run began: makes the names of create unique.
	turn   int
}

type operation func(ctx context.Context, c *client) error

var workloads = map[string]operation{
	"put":    doPut,
	"get":    doGet,
	"stat":   doStat,
	"create": doCreate,
	"list":   doList,
}

// ---- operations ----

func keyName(i int) string { return fmt.Sprintf("%sk%06d", keysPrefix, i) }

func value(letter byte) string {
	return strings.Repeat(string(rune(letter)), valueSize)
}

func (c *client) randomKey() string {
	c.random ^= c.random << 13
	c.random ^= c.random >> 7
	c.random ^= c.random << 17
	return keyName(int(c.random % uint64(c.config.keys)))
}

func doPut(ctx context.Context, c *client) error {
	_, err := c.etcd.Put(ctx, c.randomKey(), value(byte('a'+c.turn%26)))
	return err
}

// A linearizable read, as is the default of clientv3.
func doGet(ctx context.Context, c *client) error {
	got, err := c.etcd.Get(ctx, c.randomKey())
	if err == nil && (len(got.Kvs) != 1 || len(got.Kvs[0].Value) != valueSize) {
		err = fmt.Errorf("a wrong value")
	}
	return err
}

// Everything that etcd knows of a key but its value.
func doStat(ctx context.Context, c *client) error {
	got, err := c.etcd.Get(ctx, c.randomKey(), clientv3.WithKeysOnly())
	if err == nil && len(got.Kvs) != 1 {
		err = fmt.Errorf("no such key")
	}
	return err
}

func doCreate(ctx context.Context, c *client) error {
	key := fmt.Sprintf("%s%x.%d.%d", newPrefix, c.run, c.index, c.turn)
	absent := clientv3.Compare(clientv3.CreateRevision(key), "=", 0)
	got, err := c.etcd.Txn(ctx).If(absent).Then(clientv3.OpPut(key, value('n'))).Commit()
	if err == nil && !got.Succeeded {
		err = fmt.Errorf("the key exists")
	}
	return err
}

func doList(ctx context.Context, c *client) error {
	got, err := c.etcd.Get(ctx, keysPrefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err == nil && len(got.Kvs) != c.config.keys {
		err = fmt.Errorf("%d keys", len(got.Kvs))
	}
	return err
}

// ---- clients ----

func newClients(config *config) ([]*client, error) {
	run := time.Now().UnixNano()
	clients := make([]*client, config.clients)
	for i := range clients {
		etcd, err := clientv3.New(clientv3.Config{
			Endpoints:   []string{config.endpoint},
			DialTimeout: timeout,
		})
		if err != nil {
			return nil, err
		}
		seed := uint64(run) ^ (uint64(i)+1)*0x9e3779b97f4a7c15 | 1
		clients[i] = &client{config: config, etcd: etcd, index: i, random: seed, run: run}
	}
	return clients, nil
}

// all runs f for every client at once and returns the first error.
func all(clients []*client, f func(c *client) error) error {
	errs := make([]error, len(clients))
	var wait sync.WaitGroup
	for i := range clients {
		wait.Add(1)
		go func(i int) {
			defer wait.Done()
			errs[i] = f(clients[i])
		}(i)
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *client) fill() error {
	for i := c.index; i < c.config.keys; i += c.config.clients {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		_, err := c.etcd.Put(ctx, keyName(i), value('k'))
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// measure returns the durations of the operations that ended in the window.
func (c *client) measure(run operation, begin time.Time) ([]time.Duration, error) {
	count := begin.Add(time.Duration(c.config.warmup * float64(time.Second)))
	end := count.Add(time.Duration(c.config.seconds * float64(time.Second)))
	ctx, cancel := context.WithDeadline(context.Background(), end.Add(timeout))
	defer cancel()
	var taken []time.Duration
	for before := time.Now(); before.Before(end); {
		if err := run(ctx, c); err != nil {
			return nil, err
		}
		now := time.Now()
		if !now.Before(count) && now.Before(end) {
			taken = append(taken, now.Sub(before))
		}
		c.turn++
		before = now
	}
	return taken, nil
}

// ---- commands ----

func percentileUs(sorted []time.Duration, percent int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[(len(sorted)-1)*percent/100]) / 1000
}

func measure(config *config, clients []*client, name string, run operation) error {
	var lock sync.Mutex
	var taken []time.Duration
	total := 0
	begin := time.Now()
	err := all(clients, func(c *client) error {
		c.turn = 0
		c.run = begin.UnixNano()
		mine, err := c.measure(run, begin)
		lock.Lock()
		defer lock.Unlock()
		taken = append(taken, mine...)
		total += c.turn
		return err
	})
	if err != nil {
		return err
	}
	sort.Slice(taken, func(i, j int) bool { return taken[i] < taken[j] })
	fmt.Printf("%s %d %.1f %.2f %.2f %d\n", name, config.clients,
		float64(len(taken))/config.seconds, percentileUs(taken, 50), percentileUs(taken, 99), total)
	return nil
}

func command(config *config, clients []*client, name string) error {
	if name == "fill" {
		return all(clients, (*client).fill)
	}
	run, ok := workloads[name]
	if !ok {
		return fmt.Errorf("no such workload")
	}
	return measure(config, clients, name, run)
}

func fail(format string, args ...interface{}) {
	fmt.Fprintf(os.Stderr, "etcd-load: "+format+"\n", args...)
	os.Exit(1)
}

func main() {
	var config config
	flag.IntVar(&config.clients, "c", 1, "clients")
	flag.IntVar(&config.keys, "k", 1000, "keys")
	flag.Float64Var(&config.seconds, "s", 1.5, "seconds measured")
	flag.Float64Var(&config.warmup, "w", 0.3, "seconds before them")
	flag.Parse()
	if flag.NArg() < 2 || config.clients < 1 || config.keys < 1 {
		fail("usage: etcd-load [-c CLIENTS] [-k KEYS] [-s SECONDS] [-w WARMUP] " +
			"ENDPOINT fill|put|get|stat|create|list...")
	}
	config.endpoint = flag.Arg(0)
	clients, err := newClients(&config)
	if err != nil {
		fail("%s: %v", config.endpoint, err)
	}
	for _, name := range flag.Args()[1:] {
		if err := command(&config, clients, name); err != nil {
			fail("%s at %s: %v", name, config.endpoint, err)
		}
	}
}
