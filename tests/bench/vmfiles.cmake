# What seal, clone and reset of a micro-VM domain's files cost; no KVM is needed.
add_executable(vm_files_bench bench/vm_files_bench.c unit/vm_files_fixture.c)
target_include_directories(vm_files_bench PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/unit)
target_link_libraries(vm_files_bench PRIVATE pv_flags pv_vm_files)
