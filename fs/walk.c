/* SPDX-License-Identifier: Apache-2.0 */

#include "fs/walk.h"

void walk_begin(struct walks *walks, pid_t pid, uint64_t now_ns)
{
    if (pid <= 0)
        return;
    walks->of[pid % WALKS].pid = pid;
    walks->of[pid % WALKS].began_ns = now_ns;
}

uint64_t walk_go_on(struct walks *walks, pid_t pid)
{
    if (pid <= 0 || walks->of[pid % WALKS].pid != pid)
        return 0;
    walks->of[pid % WALKS].pid = 0; /* Once for each GETATTR. */
    return walks->of[pid % WALKS].began_ns;
}
