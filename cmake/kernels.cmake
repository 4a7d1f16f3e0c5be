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
# Sanitizers see more, and compile in a tenth of the time, with less inlining and unrolling.
set(SMELT_KERNEL_LEVEL -O3)
if(SMELT_SANITIZE)
  set(SMELT_KERNEL_LEVEL -O1)
endif()
# Checks of addresses by calls, and no counting of branches for the fuzzer, whose subject is the argument checks: a fifth of
# the code and of the time to compile it. Checks of undefined behaviour multiply the code of vector kernels; the same loops have them in the scalar build.
function(smelt_sanitize_kernels target isa)
  if(SMELT_SANITIZE MATCHES address AND CMAKE_C_COMPILER_ID MATCHES "Clang")
    target_compile_options(${target} PRIVATE "SHELL:-mllvm -asan-instrumentation-with-call-threshold=0")
  elseif(SMELT_SANITIZE MATCHES address)
    target_compile_options(${target} PRIVATE --param=asan-instrumentation-with-call-threshold=0)
  endif()
  if(SMELT_SANITIZE)
    target_compile_definitions(${target} PRIVATE SMELT_SANITIZED)
  endif()
  if(SMELT_FUZZ)
    target_compile_options(${target} PRIVATE -fno-sanitize=fuzzer-no-link)
  endif()
  if(SMELT_SANITIZE MATCHES undefined AND NOT isa STREQUAL scalar)
    target_compile_options(${target} PRIVATE -fno-sanitize=undefined)
  endif()
endfunction()
set(SMELT_FLAGS_scalar "")
set(SMELT_FLAGS_avx2 -mavx2 -mfma -mf16c)
set(SMELT_FLAGS_avx512 ${SMELT_FLAGS_avx2} -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl
                       -mprefer-vector-width=512)
set(SMELT_FLAGS_avx512bf16 ${SMELT_FLAGS_avx512} -mavx512bf16)
set(SMELT_FLAGS_avx512fp16 ${SMELT_FLAGS_avx512bf16} -mavx512fp16)
set(SMELT_FLAGS_neon "")

# A kernel file whose name ends in _kernel_<isa>.c is for one ISA only, where an instruction has no counterpart
# (bfloat16 dot products). For tests on other machines that instruction can be emulated.
set(SMELT_SINGLE_ISAS "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(SMELT_SINGLE_ISAS avx512bf16)
endif()
option(SMELT_EMULATE_BF16 "Tests: bfloat16 dot products by AVX-512 without BF16" OFF)
if(SMELT_EMULATE_BF16)
  add_compile_definitions(SMELT_EMULATE_BF16)
  set(SMELT_FLAGS_avx512bf16 ${SMELT_FLAGS_avx512})
endif()

function(smelt_add_kernels target)
  file(GLOB kernels CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cpu/*/*_kernel.c)
  # Long polynomials on a few vectors at a time: gcc mixes their steps only when it schedules before it assigns registers.
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    set_source_files_properties(
      ${PROJECT_SOURCE_DIR}/src/cpu/glu/glu_kernel.c ${PROJECT_SOURCE_DIR}/src/cpu/moe_routing/moe_routing_kernel.c
      PROPERTIES COMPILE_OPTIONS "-fschedule-insns;-fno-sched-pressure")
  endif()
  smelt_compile_per_isa(smelt_kernels SMELT_KERNEL_OBJECTS ${kernels})
  foreach(isa IN LISTS SMELT_SINGLE_ISAS)
    file(GLOB kernels CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cpu/*/*_kernel_${isa}.c)
    smelt_compile_for_isa(smelt_kernels ${isa} ${kernels})
    list(APPEND SMELT_KERNEL_OBJECTS $<TARGET_OBJECTS:smelt_kernels_${isa}>)
  endforeach()
  set(SMELT_KERNEL_OBJECTS ${SMELT_KERNEL_OBJECTS} PARENT_SCOPE)
endfunction()

# Object libraries <prefix>_<isa> of the sources; their objects go to the variable `objects`.
function(smelt_compile_per_isa prefix objects)
  foreach(isa IN LISTS SMELT_KERNEL_ISAS)
    smelt_compile_for_isa(${prefix} ${isa} ${ARGN})
    list(APPEND all $<TARGET_OBJECTS:${prefix}_${isa}>)
  endforeach()
  set(${objects} ${all} PARENT_SCOPE)
endfunction()

# The object library <prefix>_<isa> of the sources.
function(smelt_compile_for_isa prefix isa)
  add_library(${prefix}_${isa} OBJECT ${ARGN})
  target_include_directories(${prefix}_${isa} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  target_compile_definitions(${prefix}_${isa} PRIVATE SMELT_VEC=${isa})
  # No traps, no errno: selects may be computed on both sides. Infinities and NaN keep their meaning.
  target_compile_options(${prefix}_${isa} PRIVATE ${SMELT_KERNEL_LEVEL} ${SMELT_FLAGS_${isa}} -fno-math-errno -fno-trapping-math)
  smelt_sanitize_kernels(${prefix}_${isa} ${isa})
endfunction()
