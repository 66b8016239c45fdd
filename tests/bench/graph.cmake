add_executable(graph_bench ${CMAKE_CURRENT_LIST_DIR}/graph_bench.c)
target_link_libraries(graph_bench PRIVATE pv_flags pv_graph pv_event pv_base)
