# @NAME@: @SUMMARY@. Made by clipfree.
#
#   find_package(@NAME@ CONFIG REQUIRED)
#   target_link_libraries(app PRIVATE @NAME@::@NAME@)

get_filename_component(_@NAME@_root "${CMAKE_CURRENT_LIST_DIR}/@UP@" REALPATH)
if(NOT TARGET @NAME@::@NAME@)
  add_library(@NAME@::@NAME@ SHARED IMPORTED)
  set_target_properties(@NAME@::@NAME@ PROPERTIES
    IMPORTED_LOCATION "${_@NAME@_root}/@LIBRARY@"
    @LINKED@
    INTERFACE_INCLUDE_DIRECTORIES "${_@NAME@_root}/@INCLUDE@")
endif()
@STATIC@
unset(_@NAME@_root)
