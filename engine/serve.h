/* SPDX-License-Identifier: Apache-2.0 */

/* Answers the calls that other nodes send to a region's leader. One packet
 * WIRE_CALL is answered by one WIRE_RETURN, unless the link breaks: then the
 * caller asks again. Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_SERVE_H
#define GROVEFS_ENGINE_SERVE_H

#include "engine/node.h"

struct serve;

struct serve *serve_new(struct node *node);
/* Gives up what runs; its answers are not sent. */
void serve_stop(struct serve *serve);
void serve_free(struct serve *serve); /* Takes NULL; after serve_stop(). */

void serve_call(struct serve *serve, uint64_t from,
                const struct env_packet *packet);

#endif
