#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Each command may be killed before any step that changes something on disk, and said again: the end
# is the same as without the kill, also if another site came in between.
# shellcheck source=tests/lock-functions.sh
. "${0%/*}/lock-functions.sh"
# shellcheck source=tests/lock-scenarios.sh
. "${0%/*}/lock-scenarios.sh"

for name in user create acquire checkpoint checkin handover release break rollback rolledprune \
    clone remove prune breakone; do
    kill_everywhere "$name"
done
