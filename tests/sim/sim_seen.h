/* SPDX-License-Identifier: Apache-2.0 */

/* "Sometimes" assertions: rare states that a campaign of many seeds must have
 * reached, counted. One row each; `required` ones fail a long campaign when
 * they never came. */

#ifndef GROVEFS_TESTS_SIM_SIM_SEEN_H
#define GROVEFS_TESTS_SIM_SIM_SEEN_H

#include <stdint.h>

/* Rows: name, required, text. */
#define SIM_SEEN(X)                                                            \
    X(OP_OK, 1, "operations that succeeded")                                   \
    X(OP_REFUSED, 1, "operations refused for what was there")                  \
    X(OP_NO_QUORUM, 1, "operations failed for want of a quorum")               \
    X(OP_NO_SPACE, 1, "operations refused by a full disk")                     \
    X(OP_UNKNOWN, 1, "operations of unknown outcome")                          \
    X(OP_UNKNOWN_COMMITTED, 1, "... that were in the log")                     \
    X(OP_ROOM_AGAIN, 1, "disks that had room again after they were full")      \
    X(OP_BUSY, 0, "operations that met a lock until their deadline")           \
    X(OP_INTERRUPTED, 1, "operations that were cancelled")                     \
    X(OP_CRASHED, 1, "operations whose node crashed under them")               \
    X(READ_AT_ONCE, 1, "reads answered by a lease without waiting")            \
    X(READ_CURRENT, 1, "reads answered by what another had waited for")        \
    X(READ_WAITED, 1, "reads that waited")                                     \
    X(DIR_RENAMED, 1, "directories renamed")                                   \
    X(DIR_EXCHANGED, 1, "exchanges with a directory")                          \
    X(DIR_PAGE, 1, "pages of a directory that were not the last")              \
    X(DIR_REGION_END, 0, "empty pages at the end of a region")                 \
    X(DIR_LOOP, 1, "moves of a directory below itself refused")                \
    X(DIR_NOT_EMPTY, 1, "removals of a directory that was not empty")          \
    X(LARGE_VALUE, 1, "values of more than one chunk")                         \
    X(ATTR_SET, 1, "attributes of a file or directory set")                    \
    X(TRANSFERRED, 1, "leaderships handed over by hand")                       \
    X(TERM, 1, "leaderships")                                                  \
    X(LEADER_NO_LEASE, 1, "leaders whose lease ran out")                       \
    X(LEADER_LOST_PENDING, 1, "leaders deposed with proposals pending")        \
    X(LOG_TRUNCATED, 1, "replicas that dropped entries of an old term")        \
    X(SNAPSHOT_RESTORED, 1, "snapshots restored")                              \
    X(SNAPSHOT_FAILED, 1, "snapshot streams that failed")                      \
    X(SNAPSHOT_CRASH, 0, "crashes while a snapshot was installed")             \
    X(COMPACTED, 1, "log compactions")                                         \
    X(LEADER_SLEPT, 1, "leaders that fell asleep")                             \
    X(FOLLOWER_SLEPT, 1, "followers that fell asleep")                         \
    X(WOKEN_BY_LOSS, 1, "followers woken since their leader's node was lost")  \
    X(MEMBERS_CHANGED, 1, "changes of a region's members")                     \
    X(GOAL_BEGUN, 1, "goals set by hand")                                      \
    X(GOAL_BUSY, 1, "... refused while another was running")                   \
    X(GOAL_REFUSED, 1, "... refused as not possible")                          \
    X(OPERATOR_GONE, 0, "operators that gave way to one by hand")              \
    X(JOINT, 1, "... that made it joint")                                      \
    X(LEADER_REMOVED, 1, "leaders that were removed or demoted")               \
    X(LEADER_JOINT, 1, "leaders elected in a joint configuration")             \
    X(LEADER_UNAPPLIED, 1, "leaders elected with a change not applied")        \
    X(SNAPSHOT_JOINT, 1, "snapshots restored in a joint configuration")        \
    X(REPLICA_MADE, 1, "replicas made")                                        \
    X(REPLICA_ERASED, 1, "replicas erased")                                    \
    X(LEFTOVER_ERASED, 0, "logs left by a crash in that, erased at the start") \
    X(LOG_REPAIRED, 0, "logs reset at the start, behind the marker")           \
    X(REPLAYED, 1, "restarts that applied entries again")                      \
    X(TXN_DECIDED, 1, "transactions decided")                                  \
    X(TXN_COPIED, 0, "large values copied by one")                             \
    X(TXN_ABORTED, 1, "transactions aborted by somebody else")                 \
    X(TXN_SETTLED, 1, "transactions resolved by somebody else")                \
    X(TXN_ORPHAN, 1, "transactions finished by the leader")                    \
    X(REPEATED, 1, "commands that were in the log twice")                      \
    X(STATE_LOST, 1, "crashes that lost a tail of state/")                     \
    X(LOG_LOST, 1, "crashes that lost a log write")                            \
    X(LOG_KEPT, 1, "crashes that kept an unacknowledged one")                  \
    X(DISK_ERROR_LOG, 1, "nodes ended by a failed sync of log/")               \
    X(DISK_ERROR_WRITE, 1, "nodes ended by a failed write of state/")          \
    X(DISK_ERROR_FLUSH, 1, "nodes ended by a failed flush of state/")          \
    X(DISK_ERROR_INGEST, 0, "nodes ended by a failed ingest")                  \
    X(FOUNDED, 1, "nodes that have founded a cluster with the others")         \
    X(FOUNDING_CRASH, 1, "crashes before that")                                \
    X(JOINED, 1, "nodes that have joined")                                     \
    X(JOINING_CRASH, 1, "crashes before that")                                 \
    X(JOINED_CRASH, 1, "crashes after that, before the first replica")         \
    X(DRAINED, 1, "nodes drained, or drained no more")                         \
    X(REMOVED, 1, "nodes removed")                                             \
    X(REMOVE_REFUSED, 1, "removals refused")                                   \
    X(REMOVE_KEPT, 1, "... for what only that node had in eventual ones")      \
    X(REMOVE_FORCED, 0, "... and given up, as the removal was forced")         \
    X(REMOVED_BACK, 1, "removed nodes that came back and were refused")        \
    X(CRASH, 1, "crashes")                                                     \
    X(CRASH_ALL, 1, "crashes of all nodes at once")                            \
    X(RESTART, 1, "restarts in good order")                                    \
    X(PAUSE, 1, "pauses of a node")                                            \
    X(CUT, 1, "cuts")                                                          \
    X(SLOW_LINK, 1, "slow links")                                              \
    X(OVERTAKEN, 1, "packets that overtook others")                            \
    X(LINK_LOST, 1, "connections lost")                                        \
    X(CLOCK_WRONG, 1, "clocks found to be wrong")                              \
    X(CLOCK_SPOILT, 1, "leaders whose clock was set ahead, in the calm")       \
    X(CHECKED, 1, "consistency checks with a verdict")                         \
    X(DAMAGE_FOUND, 1, "replicas found damaged")                               \
    X(DAMAGE_LED, 1, "... that led")                                           \
    X(DAMAGE_CRASH, 1, "... whose node crashed")                               \
    X(DAMAGE_LEAVING, 1, "... on the way out of their region")                 \
    X(REBUILT, 1, "damaged replicas rebuilt")                                  \
    X(ENTRY_SPOILT, 1, "eventual entries damaged")                             \
    X(CONTENT_SPOILT, 1, "... of which only the content was")                  \
    X(INDEX_SPOILT, 1, "... and an item of another node's index")              \
    X(SPOILT_CRASH, 1, "... whose node crashed, or another one")               \
    X(STATE_GIVEN_UP, 1, "nodes that gave up their whole state/")              \
    X(INO_LEASED, 1, "blocks of inode numbers leased")                         \
    X(SPLIT, 1, "regions split")                                               \
    X(SPLIT_BY_SIZE, 1, "... as they had grown too large")                     \
    X(SPLIT_VOTED, 0, "new regions that voted before their split was applied") \
    X(SPLIT_REPLAYED, 0, "new regions that found their log after a crash")     \
    X(SPLIT_BY_SNAPSHOT, 0, "replicas of new regions that came by a snapshot") \
    X(SPLIT_SKIPPED, 0, "replicas restored behind a split")                    \
    X(SPLIT_LEFT, 0, "splits applied where the new region was already")        \
    X(SPLIT_DROPPED, 0, "... where it had been removed")                       \
    X(MERGE, 1, "regions merged")                                              \
    X(MERGE_BY_SIZE, 1, "... as they had become small")                        \
    X(MERGE_FROZEN, 1, "regions frozen for that, or frozen no more")           \
    X(MERGE_GIVEN_UP, 0, "... and given up when a region was frozen")          \
    X(MERGE_REFUSED, 1, "merges refused or given up")                          \
    X(MERGE_LACKING, 0, "targets rebuilt as the source was not whole")         \
    X(MERGE_RETURNED, 0, "replicas that region 0 knew to be no more")          \
    X(SPLIT_CRASH, 0, "crashes that lost a new region's state")                \
    X(ZONE_MADE, 1, "directories made eventual")                               \
    X(ZONE_EXPORTED, 1, "... files that were in them then")                    \
    X(ZONE_STRONG, 1, "... and strong again")                                  \
    X(ZONE_IMPORTED, 1, "... files that were in them then")                    \
    X(ZONE_REMOVED, 1, "... or removed")                                       \
    X(ZONE_NAMED, 1, "... directories in them when they became strong")        \
    X(ZONE_BESIDE, 0, "... files beside such a one that got its other name")   \
    X(TREE_MADE, 1, "trees of three directories and more made eventual")       \
    X(TREE_NOT_MADE, 1, "... or not, when parts below were closed already")    \
    X(TREE_STRONG, 1, "... made strong again")                                 \
    X(TREE_NOT_STRONG, 1, "... or not, when parts below were open already")    \
    X(TREE_OWN, 1, "... with one in them that has a mode of its own")          \
    X(TREE_SETTLED, 1, "... parts below that somebody else resolved")          \
    X(TREE_LISTED, 1, "... parts of several ones in one command")              \
    X(TREE_LIST_CUT, 1, "... of which a region did not do all")                \
    X(BELOW_STRONG, 1, "directories made strong in an eventual one")           \
    X(BELOW_EVENTUAL, 1, "... made eventual again")                            \
    X(BELOW_INHERITS, 1, "... by the mode of the one that they are in")        \
    X(BELOW_REMOVED, 1, "... removed while they were strong")                  \
    X(BELOW_MOVED, 1, "... moved while they were strong")                      \
    X(BELOW_NAMED, 1, "... still strong when the one above became so")         \
    X(BELOW_AROUND, 1, "... still strong when it became eventual again")       \
    X(BELOW_KEPT, 1, "directories in strong ones made strong by themselves")   \
    X(ZONE_NOT_EMPTY, 1, "... refused as there was something in them")         \
    X(ZONE_GIVEN_UP, 1, "... given up as a node was away")                     \
    X(FORCE_STRONG, 1, "directories made strong without some nodes")           \
    X(FORCE_BELOW, 1, "... in a directory among them")                         \
    X(FORCE_KEPT, 1, "... changes that these nodes have in quarantine")        \
    X(FORCE_REMOVED, 1, "... removals among them")                             \
    X(FORCE_OTHERS, 0, "... accepted by another one that was left out")        \
    X(FORCE_FOUND, 0, "... that came there at a start")                        \
    X(ZONE_EXCHANGED, 1, "directories in eventual ones exchanged")             \
    X(ZONE_REPLACED, 1, "... moved to the place of another one")               \
    X(ZONE_CHANGED, 1, "eventual changes")                                     \
    X(ZONE_ALONE, 1, "... accepted where no majority could be reached")        \
    X(ZONE_RELAYED, 1, "... that came by way of a third node")                 \
    X(ZONE_CONVERGED, 1, "times that two nodes were found to have the same")   \
    X(ZONE_REPLAYED, 1, "... replayed from the journal after a crash")         \
    X(ZONE_HELD, 1, "... held since they were ahead of the clock")             \
    X(ZONE_OUTLIVED, 1, "... that came when there was a greater version")      \
    X(ZONE_FORGOTTEN, 1, "... whose removal was forgotten below the floor")    \
    X(ZONE_WITHDRAWN, 0, "... where a node had lost what it consented to")     \
    X(ZONE_SET_AHEAD, 1, "... accepted by a node alone with a clock ahead")    \
    X(ZONE_RESTAMPED, 1, "... given other versions when it was right again")   \
    X(ZONE_RESTAMP_LOST, 0, "... and a crash has brought the first ones back") \
    X(ZONE_FENCED, 1, "... refused by a fence until their deadline")           \
    X(ZONE_READ_ONLY, 1, "... refused as the clock was wrong")                 \
    X(ZONE_DRAINED, 1, "... refused as the node was being drained")            \
    X(ZONE_NOT_WHOLE, 1, "... refused as the node had not all yet")            \
    X(ZONE_HIDDEN, 0, "files shown beside a directory of their name")          \
    X(NAMESPACE_PARTS, 0, "directories whose names lay in several regions")    \
    X(UNDECIDED, 0, "histories too hard to check")

enum sim_seen {
#define SIM_SEEN_ENUM(name, required, text) SEEN_##name,
    SIM_SEEN(SIM_SEEN_ENUM)
#undef SIM_SEEN_ENUM
        SIM_SEEN_COUNT
};

/* Of this run. */
extern uint64_t sim_seen_counts[SIM_SEEN_COUNT];

static inline void sim_seen(enum sim_seen what)
{
    sim_seen_counts[what]++;
}

#endif
