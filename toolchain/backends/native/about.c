#include "about.h"

#include "libc.h"

int32_t clipfree_describe(clipfree_info* info) {
  const About about = about_library();
  const Geometry* const geometry = &about.geometry;
  if (!info) return CLIPFREE_NULL;
  if (info->size < offsetof(clipfree_info, halo)) return CLIPFREE_WRONG_ABI;
  const clipfree_info all = {
    info->size, CLIPFREE_ABI, geometry->channels, geometry->scale_num, geometry->scale_den, geometry->unit,
    geometry->smallest_height, geometry->smallest_width, about.name, about.target, about.version, geometry->halo, 0,
  };
  memcpy(info, &all, info->size < sizeof all ? info->size : sizeof all);
  return CLIPFREE_OK;
}

int32_t clipfree_result_size(uint32_t height, uint32_t width, uint32_t* result_height, uint32_t* result_width) {
  const Geometry geometry = about_library().geometry;
  Failure failure = {0};
  if (!result_height || !result_width) return CLIPFREE_NULL;
  const int32_t status = geometry_check(&geometry, &failure, height, width);
  if (status) return status;
  *result_height = (uint32_t)geometry_scaled(&geometry, height);
  *result_width = (uint32_t)geometry_scaled(&geometry, width);
  return CLIPFREE_OK;
}
