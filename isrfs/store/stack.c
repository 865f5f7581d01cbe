/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The read order. Each store below is asked through store_get, which checks and counts there; so
 * the stack itself is `checked`. Immutable after stack_new: no lock. */
#include "isrfs/store/stack.h"

#include <errno.h>

struct stack {
    struct store base;
    size_t count;
    struct store *stores[];
};

/* How much a failure says about where the object may still be: a store that is offline may have it,
 * so may one that failed in another way; a damaged one is a trace of it. */
static int weight(int error)
{
    switch (error) {
    case -ENOENT:
        return 0;
    case -EBADMSG:
        return 1;
    case -EHOSTDOWN:
        return 3;
    default:
        return 2;
    }
}

static int stack_get(struct store *s, const struct object_id *id, struct buffer *out)
{
    struct stack *stack = (struct stack *)s;
    int failure = -ENOENT;
    for (size_t i = 0; i < stack->count; i++) {
        int r = store_get(stack->stores[i], id, out);
        if (r == 0 || r == -ENOMEM)
            return r;
        if (weight(r) > weight(failure))
            failure = r;
    }
    return failure;
}

static int stack_has(struct store *s, const struct object_id *id)
{
    struct stack *stack = (struct stack *)s;
    int failure = 0;
    for (size_t i = 0; i < stack->count; i++) {
        int r = store_has(stack->stores[i], id);
        if (r > 0)
            return r;
        if (r < 0 && (failure == 0 || r == -EHOSTDOWN))
            failure = r;
    }
    return failure;
}

static void stack_free(struct store *s)
{
    free(s);
}

static const struct store_ops stack_ops = {
    .get = stack_get,
    .has = stack_has,
    .free = stack_free,
};

struct store *stack_new(struct codec *codec, struct counters *counters, struct store *const *stores,
                        size_t count)
{
    struct stack *stack = calloc(1, sizeof *stack + count * sizeof stack->stores[0]);
    if (!stack)
        return NULL;
    stack->base = (struct store){
        .ops = &stack_ops,
        .name = "stack",
        .codec = codec,
        .counters = counters,
        .checked = true,
    };
    stack->count = count;
    for (size_t i = 0; i < count; i++)
        stack->stores[i] = stores[i];
    return &stack->base;
}
