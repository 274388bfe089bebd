/* What is used of the C library, declared here: a compiler for another system may come without that system's headers. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *one, const void *other, size_t size);
int vsnprintf(char *text, size_t size, const char *format, va_list arguments);
