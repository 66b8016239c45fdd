# Micro-VMs. The programs run uninstrumented inside and on the host; they need /dev/kvm.
function(pv_vm_program name source)
    add_executable(vm_program_${name} ${CMAKE_CURRENT_SOURCE_DIR}/programs/vm/${source}.c)
    set_target_properties(vm_program_${name} PROPERTIES
        OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/programs/vm
        INTERPROCEDURAL_OPTIMIZATION OFF)
    target_compile_definitions(vm_program_${name} PRIVATE _GNU_SOURCE)
    target_compile_options(vm_program_${name} PRIVATE -O1 -mavx)
    target_link_libraries(vm_program_${name} PRIVATE m Threads::Threads)
    target_link_options(vm_program_${name} PRIVATE ${ARGN})
endfunction()
foreach(program IN ITEMS calls pages grow leave work threads hostile channels random stale timer variables)
    pv_vm_program(${program} ${program})
endforeach()
pv_vm_program(work_static work -static)
pv_vm_program(work_static_pie work -static-pie)

function(pv_vm_test name)
    add_executable(${name}_test ${CMAKE_CURRENT_SOURCE_DIR}/integration/${name}_test.c
                                ${CMAKE_CURRENT_SOURCE_DIR}/integration/vm_harness.c)
    target_link_libraries(${name}_test PRIVATE pv_flags pv_vm pv_base pv_lib::cmocka)
    add_test(NAME integration.${name} COMMAND ${name}_test ${CMAKE_BINARY_DIR}/programs/vm)
    set_tests_properties(integration.${name} PROPERTIES
        LABELS "integration;priv" TIMEOUT 180 SKIP_RETURN_CODE 77)
endfunction()
pv_vm_test(vm)
pv_vm_test(vm_hostile)
pv_vm_test(vm_channels)
