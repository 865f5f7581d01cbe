#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The home is lost in the middle of a check-in, with everything put there that was not yet durable.
# If it is back at once the same check-in brings all of it again; else it ends with status 6, keeps
# everything, and the next one does it, by the same daemon or by isr ci.
. "$abs_top_srcdir/tests/functions.sh"
. "$abs_top_srcdir/tests/home-functions.sh"

# store_child: who works on the home for the daemon.
store_child() {
    ps -o pid=,comm= --ppid "$daemon" | sed -n 's/^ *\([0-9]*\) isrfs-store-chi.*/\1/p'
}

# change FILE: some hundred objects of random bytes, so that there are some for each folder's name.
change() {
    random_file "$1" 20000000
    cp "$1" m/
}

home_starts
random_file disk.img 300000
new_parcel vm disk.img
printf 'LOG_SIZE:=30000000\n' >>a/isr.conf # more than one of the files below
mount_at site_a vm m
daemon=$(daemon_pid m)

# The child is killed when objects were put and others are being put.
change one.img
home_hangs /chunks/a
site_a isr checkpoint vm >out 2>"$said" &
checkpoint=$!
home_says b
store_child | xargs kill -s KILL
home_answers
wait "$checkpoint" || fail "the checkpoint failed: $(cat "$said")"
messages a | grep -q 'once more' || fail 'it was not disturbed'
[ "$(version_of vm)" -eq 2 ] || fail 'not published'

# The home itself goes, and is back for the next one.
change two.img
home_hangs /chunks/a
fails 6 site_a isr checkpoint vm &
checkpoint=$!
home_says b
home_goes
wait "$checkpoint" || fail 'the checkpoint did not fail rightly'
[ "$(version_of vm)" -eq 2 ] || fail 'published'
home_starts
site_a isr checkpoint vm || fail 'the next checkpoint failed'
[ "$(version_of vm)" -eq 3 ] || fail 'not published'

# What was lost while it was brought home beforehand, and is not needed any more, stops nothing.
home_hangs /chunks/a
change three.img
cp three.img m/again.img
sync -f m/again.img
random_file three.img 20000000
cp three.img m/again.img
sync -f m/again.img
home_says b
store_child | xargs kill -s KILL
home_answers
wait_for_line "$(find a -name messages)" 'cannot be brought home now'
change three.img
site_a isr checkpoint vm || fail 'the checkpoint after that failed'
[ "$(version_of vm)" -eq 4 ] || fail 'not published'

# And at unmounting, when isr ci does it.
change four.img
home_hangs /chunks/a
fails 6 site_a isr umount m &
umount=$!
home_says b
home_goes
wait "$umount" || fail 'the check-in did not fail rightly'
wait_gone "$daemon"
[ -n "$(holder vm)" ] || fail 'the lock is gone'
site_a isr status vm >out
grep -q 'not yet checked in' out || fail "isr status: $(cat out)"
home_starts
site_a isr ci vm || fail 'isr ci failed'
[ -z "$(holder vm)" ] || fail 'the lock is kept'

site_b isr verify vm || fail 'it is not whole'
mount_at site_b vm n
for file in disk one two three four; do
    same "$file.img" "n/$file.img"
done
umount_at site_b n
