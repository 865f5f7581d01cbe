/* SPDX-License-Identifier: GPL-3.0-or-later */
/* On some machines (nested or software virtualization) /dev/kvm opens, takes a guest, and the guest
 * spins for ever; QEMU cannot tell. There such a KVM was seen to run a few instructions rightly,
 * but to offer no SSE3, which every processor that has VT-x or AMD-V offers: so both are looked at.
 */
#include "vmm-hooks/qemu_kvm.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "isrfs/base/cleanup.h"

#define TIMEOUT_MS    1000
#define CODE_ADDRESS  0x1000
#define CPUID_ENTRIES 256
#define ECX_SSE3      (1u << 0)
#define ECX_CX16      (1u << 13)

/* 16-bit code: counts to a thousand, writes to memory, halts. */
static const uint8_t code[] = {
    0xb9, 0xe8, 0x03,             /* mov cx, 1000 */
    0xe2, 0xfe,                   /* loop to itself */
    0xc6, 0x06, 0x00, 0x18, 0x5a, /* mov byte [0x1800], 0x5a */
    0xf4                          /* hlt */
};
#define MARK_OFFSET 0x800 /* in the page at CODE_ADDRESS */
#define MARK        0x5a

/* MEMORY is a page. */
static bool runs_code(int kvm, int vm, uint8_t *memory)
{
    memcpy(memory, code, sizeof code);
    struct kvm_userspace_memory_region region = {
        .guest_phys_addr = CODE_ADDRESS, .memory_size = 4096, .userspace_addr = (uintptr_t)memory};
    if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return false;
    int cpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (cpu < 0 || size < (int)sizeof(struct kvm_run))
        return false;
    const volatile struct kvm_run *run =
        mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
    struct kvm_sregs segments;
    if (run == MAP_FAILED || ioctl(cpu, KVM_GET_SREGS, &segments) < 0)
        return false;
    segments.cs.base = 0;
    segments.cs.selector = 0;
    struct kvm_regs registers = {.rip = CODE_ADDRESS, .rflags = 2};
    if (ioctl(cpu, KVM_SET_SREGS, &segments) < 0 || ioctl(cpu, KVM_SET_REGS, &registers) < 0)
        return false;
    return ioctl(cpu, KVM_RUN, 0) == 0 && run->exit_reason == KVM_EXIT_HLT &&
           ((volatile uint8_t *)memory)[MARK_OFFSET] == MARK;
}

static bool offers_features(int kvm)
{
    size_t size = sizeof(struct kvm_cpuid2) + CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2);
    CLEANUP_FREE struct kvm_cpuid2 *list = calloc(1, size);
    if (!list)
        return false;
    list->nent = CPUID_ENTRIES;
    if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, list) < 0)
        return false;
    for (uint32_t i = 0; i < list->nent && i < CPUID_ENTRIES; i++)
        if (list->entries[i].function == 1)
            return (list->entries[i].ecx & ECX_SSE3) && (list->entries[i].ecx & ECX_CX16);
    return false;
}

/* In the child, whose end releases everything. */
static bool try_kvm(int kvm)
{
    if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION || !offers_features(kvm))
        return false;
    int vm = ioctl(kvm, KVM_CREATE_VM, 0);
    uint8_t *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return vm >= 0 && memory != MAP_FAILED && runs_code(kvm, vm, memory);
}

bool qemu_kvm_works(void)
{
    CLEANUP_CLOSE int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0)
        return false;
    pid_t child = fork();
    if (child < 0)
        return false;
    if (child == 0)
        _exit(try_kvm(kvm) ? 0 : 1);
    CLEANUP_CLOSE int pidfd = pidfd_open(child, 0);
    struct pollfd wait = {pidfd, POLLIN, 0};
    int ended;
    do
        ended = pidfd < 0 ? 0 : poll(&wait, 1, TIMEOUT_MS);
    while (ended < 0 && errno == EINTR);
    int status = -1;
    if (ended == 1)
        return waitpid(child, &status, 0) == child && status == 0;
    /* Not waited for: a child that hangs inside KVM may not even be killed. */
    kill(child, SIGKILL);
    return false;
}
