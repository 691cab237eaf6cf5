/* Names for code addresses. Any process, while it reports its own end. */
#include "server/base/symbols.h"

#include <assert.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static_assert(UINTPTR_MAX == UINT64_MAX, "only 64-bit ELF files are read");

extern const char __executable_start, _end; /* from the linker: where our own program is loaded */

static struct {
    const uint8_t *file;
    size_t bytes;
    const Elf64_Sym *symbols;
    size_t count;
    const char *names;
    size_t names_bytes;
    uintptr_t base; /* what is added to the file's addresses */
    char path[PATH_MAX];
} own;

static bool fits(uint64_t offset, uint64_t bytes)
{
    return offset <= own.bytes && bytes <= own.bytes - offset;
}

static void find_table(void)
{
    const Elf64_Ehdr *head = (const Elf64_Ehdr *)(const void *)own.file;
    if (own.bytes < sizeof *head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0) return;
    if (head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_shentsize != sizeof(Elf64_Shdr)) return;
    if (!fits(head->e_shoff, (uint64_t)head->e_shnum * sizeof(Elf64_Shdr))) return;
    own.base = head->e_type == ET_DYN ? (uintptr_t)&__executable_start : 0;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(const void *)(own.file + head->e_shoff);
    for (unsigned i = 0; i < head->e_shnum; i++) {
        const Elf64_Shdr *table = &sections[i];
        if (table->sh_type != SHT_SYMTAB || table->sh_link >= head->e_shnum) continue;
        const Elf64_Shdr *names = &sections[table->sh_link];
        if (!fits(table->sh_offset, table->sh_size) || !fits(names->sh_offset, names->sh_size)) continue;
        own.symbols = (const Elf64_Sym *)(const void *)(own.file + table->sh_offset);
        own.count = table->sh_size / sizeof(Elf64_Sym);
        own.names = (const char *)own.file + names->sh_offset;
        own.names_bytes = names->sh_size;
    }
}

/* The running file, also when another one has taken its place on disk. */
void symbols_open(void)
{
    struct stat status;
    if (own.file) return;
    ssize_t len = readlink("/proc/self/exe", own.path, sizeof own.path - 1);
    own.path[len > 0 ? len : 0] = '\0';
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    if (fstat(fd, &status) == 0) {
        void *file = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        own.bytes = (size_t)status.st_size;
        if (file != MAP_FAILED) own.file = file;
    }
    close(fd);
    if (own.file) find_table();
}

static const Elf64_Sym *function_at(uintptr_t address)
{
    uint64_t at = address - own.base;
    for (size_t i = 0; i < own.count; i++) {
        const Elf64_Sym *s = &own.symbols[i];
        if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || s->st_name >= own.names_bytes) continue;
        if (at >= s->st_value && at - s->st_value < s->st_size) return s;
    }
    return NULL;
}

static void describe(char *out, size_t size, const char *module, const char *function, uintptr_t start,
                     uintptr_t address)
{
    snprintf(out, size, "%s(%s+0x%lx)[0x%lx]", module, function, (unsigned long)(address - start),
             (unsigned long)address);
}

void symbols_describe(uintptr_t address, bool is_return, char *out, size_t size)
{
    Dl_info found;
    uintptr_t inside = address - is_return;
    if (inside >= (uintptr_t)&__executable_start && inside < (uintptr_t)&_end) {
        const Elf64_Sym *s = function_at(inside);
        if (s)
            describe(out, size, own.path, own.names + s->st_name, own.base + s->st_value, address);
        else
            describe(out, size, own.path, "", own.base, address);
    } else if (dladdr((const void *)inside, &found) && found.dli_fname) {
        if (found.dli_sname)
            describe(out, size, found.dli_fname, found.dli_sname, (uintptr_t)found.dli_saddr, address);
        else
            describe(out, size, found.dli_fname, "", (uintptr_t)found.dli_fbase, address);
    } else {
        snprintf(out, size, "[0x%lx]", (unsigned long)address);
    }
}
