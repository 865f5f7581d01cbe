/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files that come and go while others work: for each of a few names, whether it is there and what
 * the file must hold. For one thread at a time. */
#ifndef ISRFS_TESTS_MODEL_NAMES_H
#define ISRFS_TESTS_MODEL_NAMES_H

#include "tests/unit/model_world.h"

#define NAMES 6u

struct model_names {
    uint64_t folders[2];
    uint64_t words[NAMES]; /* what the file's bytes follow from; 0: there is none of that name */
};

/* Makes the folder that some of the names are in. */
void model_names_begin(struct world *w, struct model_names *m);

/* Makes, replaces, renames, rewrites, removes (while it is in use) or reads one. */
void model_names_step(struct world *w, struct model_names *m, uint64_t *random);

/* Looks at all of them. */
void model_names_check(struct world *w, struct model_names *m);

#endif
