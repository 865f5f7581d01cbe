noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = \
	isrfs/base/buffer.c isrfs/base/buffer.h \
	isrfs/base/cleanup.h \
	isrfs/base/clock.c isrfs/base/clock.h \
	isrfs/base/counters.c isrfs/base/counters.h \
	isrfs/base/hex.c isrfs/base/hex.h \
	isrfs/base/io.c isrfs/base/io.h isrfs/base/io_replace.c \
	isrfs/base/keyvalue.c isrfs/base/keyvalue.h \
	isrfs/base/log.c isrfs/base/log.h \
	isrfs/base/pool.c isrfs/base/pool.h \
	isrfs/base/process.c isrfs/base/process.h \
	isrfs/base/random.c \
	isrfs/base/secret.c isrfs/base/secret.h \
	isrfs/base/words.c isrfs/base/words.h isrfs/base/words_english.h
