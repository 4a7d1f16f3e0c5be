# SPDX-License-Identifier: Apache-2.0
# Every src/cpu/<op>/<...>_kernel.c is compiled once per ISA of the target, with -DSMELT_VEC=<isa> and its flags. The list
# of ISAs here and the rows of src/cpu/rows.h go together.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(SMELT_KERNEL_ISAS scalar avx2 avx512)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(SMELT_KERNEL_ISAS scalar neon)
else()
  set(SMELT_KERNEL_ISAS scalar)
endif()
set(SMELT_FLAGS_scalar "")
set(SMELT_FLAGS_avx2 -mavx2 -mfma -mf16c)
set(SMELT_FLAGS_avx512 ${SMELT_FLAGS_avx2} -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl
                       -mprefer-vector-width=512)
set(SMELT_FLAGS_avx512bf16 ${SMELT_FLAGS_avx512} -mavx512bf16)
set(SMELT_FLAGS_avx512fp16 ${SMELT_FLAGS_avx512bf16} -mavx512fp16)
set(SMELT_FLAGS_neon "")

# A kernel file whose name ends in _kernel_<isa>.c would be for one ISA only; none is needed so far but where an
# instruction has no counterpart (bfloat16 dot products).
function(smelt_add_kernels target)
  file(GLOB kernels CONFIGURE_DEPENDS src/cpu/*/*_kernel.c)
  foreach(isa IN LISTS SMELT_KERNEL_ISAS)
    add_library(smelt_kernels_${isa} OBJECT ${kernels})
    target_include_directories(smelt_kernels_${isa} PRIVATE include src)
    target_compile_definitions(smelt_kernels_${isa} PRIVATE SMELT_VEC=${isa})
    # No traps, no errno: selects may be computed on both sides. Infinities and NaN keep their meaning.
    target_compile_options(smelt_kernels_${isa} PRIVATE -O3 ${SMELT_FLAGS_${isa}} -fno-math-errno -fno-trapping-math)
    list(APPEND objects $<TARGET_OBJECTS:smelt_kernels_${isa}>)
  endforeach()
  set(SMELT_KERNEL_OBJECTS ${objects} PARENT_SCOPE)
endfunction()
