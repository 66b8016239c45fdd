# The witness's parts that need no BPF: the table of system calls and the reduction.
set(calls ${CMAKE_CURRENT_BINARY_DIR}/kernel_calls)
file(MAKE_DIRECTORY ${calls})
foreach(bits IN ITEMS 64 32)
    add_custom_command(OUTPUT ${calls}/calls_${bits}.inc
        COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/unit/kernel_calls.sh ${CMAKE_C_COMPILER} ${bits} > ${calls}/calls_${bits}.inc
        DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/unit/kernel_calls.sh
        COMMENT "system calls of the kernel's headers (${bits} bits)"
        VERBATIM)
endforeach()
pv_unit_test(syscalls SOURCES syscalls_test.c LINKS pv_bpf_format pv_lib::cmocka)
target_sources(syscalls_test PRIVATE ${calls}/calls_64.inc ${calls}/calls_32.inc)
target_include_directories(syscalls_test PRIVATE ${calls})

# The same source once as it is and once for each fault that the test must find.
pv_unit_test(reduction SOURCES reduction_test.c LINKS pv_lib::cmocka)
foreach(variant IN ITEMS sound shared raw per_thread no_object no_flights stale_hint no_exit crossed)
    string(TOUPPER ${variant} upper)
    add_library(reduction_${variant} OBJECT ${CMAKE_CURRENT_SOURCE_DIR}/unit/reduction_model.c)
    target_compile_definitions(reduction_${variant} PRIVATE
        MODEL_NAME=reduction_${variant} MODEL_${upper}=1)
    target_include_directories(reduction_${variant} PRIVATE ${CMAKE_SOURCE_DIR}/bpf/src)
    target_link_libraries(reduction_${variant} PRIVATE pv_flags)
    target_link_libraries(reduction_test PRIVATE reduction_${variant})
endforeach()

pv_unit_test(reduction_memory SOURCES reduction_memory_test.c LINKS pv_lib::cmocka)
target_include_directories(reduction_memory_test PRIVATE ${CMAKE_SOURCE_DIR}/bpf/src)
pv_unit_test(reduction_race SOURCES reduction_race_test.c LINKS Threads::Threads pv_lib::cmocka)
foreach(variant IN ITEMS sound learning unmarked)
    string(TOUPPER ${variant} upper)
    add_library(race_${variant} OBJECT ${CMAKE_CURRENT_SOURCE_DIR}/unit/reduction_race.c)
    target_compile_definitions(race_${variant} PRIVATE RACE_NAME=race_${variant} RACE_${upper}=1)
    target_include_directories(race_${variant} PRIVATE ${CMAKE_SOURCE_DIR}/bpf/src)
    target_link_libraries(race_${variant} PRIVATE pv_flags Threads::Threads)
    target_link_libraries(reduction_race_test PRIVATE race_${variant})
endforeach()

pv_unit_test(probe_order SOURCES probe_order_test.c ../../audit/auditor/probe_order.c ../../audit/auditor/probe_ring.c
    LINKS pv_base pv_bpf_format pv_lib::cmocka)
target_include_directories(probe_order_test PRIVATE ${CMAKE_SOURCE_DIR}/audit/auditor)

pv_script_test(unit.probe_stack LABELS unit SCRIPT unit/probe_stack.py TIMEOUT 60)
