# Crashes in which a disk loses what was not flushed.
CRASH_TRACE_WRAPS = -Wl,--wrap=openat64 -Wl,--wrap=fsync -Wl,--wrap=fdatasync -Wl,--wrap=syncfs \
	-Wl,--wrap=ftruncate64 -Wl,--wrap=fallocate64 -Wl,--wrap=renameat -Wl,--wrap=unlinkat \
	-Wl,--wrap=mkdirat -Wl,--wrap=write -Wl,--wrap=pwrite64
CRASH_TESTS = tests/unit/test_power_loss
check_PROGRAMS += $(CRASH_TESTS)
UNIT_TESTS += $(CRASH_TESTS)

crash_simulator = \
	tests/unit/crash_trace.c tests/unit/crash_trace.h \
	tests/unit/crash_disk.c tests/unit/crash_disk.h \
	tests/unit/crash_model.c tests/unit/crash_model.h
tests_unit_test_power_loss_SOURCES = tests/unit/test_power_loss.c $(crash_simulator)
tests_unit_test_power_loss_LDADD = $(parcel_test_libs)
tests_unit_test_power_loss_LDFLAGS = $(AM_LDFLAGS) $(CRASH_TRACE_WRAPS)
