# Crashes in which a disk loses what was not flushed.
CRASH_TRACE_WRAPS = -Wl,--wrap=openat64 -Wl,--wrap=fsync -Wl,--wrap=fdatasync -Wl,--wrap=syncfs \
	-Wl,--wrap=ftruncate64 -Wl,--wrap=fallocate64 -Wl,--wrap=renameat -Wl,--wrap=unlinkat \
	-Wl,--wrap=mkdirat -Wl,--wrap=write -Wl,--wrap=pwrite64
CRASH_TESTS = tests/unit/test_power_loss tests/unit/test_power_loss_checkin
check_PROGRAMS += $(CRASH_TESTS)
UNIT_TESTS += $(CRASH_TESTS)

crash_simulator = \
	tests/unit/crash_record.c \
	tests/unit/crash_trace.c tests/unit/crash_trace.h tests/unit/crash_trace_internal.h \
	tests/unit/crash_disk.c tests/unit/crash_disk.h \
	tests/unit/crash_history.c tests/unit/crash_history.h \
	tests/unit/crash_run.c tests/unit/crash_run.h \
	tests/unit/crash_model.c tests/unit/crash_model.h
tests_unit_test_power_loss_SOURCES = tests/unit/test_power_loss.c $(crash_simulator) $(crash_parcel)
tests_unit_test_power_loss_LDADD = $(parcel_test_libs)
tests_unit_test_power_loss_LDFLAGS = $(AM_LDFLAGS) $(CRASH_TRACE_WRAPS)

# What is said to the lock server is recorded beside the operations on the disks.
# A store has more files to flush than it holds open, now and then: then a barrier is one syncfs.
CRASH_CARRIER_WRAPS = -Wl,--wrap=pthread_create -Wl,--wrap=clock_wait
tests_unit_test_power_loss_checkin_SOURCES = tests/unit/test_power_loss_checkin.c \
	$(crash_simulator) tests/unit/crash_carrier.c tests/unit/crash_carrier.h \
	isrfs/store/folder_flush.c
tests_unit_test_power_loss_checkin_CPPFLAGS = $(AM_CPPFLAGS) -DFOLDER_FILES_HELD=6u
tests_unit_test_power_loss_checkin_LDADD = $(tests_unit_test_site_LDADD)
tests_unit_test_power_loss_checkin_LDFLAGS = $(AM_LDFLAGS) $(CRASH_TRACE_WRAPS) \
	$(CRASH_CARRIER_WRAPS) \
	-Wl,--wrap=lockclient_create -Wl,--wrap=lockclient_acquire -Wl,--wrap=lockclient_publish \
	-Wl,--wrap=lockclient_release
