/* Loads a shared library in a program that is linked statically, where the system's loader cannot be had: one file that
 * runs on every Linux and Android of its processor, whatever C library that has. For libraries that need no others. */
#pragma once

#include <link.h>
#include <stddef.h>

#include "tvm.h"

typedef struct {
  const ElfW(Ehdr)* head; /* of the file, which is kept */
  char* base;
  size_t size; /* of all that is mapped from there on */
  const ElfW(Sym)* symbols;
  size_t count;
  const char* names;
  size_t names_size;
} Library;

/* Map `path`, and bind what it imports to `imports`, which end with a NULL name. Returns 0, or -1 with `failure` set. */
int library_open(Library* library, const char* path, const Import* imports);

/* Whether `size` bytes at an address of the library, counted from its base, are of one segment that allows `access`. */
int library_has(const Library* library, size_t address, size_t size, unsigned access);

/* Address of what a library defines; NULL if it defines nothing of this name. `size`: from there to its segment's end. */
void* library_bytes(const Library* library, const char* name, size_t* size);
void* library_symbol(const Library* library, const char* name);
