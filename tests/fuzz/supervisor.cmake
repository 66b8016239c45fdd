pv_fuzzer(config SOURCES config_fuzz.c LINKS pv_supervisor CORPUS corpus/config)
pv_fuzzer(requests SOURCES requests_fuzz.c LINKS pv_supervisor CORPUS corpus/requests)
