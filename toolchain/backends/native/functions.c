#include "clipfree.h"

const clipfree_functions* clipfree_get_functions(uint32_t abi) {
  static const clipfree_functions functions = {
    sizeof functions, clipfree_message, clipfree_describe, clipfree_result_size, clipfree_open, clipfree_close,
    clipfree_error, clipfree_memory, clipfree_upscale,
    clipfree_upscale_region,
  };
  return abi == CLIPFREE_ABI ? &functions : NULL;
}
