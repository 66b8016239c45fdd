pv_fuzzer(graph SOURCES graph_fuzz.c LINKS pv_graph pv_event pv_lib::sqlite CORPUS corpus/graph)
target_include_directories(graph_fuzz PRIVATE ${CMAKE_SOURCE_DIR}/graph/src)
