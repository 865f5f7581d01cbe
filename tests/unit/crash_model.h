/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A few files with simple contents, on which the same steps are done as on a parcel, to tell what
 * the parcel has to be. */
#ifndef ISRFS_TESTS_CRASH_MODEL_H
#define ISRFS_TESTS_CRASH_MODEL_H

#include "isrfs/parcel/parcel.h"

#define CRASH_MODEL_FILES 5
#define CRASH_MODEL_SIZE  (4 * CHUNK_SIZE_DEFAULT) /* no file is longer */

struct crash_model_data {
    uint64_t size;
    uint8_t bytes[CRASH_MODEL_SIZE];
};

/* Of a volatile file (the memory of a machine) a crash leaves KEPT: as it was when nothing ran. It
 * is stale from then until it is written to. */
struct crash_model_file {
    bool there, is_volatile, stale;
    struct crash_model_data now, kept;
};

/* Files by name: a rename moves the contents. */
struct crash_model {
    struct crash_model_file files[CRASH_MODEL_FILES];
};

/* The last is that of a volatile file. */
extern const char *const crash_model_names[CRASH_MODEL_FILES];

struct crash_step {
    /* a write to a file that is not there only makes it: a step is one operation */
    enum { CRASH_WRITE_BYTES, CRASH_ZERO, CRASH_TRUNCATE, CRASH_MOVE, CRASH_REMOVE } kind;
    unsigned name, other;
    uint64_t offset, size;
    uint8_t byte;
};

/* On the first FILES of the names. */
struct crash_step crash_model_step(uint64_t *random, unsigned files);
void crash_model_do(struct crash_model *m, const struct crash_step *s);
/* Nothing runs, and memory is kept. True if memory and disk are of this one moment. */
bool crash_model_stop(struct crash_model *m);
/* Of what a crash leaves if all that was done is kept. */
uint64_t crash_model_digest(const struct crash_model *m);

/* The step on a parcel: 0 or negative errno. */
int crash_model_do_parcel(struct parcel *p, const struct crash_step *s);
/* The parcel's state, and its digest, which is that of the model that has come to the same. False
 * if it cannot be read or is none of the model's. */
bool crash_model_read(struct parcel *p, struct crash_model *m, uint64_t *ret_digest);

#endif
