# The site log and open parcels.
check_PROGRAMS += tests/unit/test_site_log tests/unit/test_site_log_full tests/unit/test_parcel \
	tests/unit/test_journal tests/unit/test_salvage tests/unit/test_leftover tests/unit/test_volatile \
	tests/unit/test_segment tests/unit/test_group_commit
UNIT_TESTS += tests/unit/test_site_log tests/unit/test_site_log_full tests/unit/test_parcel \
	tests/unit/test_journal tests/unit/test_salvage tests/unit/test_leftover tests/unit/test_volatile \
	tests/unit/test_segment tests/unit/test_group_commit

log_fixture = tests/unit/log_fixture.c tests/unit/log_fixture.h
parcel_fixture = $(log_fixture) tests/unit/parcel_fixture.c tests/unit/parcel_fixture.h \
	tests/unit/memory_store.c tests/unit/memory_store.h
parcel_test_libs = libparcel.a libkeyring.a libstore.a libcodec.a libbase.a $(JANSSON_LIBS) \
	$(ZSTD_LIBS) $(ZLIB_LIBS) $(CRYPTO_LIBS) $(CMOCKA_LIBS)
seeded_log = tests/unit/seeded_log.c tests/unit/seeded_log.h
tests_unit_test_site_log_SOURCES = tests/unit/test_site_log.c $(seeded_log)
tests_unit_test_site_log_LDADD = $(parcel_test_libs)
tests_unit_test_site_log_full_SOURCES = tests/unit/test_site_log_full.c $(seeded_log)
tests_unit_test_site_log_full_LDADD = $(parcel_test_libs)
tests_unit_test_site_log_full_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=io_allocate \
	-Wl,--wrap=io_unlink -Wl,--wrap=io_ftruncate
tests_unit_test_segment_SOURCES = tests/unit/test_segment.c $(log_fixture)
tests_unit_test_segment_LDADD = $(parcel_test_libs)
tests_unit_test_segment_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=random_bytes
tests_unit_test_group_commit_SOURCES = tests/unit/test_group_commit.c $(log_fixture)
tests_unit_test_group_commit_LDADD = $(parcel_test_libs)
tests_unit_test_group_commit_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=io_fdatasync
tests_unit_test_parcel_SOURCES = tests/unit/test_parcel.c $(parcel_fixture)
tests_unit_test_parcel_LDADD = $(parcel_test_libs)
tests_unit_test_journal_SOURCES = tests/unit/test_journal.c $(parcel_fixture)
tests_unit_test_journal_LDADD = $(parcel_test_libs)
tests_unit_test_salvage_SOURCES = tests/unit/test_salvage.c $(parcel_fixture) \
	tests/unit/salvage_fixture.c tests/unit/salvage_fixture.h
tests_unit_test_salvage_LDADD = $(parcel_test_libs)
tests_unit_test_leftover_SOURCES = tests/unit/test_leftover.c $(parcel_fixture)
tests_unit_test_leftover_LDADD = $(parcel_test_libs)
tests_unit_test_volatile_SOURCES = tests/unit/test_volatile.c $(parcel_fixture)
tests_unit_test_volatile_LDADD = $(parcel_test_libs)

# The disk is made to fail, and the process to die, where the log asks it to write.
check_PROGRAMS += tests/unit/test_crash
UNIT_TESTS += tests/unit/test_crash
crash_parcel = tests/unit/crash_parcel.c tests/unit/crash_parcel.h $(log_fixture)
tests_unit_test_crash_SOURCES = tests/unit/test_crash.c $(crash_parcel) \
	tests/unit/crash_trace.c tests/unit/crash_trace.h tests/unit/crash_trace_internal.h \
	tests/unit/crash_disk.c tests/unit/crash_disk.h \
	tests/unit/crash_model.c tests/unit/crash_model.h
tests_unit_test_crash_LDADD = $(parcel_test_libs)
tests_unit_test_crash_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=io_pwrite -Wl,--wrap=io_fsync \
	-Wl,--wrap=io_fdatasync -Wl,--wrap=io_fsync_dir -Wl,--wrap=io_allocate -Wl,--wrap=io_mkdir \
	-Wl,--wrap=io_create -Wl,--wrap=io_unlink -Wl,--wrap=io_rename -Wl,--wrap=io_write \
	-Wl,--wrap=io_ftruncate -Wl,--wrap=io_syncfs -Wl,--wrap=io_rmdir -Wl,--wrap=io_open_write

# Threads, and a home that fails.
check_PROGRAMS += tests/unit/test_model
UNIT_TESTS += tests/unit/test_model
tests_unit_test_model_SOURCES = tests/unit/test_model.c $(log_fixture) \
	tests/unit/model_file.c tests/unit/model_file.h \
	tests/unit/model_names.c tests/unit/model_names.h \
	tests/unit/model_world.c tests/unit/model_world.h
tests_unit_test_model_LDADD = $(parcel_test_libs)
tests_unit_test_model_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=log_error -Wl,--wrap=log_warning

# What maps a file and writes to it, for the shell tests.
check_PROGRAMS += tests/unit/mapped_writer
tests_unit_mapped_writer_SOURCES = tests/unit/mapped_writer.c
