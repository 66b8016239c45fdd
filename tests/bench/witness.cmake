# What the outside witness costs; tools and results in docs/witness-figures.md.
include(${CMAKE_SOURCE_DIR}/audit/auditor/probe.cmake)
find_program(PV_BPF_CLANG NAMES clang clang-14 REQUIRED)
find_program(PV_BPFTOOL bpftool PATHS /usr/sbin /sbin REQUIRED)
set(baseline ${CMAKE_CURRENT_BINARY_DIR}/baseline)
file(MAKE_DIRECTORY ${baseline})
add_custom_command(OUTPUT ${baseline}/baseline.skel.h
    COMMAND ${PV_BPF_CLANG} -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -Wall -Werror -Wno-unused-parameter
            -ffile-prefix-map=${CMAKE_SOURCE_DIR}/= -I${CMAKE_SOURCE_DIR}/bpf/src -I${CMAKE_SOURCE_DIR}/bpf/include
            -c ${CMAKE_CURRENT_LIST_DIR}/baseline.bpf.c -o ${baseline}/baseline.bpf.o
    COMMAND sh -c "\"$1\" gen skeleton \"$2\" name baseline > \"$3\"" sh ${PV_BPFTOOL} ${baseline}/baseline.bpf.o
            ${baseline}/baseline.skel.h
    DEPENDS ${CMAKE_CURRENT_LIST_DIR}/baseline.bpf.c ${CMAKE_SOURCE_DIR}/bpf/src/kernel_types.h
    COMMENT "BPF skeleton baseline.skel.h"
    VERBATIM)
add_executable(witness_bench ${CMAKE_CURRENT_LIST_DIR}/witness_bench.c ${baseline}/baseline.skel.h ${PV_PROBE_SOURCES})
target_include_directories(witness_bench PRIVATE ${CMAKE_SOURCE_DIR}/audit/auditor)
target_include_directories(witness_bench SYSTEM PRIVATE ${baseline})
target_link_libraries(witness_bench PRIVATE pv_flags pv_base pv_event pv_bpf)
