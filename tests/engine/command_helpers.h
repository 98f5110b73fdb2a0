/* SPDX-License-Identifier: Apache-2.0 */

/* What the tests of commands and their results share. */

#ifndef GROVEFS_TESTS_ENGINE_COMMAND_HELPERS_H
#define GROVEFS_TESTS_ENGINE_COMMAND_HELPERS_H

#include "codec_helpers.h"

#include "engine/command.h"

/* In front of the message: the format and the message's size. */
enum { COMMAND_PREFIX_SIZE = 5 };

/* With a value in every field, as far as that goes. */
struct command filled_command(void);
struct result filled_result(void);

/* Decoders, as codec_helpers.h wants them. */
int try_command(struct slice bytes);
int try_result(struct slice bytes);

struct buf *empty_message(void);
/* A command or result without data whose message is `message`. Takes it. */
struct buf *framed(struct buf *message);

#endif
