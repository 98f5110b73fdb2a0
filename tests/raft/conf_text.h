/* SPDX-License-Identifier: Apache-2.0 */

/* Conf changes as scenarios write them: "v1 l2 r3 u4". */

#ifndef GROVEFS_TESTS_RAFT_CONF_TEXT_H
#define GROVEFS_TESTS_RAFT_CONF_TEXT_H

#include "raft/raft.h"

/* NULL, or why not, valid until the next call. */
const char *conf_text_parse(const char *text, struct raft_conf_change *ret);
const char *conf_text_parse_transition(const char *text,
                                       enum raft_conf_transition *ret);

#endif
