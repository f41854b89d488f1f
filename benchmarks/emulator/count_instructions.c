/* Counts the instructions that an emulated program executes, section by section, to the digit.

   A plugin for QEMU 7.2's user emulation. The program begins section N with the system call
   close_range(MARK + 0, MARK + N), which closes nothing because no descriptor is that high, and
   leaves it with N = 0. Python issues it with os.closerange(MARK, MARK + N + 1).

   A thread is in the section that it began itself; a thread that began none is not counted. At
   the end each section that was begun is a line "N count" in the file that the option `out` names.
   A section begins after the call that begins it, and ends with the call that begins the next. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* QEMU's interface as of API version 1; Debian ships no header for it. */
typedef uint64_t plugin_id;
struct qemu_plugin_tb;
enum callback_flags { CALLBACK_NO_REGISTERS };
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id,
                                           void (*)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *),
                                          enum callback_flags, void *argument);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id,
                                          void (*)(plugin_id, unsigned, int64_t, uint64_t,
                                                   uint64_t, uint64_t, uint64_t, uint64_t,
                                                   uint64_t, uint64_t, uint64_t));
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *argument);

#define EXPORTED __attribute__((visibility("default")))

enum {
    CLOSE_RANGE = 436, /* on every architecture */
    MARK = 0x5EC70000,
    SECTIONS = 0x10000,
    THREADS = 1024,
};

EXPORTED int qemu_plugin_version = 1;

static uint64_t counts[SECTIONS];
static char begun[SECTIONS];
static unsigned section_of[THREADS];
static char out[4096];
static pid_t process;

/* A block of instructions runs to its end: it is left early only for a signal or a page that is
   not there, and a system call is always its last instruction. */
static void execute(unsigned thread, void *instructions)
{
    unsigned section = thread < THREADS ? section_of[thread] : 0;
    if (section)
        counts[section] += (uintptr_t)instructions;
}

static void translate(plugin_id id, struct qemu_plugin_tb *block)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, execute, CALLBACK_NO_REGISTERS,
                                         (void *)(uintptr_t)qemu_plugin_tb_n_insns(block));
}

static void call_system(plugin_id id, unsigned thread, int64_t number, uint64_t first,
                        uint64_t last, uint64_t c, uint64_t d, uint64_t e, uint64_t f,
                        uint64_t g, uint64_t h)
{
    (void)id, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number != CLOSE_RANGE || (uint32_t)first != MARK || thread >= THREADS)
        return;
    unsigned section = (uint32_t)last - MARK;
    if (section < SECTIONS) {
        section_of[thread] = section;
        begun[section] = 1;
    }
}

static void end(plugin_id id, void *argument)
{
    (void)id, (void)argument;
    if (getpid() != process) /* a fork of the program */
        return;
    FILE *file = fopen(out, "w");
    if (!file)
        return;
    for (unsigned section = 1; section < SECTIONS; section++)
        if (begun[section])
            fprintf(file, "%u %llu\n", section, (unsigned long long)counts[section]);
    fclose(file);
}

EXPORTED int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4) || strlen(argv[0] + 4) >= sizeof out) {
        fputs("count_instructions: expected one option, out=FILE\n", stderr);
        return -1;
    }
    strcpy(out, argv[0] + 4);
    process = getpid();
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_vcpu_syscall_cb(id, call_system);
    qemu_plugin_register_atexit_cb(id, end, NULL);
    return 0;
}
