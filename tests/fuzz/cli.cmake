pv_fuzzer(escape SOURCES escape_fuzz.c LINKS pv_cli_text CORPUS corpus/escape)
