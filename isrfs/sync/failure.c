/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One line of text, cleaned of whatever it quotes. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "isrfs/base/log.h"
#include "isrfs/sync/checkout.h"

static int errno_of(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_DONE:
        return 0;
    case OUTCOME_USAGE:
        return -EINVAL;
    case OUTCOME_LOCKED:
        return -EBUSY;
    case OUTCOME_UNKNOWN:
        return -ENOENT;
    case OUTCOME_DAMAGED:
        return -EBADMSG;
    case OUTCOME_UNREACHABLE:
        return -EHOSTDOWN;
    case OUTCOME_FAILED:
    default:
        return -EIO;
    }
}

int failure_set(struct failure *f, enum outcome outcome, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_clean_format(f->text, sizeof f->text, format, args);
    va_end(args);
    f->outcome = outcome;
    return errno_of(outcome);
}

enum outcome outcome_of(int error)
{
    switch (error) {
    case 0:
        return OUTCOME_DONE;
    case -EBADMSG:
        return OUTCOME_DAMAGED;
    case -EHOSTDOWN:
    case -EHOSTUNREACH:
    case -ENOTCONN:
    case -ETIMEDOUT:
    case -ESTALE:
        return OUTCOME_UNREACHABLE;
    default:
        return OUTCOME_FAILED;
    }
}
