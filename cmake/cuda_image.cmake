# SPDX-License-Identifier: Apache-2.0
# Compiles one .cu file to an image: cmake -DNVCC= -DOUT= -DIN= -DFLAGS= -P cuda_image.cmake
# Fails where the assembler spills registers, serialises wgmma or ignores setmaxnreg: each costs most of the speed.
separate_arguments(flags UNIX_COMMAND "${FLAGS}")
execute_process(COMMAND ${NVCC} -std=c++17 -O3 -Xptxas -v ${flags} -o ${OUT} ${IN}
                RESULT_VARIABLE result OUTPUT_VARIABLE text ERROR_VARIABLE text)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${text}")
endif()
foreach(fault "[1-9][0-9]* bytes spill" "[Ss]erializ" "setmaxnreg.*ignored" "C7508" "C7510")
  if(text MATCHES "${fault}")
    file(REMOVE ${OUT})
    message(FATAL_ERROR "${IN}: the assembler's report has '${CMAKE_MATCH_0}'\n${text}")
  endif()
endforeach()
