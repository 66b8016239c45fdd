pv_fuzzer(spec SOURCES spec_fuzz.c LINKS pv_spec CORPUS corpus/spec)
