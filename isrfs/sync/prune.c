/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the newest version to the oldest. Each rule on its own remembers the period of the last
 * version that it has kept, and keeps the first one that it meets of another, until it has kept
 * enough. So what several rules keep is what each would keep alone. */
#include "isrfs/sync/prune.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum period { EACH, DAY, WEEK, MONTH };

struct rule {
    enum period period;
    uint64_t left;
    char kept[32];
};

static void name_period(enum period period, const struct lockclient_version *v, char out[32])
{
    time_t when = (time_t)v->time;
    struct tm tm;
    if (v->time > INT64_MAX || !localtime_r(&when, &tm))
        period = EACH;
    switch (period) {
    case DAY:
        strftime(out, 32, "%Y-%m-%d", &tm);
        break;
    case WEEK:
        strftime(out, 32, "%G-%V", &tm);
        break;
    case MONTH:
        strftime(out, 32, "%Y-%m", &tm);
        break;
    case EACH:
    default:
        snprintf(out, 32, "%llu", (unsigned long long)v->number);
        break;
    }
}

static bool keeps(struct rule *rule, const struct lockclient_version *v)
{
    char period[32];
    if (rule->left == 0)
        return false;
    name_period(rule->period, v, period);
    if (strcmp(period, rule->kept) == 0)
        return false;
    strcpy(rule->kept, period);
    rule->left--;
    return true;
}

void prune_choose(const struct lockclient_history *history, const struct prune_rules *rules,
                  uint64_t needed, enum prune_reason *ret)
{
    struct rule all[] = {{.period = EACH, .left = rules->last},
                         {.period = DAY, .left = rules->daily},
                         {.period = WEEK, .left = rules->weekly},
                         {.period = MONTH, .left = rules->monthly}};
    for (size_t i = history->count; i-- > 0;) {
        const struct lockclient_version *v = &history->versions[i];
        ret[i] = PRUNE_FORGET;
        for (int rule = 3; rule >= 0; rule--)
            if (keeps(&all[rule], v))
                ret[i] = (enum prune_reason)(PRUNE_LAST + rule);
        if (needed && v->number >= needed)
            ret[i] = PRUNE_IN_USE;
        if (i + 1 == history->count)
            ret[i] = PRUNE_NEWEST;
    }
}
