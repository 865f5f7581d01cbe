/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which versions to keep: a choice by rules, which does nothing itself. */
#ifndef ISRFS_SYNC_PRUNE_H
#define ISRFS_SYNC_PRUNE_H

#include "lockclient/types.h"

/* How many to keep: the newest ones; and the newest one of each of so many days, weeks and months
 * that have any (by this site's clock's zone; weeks begin on Monday). */
struct prune_rules {
    uint64_t last, daily, weekly, monthly;
};

/* Why a version stays, the first reason in this order; or PRUNE_FORGET. */
enum prune_reason {
    PRUNE_FORGET,
    PRUNE_NEWEST,
    PRUNE_IN_USE,
    PRUNE_LAST,
    PRUNE_DAILY,
    PRUNE_WEEKLY,
    PRUNE_MONTHLY,
};

/* Decides of each version of HISTORY. A check-out may work from NEEDED (0: none) and what is newer.
 */
void prune_choose(const struct lockclient_history *history, const struct prune_rules *rules,
                  uint64_t needed, enum prune_reason *ret);

#endif
