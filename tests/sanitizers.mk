# Builds with the compiler's sanitizers, in folders of their own, and what is run of them: the unit
# tests (the model checker is one of them) and a test of a mount.
SANITIZED_TESTS = $(UNIT_TESTS) tests/a-file-is-what-was-done-to-it.sh
SANITIZED_OPS = 5000
# They have one thread only (the log and the parcel make none), and crash thousands of times, which is
# slow there. test_power_loss_checkin does have threads: it runs, with fewer states.
NOT_FOR_TSAN = tests/unit/test_crash tests/unit/test_power_loss
TSAN_STATES = 24
sanitized = $(AM_TESTS_ENVIRONMENT) MAKE='$(MAKE)'; EXERCISE_OPS=$(SANITIZED_OPS); \
	export MAKE EXERCISE_OPS; /bin/sh '$(srcdir)/tests/sanitized'

check-tsan:
	+@CRASH_STATES=$(TSAN_STATES); export CRASH_STATES; \
	$(sanitized) tsan -fsanitize=thread $(filter-out $(NOT_FOR_TSAN),$(SANITIZED_TESTS))
check-asan:
	+@$(sanitized) asan '-fsanitize=address,undefined -fno-sanitize-recover=undefined' \
		$(SANITIZED_TESTS)
.PHONY: check-tsan check-asan

EXTRA_DIST += tests/sanitized
