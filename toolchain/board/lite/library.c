#include "library.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__aarch64__)
enum { kMachine = EM_AARCH64, kNumber = 257, kGlobal = 1025, kJump = 1026, kRelative = 1027 };
#elif defined(__arm__)
enum { kMachine = EM_ARM, kNumber = 2, kGlobal = 21, kJump = 22, kRelative = 23 };
#elif defined(__x86_64__)
enum { kMachine = EM_X86_64, kNumber = 1, kGlobal = 6, kJump = 7, kRelative = 8 };
#else
#error "relocations of this processor are not known here"
#endif

#if __SIZEOF_POINTER__ == 8
#define R_TYPE ELF64_R_TYPE
#define R_SYM ELF64_R_SYM
#else
#define R_TYPE ELF32_R_TYPE
#define R_SYM ELF32_R_SYM
#endif

char failure[512];

int fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(failure, sizeof failure, format, arguments);
  va_end(arguments);
  return -1;
}

static int damaged(void) { return fail("the library is damaged"); }

/* Whether `size` bytes from `offset` on are among `whole` ones. */
static int within(size_t offset, size_t size, size_t whole) { return offset <= whole && size <= whole - offset; }

static const ElfW(Phdr)* segments_of(const ElfW(Ehdr)* head) {
  return (const ElfW(Phdr)*)((const char*)head + head->e_phoff);
}

/* Map the segments at their distances from each other; the file stays behind the code, which nobody writes to. */
static int map(Library* library, const ElfW(Ehdr)* head, int file) {
  const ElfW(Phdr)* segments = segments_of(head);
  const size_t page = sysconf(_SC_PAGESIZE);
  for (int i = 0; i < head->e_phnum; ++i)
    if (segments[i].p_type == PT_LOAD && library->size < segments[i].p_vaddr + segments[i].p_memsz)
      library->size = segments[i].p_vaddr + segments[i].p_memsz;
  library->base = mmap(NULL, library->size + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (library->base == MAP_FAILED) return fail("there is no memory for the library: %s", strerror(errno));
  for (int i = 0; i < head->e_phnum; ++i) {
    const ElfW(Phdr)* one = &segments[i];
    if (one->p_type != PT_LOAD || !one->p_memsz) continue;
    const int access = (one->p_flags & PF_R ? PROT_READ : 0) | (one->p_flags & PF_W ? PROT_WRITE : 0) |
                       (one->p_flags & PF_X ? PROT_EXEC : 0);
    const size_t lead = one->p_vaddr % page;
    char* const from = library->base + one->p_vaddr - lead;
    char* const filled = library->base + one->p_vaddr + one->p_filesz;
    char* const end = library->base + one->p_vaddr + one->p_memsz;
    if (one->p_offset % page != lead) return fail("the library is not laid out for pages of %zu bytes", page);
    char* next = from; /* of the pages that are not of the file */
    if (one->p_filesz) {
      next += (lead + one->p_filesz + page - 1) / page * page;
      if (mmap(from, lead + one->p_filesz, access, MAP_PRIVATE | MAP_FIXED, file, one->p_offset - lead) == MAP_FAILED)
        return fail("the library cannot be mapped: %s", strerror(errno));
      if (access & PROT_WRITE && end > filled) memset(filled, 0, (end < next ? end : next) - filled);
    }
    if (end > next && mmap(next, end - next, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
      return fail("there is no memory for the library: %s", strerror(errno));
  }
  return 0;
}

/* The segment that holds an address, counted from the base; NULL if none does. */
static const ElfW(Phdr)* segment_of(const Library* library, size_t address) {
  const ElfW(Phdr)* segments = segments_of(library->head);
  for (int i = 0; i < library->head->e_phnum; ++i)
    if (segments[i].p_type == PT_LOAD && address >= segments[i].p_vaddr &&
        address - segments[i].p_vaddr < segments[i].p_memsz) return &segments[i];
  return NULL;
}

/* Whether `size` bytes at an address of the library, counted from its base, are of one segment that allows `access`. */
static int library_has(const Library* library, size_t address, size_t size, unsigned access) {
  const ElfW(Phdr)* one = segment_of(library, address);
  return one && within(address - one->p_vaddr, size, one->p_memsz) && (one->p_flags & access) == access;
}

/* -- names and addresses ------------------------------------------------------------------------------------------- */

static const char* name_of(const Library* library, size_t index) {
  const size_t at = library->symbols[index].st_name;
  return at < library->names_size ? library->names + at : "";
}

static int resolve(const Library* library, const Import* imports, size_t index, char** address) {
  if (index >= library->count) return damaged();
  const ElfW(Sym)* symbol = &library->symbols[index];
  const char* name = name_of(library, index);
  *address = library->base;
  if (!index) return 0;
  if (symbol->st_shndx != SHN_UNDEF) {
    if (symbol->st_value >= library->size) return damaged();
    *address += symbol->st_value;
    return 0;
  }
  for (const Import* one = imports; one->name; ++one)
    if (!strcmp(one->name, name)) return *address = one->address, 0;
  *address = NULL;
  return ELF32_ST_BIND(symbol->st_info) == STB_WEAK ? 0 : fail("the library needs %s, which is not here", name);
}

static int relocate(const Library* library, const Import* imports, size_t offset, ElfW(Word) type, size_t index,
                    const ElfW(Addr)* addend) {
  if (!type) return 0;
  if (!library_has(library, offset, sizeof(ElfW(Addr)), PF_W)) return damaged();
  char* address = library->base;
  if (type != kRelative && resolve(library, imports, index, &address)) return -1;
  ElfW(Addr) value = (ElfW(Addr))address;
  if (type == kNumber || type == kRelative) {
    ElfW(Addr) there;
    memcpy(&there, library->base + offset, sizeof there);
    value += addend ? *addend : there;
  } else if (type != kGlobal && type != kJump) {
    return fail("the library has a relocation of type %u, which is not known here", (unsigned)type);
  }
  memcpy(library->base + offset, &value, sizeof value);
  return 0;
}

/* The library's names, and its own address of each. */
static int read_symbols(Library* library, const ElfW(Shdr)* sections, int count) {
  for (int i = 0; i < count; ++i) {
    if (sections[i].sh_type != SHT_DYNSYM) continue;
    if (sections[i].sh_link >= (size_t)count) return damaged();
    const ElfW(Shdr)* texts = &sections[sections[i].sh_link];
    if (!library_has(library, sections[i].sh_addr, sections[i].sh_size, PF_R) ||
        sections[i].sh_addr % sizeof(ElfW(Addr)) || !library_has(library, texts->sh_addr, texts->sh_size, PF_R))
      return damaged();
    library->symbols = (const ElfW(Sym)*)(library->base + sections[i].sh_addr);
    library->count = sections[i].sh_size / sizeof(ElfW(Sym));
    library->names = library->base + texts->sh_addr;
    library->names_size = texts->sh_size;
    if (library->names_size && library->names[library->names_size - 1]) return damaged();
  }
  return 0;
}

static int bind(Library* library, const Import* imports) {
  const ElfW(Ehdr)* const head = library->head;
  const char* const file = (const char*)head;
  const ElfW(Shdr)* sections = (const ElfW(Shdr)*)(file + head->e_shoff);
  if (read_symbols(library, sections, head->e_shnum)) return -1;
  for (int i = 0; i < head->e_shnum; ++i) {
    const ElfW(Shdr)* section = &sections[i];
    if (!(section->sh_flags & SHF_ALLOC) || (section->sh_type != SHT_REL && section->sh_type != SHT_RELA)) continue;
    const size_t each = section->sh_type == SHT_REL ? sizeof(ElfW(Rel)) : sizeof(ElfW(Rela));
    for (size_t at = 0; at + each <= section->sh_size; at += each) {
      ElfW(Rela) one = {0};
      memcpy(&one, file + section->sh_offset + at, each);
      const ElfW(Addr) addend = one.r_addend;
      if (relocate(library, imports, one.r_offset, R_TYPE(one.r_info), R_SYM(one.r_info),
                   section->sh_type == SHT_RELA ? &addend : NULL)) return -1;
    }
  }
  return 0;
}

/* Whether all that the headers speak of lies within the file, and they say that it is a library for this processor. */
static int check(const ElfW(Ehdr)* head, size_t size, const char* path) {
  if (size < sizeof *head || memcmp(head->e_ident, ELFMAG, SELFMAG)) return fail("%s is no library", path);
  if (head->e_ident[EI_CLASS] != 8 * sizeof(void*) / 32 || head->e_machine != kMachine || head->e_type != ET_DYN)
    return fail("%s is no library for this processor", path);
  const size_t word = sizeof(ElfW(Addr)), most = (size_t)1 << (word == 4 ? 30 : 36);
  if (!within(head->e_phoff, (size_t)head->e_phnum * sizeof(ElfW(Phdr)), size) || head->e_phoff % word ||
      !within(head->e_shoff, (size_t)head->e_shnum * sizeof(ElfW(Shdr)), size) || head->e_shoff % word)
    return fail("%s is damaged", path);
  const ElfW(Phdr)* segments = segments_of(head);
  for (int i = 0; i < head->e_phnum; ++i)
    if (segments[i].p_type == PT_LOAD &&
        (!within(segments[i].p_offset, segments[i].p_filesz, size) || segments[i].p_filesz > segments[i].p_memsz ||
         !within(segments[i].p_vaddr, segments[i].p_memsz, most)))
      return fail("%s is damaged", path);
  const ElfW(Shdr)* sections = (const ElfW(Shdr)*)((const char*)head + head->e_shoff);
  for (int i = 0; i < head->e_shnum; ++i)
    if (sections[i].sh_type != SHT_NOBITS && !within(sections[i].sh_offset, sections[i].sh_size, size))
      return fail("%s is damaged", path);
  return 0;
}

int library_open(Library* library, const char* path, const Import* imports) {
  struct stat about;
  memset(library, 0, sizeof *library);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0 || fstat(file, &about)) return fail("%s cannot be read: %s", path, strerror(errno));
  ElfW(Ehdr)* head = about.st_size ? mmap(NULL, about.st_size, PROT_READ, MAP_PRIVATE, file, 0) : MAP_FAILED;
  int result = head == MAP_FAILED ? fail("%s is no library", path) : check(head, about.st_size, path);
  library->head = head;
  if (!result) result = map(library, head, file);
  close(file);
  return result ? result : bind(library, imports);
}

void* library_symbol(const Library* library, const char* name) {
  for (size_t i = 1; i < library->count; ++i) {
    const ElfW(Sym)* symbol = &library->symbols[i];
    if (symbol->st_shndx == SHN_UNDEF || strcmp(name_of(library, i), name)) continue;
    return library_has(library, symbol->st_value, 1, PF_R) ? library->base + symbol->st_value : NULL;
  }
  return NULL;
}
