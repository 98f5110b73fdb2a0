/* SPDX-License-Identifier: Apache-2.0 */

/* What the files command*.c share; for them only. */

#ifndef GROVEFS_ENGINE_COMMAND_IMPL_H
#define GROVEFS_ENGINE_COMMAND_IMPL_H

#include "engine/command.h"

/* In front of the message: the format and the message's size. */
enum { PREFIX_SIZE = 1 + 4 };

#endif
