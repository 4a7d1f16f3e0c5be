# SPDX-License-Identifier: Apache-2.0
# The extension smelt._smelt (stable ABI of Python 3.11) with the whole library inside, and the smelt command beside it.
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
file(GLOB python_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/python/src/*.c)
Python_add_library(smelt_python MODULE ${python_sources})
set_target_properties(smelt_python PROPERTIES PREFIX "" OUTPUT_NAME _smelt SUFFIX .abi3.so)
# Function pointers travel as void * in the stable ABI: that is not ISO C.
target_compile_options(smelt_python PRIVATE -Wno-pedantic)
target_link_libraries(smelt_python PRIVATE smelt_internal)
# For the wheel only: not part of `cmake --install`.
install(TARGETS smelt_python LIBRARY DESTINATION smelt COMPONENT python EXCLUDE_FROM_ALL)
install(TARGETS smelt_tool RUNTIME DESTINATION smelt/bin COMPONENT python EXCLUDE_FROM_ALL)
