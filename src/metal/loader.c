/* SPDX-License-Identifier: Apache-2.0 */
/* A loader for the relocatable ELF objects of one code model: sections are laid side by side in one mapping, a few
   relocation types are resolved against them and a closed list of functions, each behind a stub that any call
   reaches. Every offset of the file is checked: it may come from a cache that someone damaged. */
#include "metal/loader.h"

#include <elf.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct {
    const char *name;
    void *address;
} helpers[] = {
#define HELPER(name) {#name, (void *)(intptr_t)&name}
    HELPER(smelt_kernel_barrier), HELPER(memcpy), HELPER(memmove), HELPER(memset), HELPER(fmod), HELPER(fmodf),
    HELPER(round), HELPER(roundf), HELPER(roundeven), HELPER(roundevenf), HELPER(fma), HELPER(fmaf), HELPER(ldexp),
    HELPER(ldexpf), HELPER(trunc), HELPER(truncf), HELPER(floor), HELPER(floorf), HELPER(ceil), HELPER(ceilf),
    HELPER(rint), HELPER(rintf), HELPER(sqrtf), HELPER(sqrt), HELPER(fmin), HELPER(fminf), HELPER(fmax), HELPER(fmaxf),
#undef HELPER
};
enum { HELPERS = sizeof helpers / sizeof *helpers, STUB_SIZE = 16 };

#if defined(__aarch64__)
enum { MACHINE = EM_AARCH64 };
#else
enum { MACHINE = EM_X86_64 };
#endif

struct object {
    const char *data;
    size_t size;
    const Elf64_Shdr *sections;
    unsigned section_count;
    const Elf64_Sym *symbols;
    size_t symbol_count;
    const char *names;
    size_t name_size;
    size_t *place; /* of each section in the image */
    size_t stubs, total;
    char *memory;
};

static bool inside(const struct object *o, uint64_t offset, uint64_t length)
{
    return offset <= o->size && length <= o->size - offset;
}

static bool read_headers(struct object *o)
{
    const Elf64_Ehdr *head = (const void *)o->data;
    if (o->size < sizeof *head || memcmp(head->e_ident, ELFMAG, SELFMAG) || head->e_machine != MACHINE ||
        head->e_type != ET_REL || head->e_shentsize != sizeof(Elf64_Shdr) || head->e_shoff % 8 ||
        !inside(o, head->e_shoff, (uint64_t)head->e_shnum * sizeof(Elf64_Shdr)))
        return false;
    o->sections = (const void *)(o->data + head->e_shoff);
    o->section_count = head->e_shnum;
    for (unsigned i = 0; i < o->section_count; i++) {
        const Elf64_Shdr *s = &o->sections[i];
        if (s->sh_type != SHT_NOBITS && !inside(o, s->sh_offset, s->sh_size)) return false;
        if (s->sh_addralign > 4096 || s->sh_size > UINT64_C(1) << 30) return false;
        if (s->sh_type != SHT_SYMTAB) continue;
        if (s->sh_link >= o->section_count || s->sh_offset % 8) return false;
        o->symbols = (const void *)(o->data + s->sh_offset);
        o->symbol_count = s->sh_size / sizeof(Elf64_Sym);
        o->names = o->data + o->sections[s->sh_link].sh_offset;
        o->name_size = o->sections[s->sh_link].sh_size;
    }
    return o->symbols && o->name_size && o->names[o->name_size - 1] == 0;
}

static bool lay_out(struct object *o)
{
    o->place = calloc(o->section_count ? o->section_count : 1, sizeof *o->place);
    if (!o->place) return false;
    for (unsigned i = 0; i < o->section_count; i++) {
        const Elf64_Shdr *s = &o->sections[i];
        if (!(s->sh_flags & SHF_ALLOC)) continue;
        size_t alignment = s->sh_addralign ? s->sh_addralign : 1;
        o->total = (o->total + alignment - 1) / alignment * alignment;
        o->place[i] = o->total;
        o->total += s->sh_size;
    }
    o->stubs = (o->total + 15) / 16 * 16;
    o->total = o->stubs + HELPERS * STUB_SIZE;
    return true;
}

/* A jump to an address anywhere. */
static void write_stub(char *at, const void *target)
{
#if defined(__aarch64__)
    static const uint32_t code[2] = {0x58000050, 0xd61f0200}; /* ldr x16, 8; br x16 */
    memcpy(at, code, 8);
    memcpy(at + 8, &target, 8);
#else
    memcpy(at, "\xff\x25\x02\x00\x00\x00\x90\x90", 8); /* jmp *2(%rip) */
    memcpy(at + 8, &target, 8);
#endif
}

static void fill(struct object *o)
{
    for (unsigned i = 0; i < o->section_count; i++) {
        const Elf64_Shdr *s = &o->sections[i];
        if (s->sh_flags & SHF_ALLOC && s->sh_type != SHT_NOBITS)
            memcpy(o->memory + o->place[i], o->data + s->sh_offset, s->sh_size);
    }
    for (int k = 0; k < HELPERS; k++) write_stub(o->memory + o->stubs + k * STUB_SIZE, helpers[k].address);
}

/* Where a symbol is; NULL, with its name, where nobody has it. */
static char *resolve(const struct object *o, size_t index, const char **name)
{
    *name = "?";
    if (index >= o->symbol_count) return NULL;
    const Elf64_Sym *s = &o->symbols[index];
    if (s->st_name >= o->name_size) return NULL;
    *name = o->names + s->st_name;
    if (s->st_shndx != SHN_UNDEF) {
        if (s->st_shndx >= o->section_count || !(o->sections[s->st_shndx].sh_flags & SHF_ALLOC)) return NULL;
        if (s->st_value > o->sections[s->st_shndx].sh_size) return NULL;
        return o->memory + o->place[s->st_shndx] + s->st_value;
    }
    for (int k = 0; k < HELPERS; k++)
        if (!strcmp(helpers[k].name, *name)) return o->memory + o->stubs + k * STUB_SIZE;
    return NULL;
}

#if defined(__aarch64__)
static bool patch(char *at, uint32_t type, int64_t value)
{
    uint32_t code;
    int64_t distance = value - (int64_t)(intptr_t)at;
    memcpy(&code, at, 4);
    switch (type) {
    case R_AARCH64_ABS64: memcpy(at, &value, 8); return true;
    case R_AARCH64_PREL32: {
        int32_t narrow = (int32_t)distance;
        memcpy(at, &narrow, 4);
        return narrow == distance;
    }
    case R_AARCH64_CALL26: case R_AARCH64_JUMP26: code |= (uint32_t)(distance >> 2) & 0x3ffffff; break;
    case R_AARCH64_ADR_PREL_PG_HI21: {
        int64_t pages = (value >> 12) - ((int64_t)(intptr_t)at >> 12);
        code |= ((uint32_t)pages & 3) << 29 | ((uint32_t)(pages >> 2) & 0x7ffff) << 5;
        break;
    }
    case R_AARCH64_ADD_ABS_LO12_NC: case R_AARCH64_LDST8_ABS_LO12_NC: code |= ((uint32_t)value & 0xfff) << 10; break;
    case R_AARCH64_LDST16_ABS_LO12_NC: code |= ((uint32_t)value & 0xfff) >> 1 << 10; break;
    case R_AARCH64_LDST32_ABS_LO12_NC: code |= ((uint32_t)value & 0xfff) >> 2 << 10; break;
    case R_AARCH64_LDST64_ABS_LO12_NC: code |= ((uint32_t)value & 0xfff) >> 3 << 10; break;
    case R_AARCH64_LDST128_ABS_LO12_NC: code |= ((uint32_t)value & 0xfff) >> 4 << 10; break;
    default: return false;
    }
    memcpy(at, &code, 4);
    return true;
}
#else
static bool patch(char *at, uint32_t type, int64_t value)
{
    int64_t distance = value - (int64_t)(intptr_t)at;
    switch (type) {
    case R_X86_64_64: memcpy(at, &value, 8); return true;
    case R_X86_64_PC32: case R_X86_64_PLT32: {
        int32_t narrow = (int32_t)distance;
        memcpy(at, &narrow, 4);
        return narrow == distance;
    }
    default: return false;
    }
}
#endif

static smelt_status relocate(struct object *o)
{
    for (unsigned i = 0; i < o->section_count; i++) {
        const Elf64_Shdr *s = &o->sections[i];
        if (s->sh_type != SHT_RELA || s->sh_info >= o->section_count) continue;
        const Elf64_Shdr *to = &o->sections[s->sh_info];
        if (!(to->sh_flags & SHF_ALLOC)) continue;
        for (uint64_t k = 0; k < s->sh_size / sizeof(Elf64_Rela); k++) {
            Elf64_Rela r;
            const char *name;
            memcpy(&r, o->data + s->sh_offset + k * sizeof r, sizeof r);
            char *target = resolve(o, ELF64_R_SYM(r.r_info), &name);
            if (!target) return smelt_fail(SMELT_UNSUPPORTED, "the kernel calls %s, which is not available", name);
            if (r.r_offset > to->sh_size || to->sh_size - r.r_offset < 4)
                return smelt_fail(SMELT_INTERNAL_ERROR, "a compiled kernel is damaged");
            if (!patch(o->memory + o->place[s->sh_info] + r.r_offset, (uint32_t)ELF64_R_TYPE(r.r_info),
                       (int64_t)(intptr_t)target + r.r_addend))
                return smelt_fail(SMELT_INTERNAL_ERROR, "a compiled kernel has a relocation of type %u",
                                  (unsigned)ELF64_R_TYPE(r.r_info));
        }
    }
    return SMELT_OK;
}

static smelt_status place(struct object *o, struct smelt_image *image)
{
    fill(o);
    SMELT_TRY(relocate(o));
    const char *name;
    for (size_t k = 0; k < o->symbol_count; k++)
        if (o->symbols[k].st_shndx != SHN_UNDEF && o->symbols[k].st_name < o->name_size &&
            !strcmp(o->names + o->symbols[k].st_name, "smelt_kernel"))
            image->function = resolve(o, k, &name);
    if (!image->function) return smelt_fail(SMELT_INTERNAL_ERROR, "a compiled kernel has no function");
    __builtin___clear_cache(o->memory, o->memory + o->total);
    if (mprotect(o->memory, image->size, PROT_READ | PROT_EXEC))
        return smelt_fail(SMELT_OUT_OF_MEMORY, "this process may not make memory executable, which kernels need");
    return SMELT_OK;
}

smelt_status smelt_image_load(struct smelt_image *image, const char *object, size_t size)
{
    struct object o = {.data = object, .size = size};
    *image = (struct smelt_image){0};
    if (!read_headers(&o)) return smelt_fail(SMELT_INTERNAL_ERROR, "a compiled kernel is damaged");
    if (!lay_out(&o)) return smelt_fail(SMELT_OUT_OF_MEMORY, "no memory to load a kernel");
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    image->size = (o.total + page - 1) / page * page;
    image->memory = mmap(NULL, image->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    smelt_status status = SMELT_OK;
    if (image->memory == MAP_FAILED) {
        image->memory = NULL;
        status = smelt_fail(SMELT_OUT_OF_MEMORY, "no memory to load a kernel");
    } else {
        o.memory = image->memory;
        status = place(&o, image);
    }
    free(o.place);
    if (status != SMELT_OK) smelt_image_unload(image);
    return status;
}

void smelt_image_unload(struct smelt_image *image)
{
    if (image->memory) munmap(image->memory, image->size);
    *image = (struct smelt_image){0};
}
