# Versions for people, and breaking locks.
check_PROGRAMS += tests/unit/test_prune
UNIT_TESTS += tests/unit/test_prune
tests_unit_test_prune_SOURCES = tests/unit/test_prune.c
tests_unit_test_prune_LDADD = libsync.a libbase.a $(CMOCKA_LIBS)

SHELL_TESTS += \
	tests/break-lock-frees-the-parcel-of-a-lost-site.sh \
	tests/clone-is-at-once-and-copies-nothing.sh \
	tests/comments-come-back-as-they-were-given.sh \
	tests/parcel-that-never-came-to-be-leaves-no-record.sh \
	tests/prune-keeps-the-record-of-a-restored-version.sh \
	tests/prune-keeps-what-the-rules-say.sh \
	tests/resize-changes-a-disk.sh \
	tests/rm-removes-a-parcel-and-says-what-stays.sh \
	tests/rollback-publishes-an-old-version.sh \
	tests/rollback-by-two-sites-leaves-its-record.sh \
	tests/ssh-versions-for-people.sh \
	tests/versions-command-killed-anywhere-is-done-by-the-next.sh
