noinst_LIBRARIES += libcodec.a
libcodec_a_SOURCES = \
	isrfs/codec/aead.c isrfs/codec/aead.h \
	isrfs/codec/codec.c isrfs/codec/codec.h \
	isrfs/codec/object.c isrfs/codec/object.h \
	isrfs/codec/pack.c isrfs/codec/work.h
