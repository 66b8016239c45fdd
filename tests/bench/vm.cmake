# Reset and run in a micro-VM against fork and exec. Not a test: it measures, and takes seconds.
#   vm_bench 2000 build/release/programs/vm/work </dev/null
add_executable(vm_bench ${CMAKE_CURRENT_LIST_DIR}/vm_bench.c)
target_link_libraries(vm_bench PRIVATE pv_flags pv_vm pv_base)
