/* Loads a shared library in a program that is linked statically, where the system's loader cannot be had: one file that
 * runs on every Linux and Android of its processor, whatever C library that has. For libraries that need no others. */
#pragma once

#include <link.h>
#include <stddef.h>
#include <stdint.h>

/* A symbol of the host that a library may need, by name. */
typedef struct {
  const char* name;
  void* address;
} Import;

/* The last thing that went wrong, as a sentence without its period; `fail` returns -1. */
extern char failure[512];
int fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

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

/* Address of what a library defines; NULL if it defines nothing of this name. */
void* library_symbol(const Library* library, const char* name);
