# A program that exercises one file at random, and the tests that run it and fio on a mount.
check_PROGRAMS += tests/exercise/exercise
tests_exercise_exercise_SOURCES = \
	tests/exercise/crash.c tests/exercise/crash.h \
	tests/exercise/exercise.c \
	tests/exercise/op.c tests/exercise/op.h \
	tests/exercise/shadow.c tests/exercise/shadow.h \
	tests/exercise/target.c tests/exercise/target.h
tests_exercise_exercise_LDADD = libbase.a $(CRYPTO_LIBS)

SHELL_TESTS += \
	tests/a-file-is-what-was-done-to-it.sh \
	tests/a-killed-daemon-keeps-each-write-whole-and-in-order.sh \
	tests/fio-verifies-what-was-synced-before-a-kill.sh
