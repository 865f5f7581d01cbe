vmmhooksdir = $(libexecdir)/isr/vmm-hooks
vmmhooks_PROGRAMS = vmm-hooks/qemu
vmm_hooks_qemu_SOURCES = \
	vmm-hooks/qemu.c \
	vmm-hooks/qemu_command.c vmm-hooks/qemu_command.h \
	vmm-hooks/qemu_kvm.c vmm-hooks/qemu_kvm.h \
	vmm-hooks/qemu_memory.c vmm-hooks/qemu_memory.h \
	vmm-hooks/qemu_process.c vmm-hooks/qemu_process.h \
	vmm-hooks/qemu_resume.c vmm-hooks/qemu_resume.h \
	vmm-hooks/qemu_settings.c vmm-hooks/qemu_settings.h \
	vmm-hooks/qemu_site.c vmm-hooks/qemu_site.h \
	vmm-hooks/qemu_suspend.c vmm-hooks/qemu_suspend.h \
	vmm-hooks/qmp.c vmm-hooks/qmp.h
vmm_hooks_qemu_LDADD = libbase.a $(JANSSON_LIBS) $(CRYPTO_LIBS)
