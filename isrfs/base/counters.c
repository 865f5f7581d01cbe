/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names and offsets come from the one list in the header. */
#include "isrfs/base/counters.h"

static const struct {
    const char *name;
    size_t offset;
} table[] = {
#define X(name) {#name, offsetof(struct counters, name)},
    COUNTERS(X)
#undef X
};

const char *counters_name(size_t i)
{
    return i < sizeof table / sizeof *table ? table[i].name : NULL;
}

uint64_t counters_value(const struct counters *c, size_t i)
{
    const _Atomic uint64_t *counter = (const void *)((const uint8_t *)c + table[i].offset);
    return atomic_load_explicit(counter, memory_order_relaxed);
}
