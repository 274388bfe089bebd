/* What the processor that this runs on can do, asked before anything is run that it may lack. */
#pragma once

/* The first of some words that the processor lacks, spelled as in /proc/cpuinfo, which end with a NULL; NULL if it lacks
 * none. Only words are asked for that compilers act upon by themselves: others were the user's own wish. */
const char* processor_lacks(const char* const* words);
