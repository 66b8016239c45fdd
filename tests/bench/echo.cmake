# What tests/bench/run puts under load.
add_executable(bench_echo bench/echo_cgi.c)
target_link_libraries(bench_echo PRIVATE pv_flags)
