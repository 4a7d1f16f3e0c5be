# SPDX-License-Identifier: Apache-2.0
# cmake --install, find_package(smelt), pkg-config, and the Debian packages of CPack.
include(CMakePackageConfigHelpers)

install(TARGETS smelt EXPORT smelt-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT development
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS smelt_tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
install(DIRECTORY include/smelt DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(FILES docs/man/smelt.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tools)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/smelt)
install(EXPORT smelt-targets NAMESPACE smelt:: DESTINATION ${package_dir} COMPONENT development)
configure_package_config_file(cmake/smelt-config.cmake.in smelt-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(smelt-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/smelt-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/smelt-config-version.cmake
        DESTINATION ${package_dir} COMPONENT development)

configure_file(cmake/smelt.pc.in smelt.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/smelt.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

set(CPACK_GENERATOR DEB)
set(CPACK_DEB_COMPONENT_INSTALL ON)
# The compiler of custom kernels is a package of its own, as nothing else needs LLVM.
set(CPACK_COMPONENTS_ALL runtime development tools)
if(TARGET smelt-metalc)
  list(APPEND CPACK_COMPONENTS_ALL compiler)
  set(CPACK_DEBIAN_RUNTIME_PACKAGE_DEPENDS "smelt-metalc (= ${PROJECT_VERSION})")
  set(CPACK_DEBIAN_COMPILER_PACKAGE_NAME smelt-metalc)
  set(CPACK_DEBIAN_COMPILER_PACKAGE_SECTION devel)
  set(CPACK_COMPONENT_COMPILER_DESCRIPTION "the compiler of custom Metal kernels")
endif()
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_CONTACT "the smelt authors <smelt@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_CURRENT_SOURCE_DIR}/LICENSE)
set(CPACK_DEBIAN_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME libsmelt0)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_BINARY_DIR}/triggers)
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/triggers "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libsmelt-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libsmelt0 (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME smelt-tools)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION utils)
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "the shared library")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "headers, CMake package and pkg-config file")
set(CPACK_COMPONENT_TOOLS_DESCRIPTION "the smelt command")
include(CPack)
