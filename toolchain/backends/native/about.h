/* What a library says of itself. */
#pragma once

#include "picture.h"

typedef struct {
  const char *name, *target, *version;
  Geometry geometry;
} About;

/* Of the library that this is part of: each kind has its own way to know. */
About about_library(void);
