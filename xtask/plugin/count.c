/*
 * A plugin of QEMU's translator that counts guest instructions. Loaded by `cargo xtask bench`, which compiles it.
 *
 * Arguments: out=FILE (required), uart=ADDRESS, profile=FILE, chance=ADDRESS (often).
 *   FILE gets "user COUNT" (count before the first instruction of a program) and "total COUNT".
 *   With uart=, FILE.bytes gets one line per byte that the guest stores to that physical address: the count at that
 *   moment. So the byte at offset n of the serial log was printed at the count in line n.
 *   With profile=, that file gets "ADDRESS COUNT" for each instruction that was executed.
 *   With chance=, the address of an instruction at which the kernel takes an interrupt if there is one, each line of
 *   FILE.bytes goes on with the length of the longest stretch that ended since the line before: instructions
 *   between two chances, where all of a program's are chances.
 *
 * Only functions whose signatures are the same in every version of the interface are used, and they are declared
 * here, because distributions do not package the header. Exact for one CPU: one counter, no atomic operations.
 * A callback for each instruction is slow and exact; an addition for each block, as for stretches, counts what a fault
 * cut off, a few instructions at most.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct block;
struct instruction;
struct physical;
struct info;

enum { NO_REGISTERS = 0, WRITES = 2 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct block *));
extern void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct block *, void (*)(unsigned, void *), int, void *);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct instruction *, void (*)(unsigned, void *), int, void *);
extern void qemu_plugin_register_vcpu_mem_cb(struct instruction *, void (*)(unsigned, uint32_t, uint64_t, void *), int, int, void *);
extern size_t qemu_plugin_tb_n_insns(const struct block *);
extern struct instruction *qemu_plugin_tb_get_insn(const struct block *, size_t);
extern uint64_t qemu_plugin_insn_vaddr(const struct instruction *);
extern struct physical *qemu_plugin_get_hwaddr(uint32_t, uint64_t);
extern bool qemu_plugin_hwaddr_is_io(const struct physical *);
extern uint64_t qemu_plugin_hwaddr_phys_addr(const struct physical *);

#ifndef API
#define API 1
#endif
#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = API;

static uint64_t count;
static uint64_t first_user;
static uint64_t uart;
static FILE *out;
static FILE *bytes;
static FILE *profile;

/* Addresses of executed instructions, open addressing; address 0 is free. */
enum { SLOTS = 1 << 21 };
struct slot {
    uint64_t address;
    uint64_t count;
};
static struct slot *slots;

static struct slot *slot_of(uint64_t address)
{
    for (uint64_t at = (address >> 2) * 0x9e3779b97f4a7c15u >> 43;; at = (at + 1) % SLOTS) {
        if (slots[at].address == address)
            return &slots[at];
        if (slots[at].address == 0) {
            slots[at].address = address;
            return &slots[at];
        }
    }
}

/* Instructions at which an interrupt is taken if there is one, and the stretches between. */
enum { CHANCES = 64 };
static uint64_t chances[CHANCES];
static int chance_count;
static uint64_t stretch;
static uint64_t longest;

static void on_instruction(unsigned cpu, void *slot)
{
    (void)cpu;
    count++;
    if (slot)
        ((struct slot *)slot)->count++;
}

/* The kernel runs in the upper half, and now and then at the physical addresses of its RAM, which begins at 1 GiB on
 * this board; the bench gives it no more than 1 GiB. Programs are elsewhere. */
static bool of_a_program(uint64_t address)
{
    return address >> 63 == 0 && address >> 30 != 1;
}

static void on_program(unsigned cpu, void *data)
{
    (void)cpu;
    (void)data;
    if (first_user == 0)
        first_user = count;
}

static void on_chance(unsigned cpu, void *data)
{
    (void)cpu;
    (void)data;
    if (longest < stretch)
        longest = stretch;
    stretch = 0;
}

static void on_kernel_block(unsigned cpu, void *length)
{
    (void)cpu;
    count += (uintptr_t)length;
    stretch += (uintptr_t)length;
}

static void on_program_block(unsigned cpu, void *length)
{
    count += (uintptr_t)length;
    on_chance(cpu, NULL);
}

static bool is_chance(uint64_t address)
{
    for (int at = 0; at < chance_count; at++)
        if (chances[at] == address)
            return true;
    return false;
}

static void on_store(unsigned cpu, uint32_t access, uint64_t address, void *data)
{
    (void)cpu;
    (void)data;
    struct physical *physical = qemu_plugin_get_hwaddr(access, address);
    if (physical && qemu_plugin_hwaddr_is_io(physical) && qemu_plugin_hwaddr_phys_addr(physical) == uart) {
        fprintf(bytes, "%" PRIu64 " %" PRIu64 "\n", count, longest);
        longest = 0;
    }
}

/* With chances: counted by blocks, because the runs are long. */
static void for_stretches(struct block *block)
{
    size_t length = qemu_plugin_tb_n_insns(block);
    bool program = of_a_program(qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(block, 0)));
    qemu_plugin_register_vcpu_tb_exec_cb(block, program ? on_program_block : on_kernel_block, NO_REGISTERS,
                                         (void *)(uintptr_t)length);
    for (size_t i = 0; i < length && !program; i++) {
        struct instruction *instruction = qemu_plugin_tb_get_insn(block, i);
        if (is_chance(qemu_plugin_insn_vaddr(instruction)))
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_chance, NO_REGISTERS, NULL);
        qemu_plugin_register_vcpu_mem_cb(instruction, on_store, NO_REGISTERS, WRITES, NULL);
    }
}

static void on_translation(plugin_id id, struct block *block)
{
    (void)id;
    if (chance_count) {
        for_stretches(block);
        return;
    }
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct instruction *instruction = qemu_plugin_tb_get_insn(block, i);
        uint64_t address = qemu_plugin_insn_vaddr(instruction);
        if (i == 0 && first_user == 0 && of_a_program(address))
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_program, NO_REGISTERS, NULL);
        qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_instruction, NO_REGISTERS,
                                               slots ? slot_of(address) : NULL);
        if (uart)
            qemu_plugin_register_vcpu_mem_cb(instruction, on_store, NO_REGISTERS, WRITES, NULL);
    }
}

static void on_exit_of_emulator(plugin_id id, void *data)
{
    (void)id;
    (void)data;
    fprintf(out, "user %" PRIu64 "\ntotal %" PRIu64 "\n", first_user, count);
    fclose(out);
    if (bytes)
        fclose(bytes);
    if (profile) {
        for (size_t at = 0; at < SLOTS; at++)
            if (slots[at].count)
                fprintf(profile, "%#" PRIx64 " %" PRIu64 "\n", slots[at].address, slots[at].count);
        fclose(profile);
    }
}

EXPORT int qemu_plugin_install(plugin_id id, const struct info *info, int argc, char **argv)
{
    (void)info;
    char name[4096];
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0) {
            out = fopen(argv[i] + 4, "w");
            snprintf(name, sizeof name, "%s.bytes", argv[i] + 4);
        } else if (strncmp(argv[i], "uart=", 5) == 0) {
            uart = strtoull(argv[i] + 5, NULL, 0);
        } else if (strncmp(argv[i], "profile=", 8) == 0) {
            profile = fopen(argv[i] + 8, "w");
            slots = calloc(SLOTS, sizeof *slots);
        } else if (strncmp(argv[i], "chance=", 7) == 0 && chance_count < CHANCES) {
            chances[chance_count++] = strtoull(argv[i] + 7, NULL, 0);
        } else {
            fprintf(stderr, "count: unknown argument %s\n", argv[i]);
            return -1;
        }
    }
    if (!out || (profile && !slots) || (chance_count && !uart)) {
        fprintf(stderr, "count: cannot write out=FILE\n");
        return -1;
    }
    if (uart && !(bytes = fopen(name, "w")))
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_of_emulator, NULL);
    return 0;
}
