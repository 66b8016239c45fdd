add_executable(evidence_bench ${CMAKE_CURRENT_LIST_DIR}/evidence_bench.c)
target_link_libraries(evidence_bench PRIVATE pv_flags pv_graph pv_audit pv_event pv_base)
