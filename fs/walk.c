/* SPDX-License-Identifier: Apache-2.0 */

#include "fs/walk.h"

#define WALK_NS (WALK_MS * UINT64_C(1000000))

void walk_init(struct walks *walks)
{
    (void)pthread_mutex_init(&walks->lock, NULL); /* Cannot fail on Linux. */
}

void walk_note(struct walks *walks, pid_t pid, struct walk walk)
{
    if (pid <= 0)
        return;
    pthread_mutex_lock(&walks->lock);
    walks->of[pid % WALKS].pid = pid;
    walks->of[pid % WALKS].walk = walk;
    pthread_mutex_unlock(&walks->lock);
}

struct walk walk_take(struct walks *walks, pid_t pid)
{
    struct walk walk = {0, 0};

    if (pid <= 0)
        return walk;
    pthread_mutex_lock(&walks->lock);
    if (walks->of[pid % WALKS].pid == pid) {
        walk = walks->of[pid % WALKS].walk;
        walks->of[pid % WALKS].pid = 0;
    }
    pthread_mutex_unlock(&walks->lock);
    return walk;
}

uint64_t walk_since(struct walk walk, uint64_t id, uint64_t now_ns)
{
    if (walk.id != id || now_ns - walk.began_ns > WALK_NS)
        return 0;
    return walk.began_ns;
}
