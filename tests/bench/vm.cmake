# Reset and run in a micro-VM against fork and exec. Not a test: it measures, and takes a minute.
#   vm_bench                                          the table of all that is promised
#   vm_bench 2000 build/release/programs/vm/work </dev/null
add_executable(vm_bench ${CMAKE_CURRENT_LIST_DIR}/vm_bench.c ${CMAKE_CURRENT_LIST_DIR}/vm_table.c
                        ${CMAKE_CURRENT_LIST_DIR}/vm_measure.c)
target_compile_definitions(vm_bench PRIVATE
    PV_BENCH_HANDLERS="${CMAKE_CURRENT_LIST_DIR}/handlers"
    PV_BENCH_PROGRAMS="${CMAKE_BINARY_DIR}/programs/vm")
target_link_libraries(vm_bench PRIVATE pv_flags pv_vm pv_base)
add_dependencies(vm_bench vm_program_work)
