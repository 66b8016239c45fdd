include(${CMAKE_SOURCE_DIR}/audit/auditor/probe.cmake)

# The outside witness against the kernel of this machine.
function(pv_witness_test name timeout)
    add_executable(${name}_test ${CMAKE_CURRENT_SOURCE_DIR}/integration/${name}_test.c
        ${CMAKE_CURRENT_SOURCE_DIR}/integration/witness_harness.c ${PV_PROBE_SOURCES})
    target_include_directories(${name}_test PRIVATE ${CMAKE_SOURCE_DIR}/audit/auditor)
    target_link_libraries(${name}_test PRIVATE pv_flags pv_base pv_event pv_bpf Threads::Threads pv_lib::cmocka)
    add_test(NAME integration.${name} COMMAND ${name}_test)
    set_tests_properties(integration.${name} PROPERTIES
        LABELS "integration;priv" TIMEOUT ${timeout} SKIP_RETURN_CODE 77 RUN_SERIAL ON)
endfunction()

pv_witness_test(witness 120)
pv_witness_test(witness_race 120)
pv_witness_test(witness_loss 120)
pv_witness_test(witness_evade 120)
pv_witness_test(witness_monitor 120)
pv_witness_test(witness_known 120)
