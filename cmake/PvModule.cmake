# One way to declare a target. A target sees the include directories of what it links, and no others.
#
#   pv_module(NAME SOURCES a.c ... [HEADERS include/pv/a.h ...] [LINKS t ...] [PRIVATE_LINKS t ...])
#       a static library; HEADERS are public, each is compiled alone to prove it is self-contained.
#   pv_program(NAME SOURCES a.c ... [LINKS t ...] [LIBEXEC])
#       an executable in bin/, or with LIBEXEC in libexec/provost/.

add_library(pv_flags INTERFACE)
target_compile_features(pv_flags INTERFACE c_std_17)
target_compile_definitions(pv_flags INTERFACE _GNU_SOURCE PV_VERSION="${PROJECT_VERSION}")
# clang counts what libseccomp's SCMP_A* macros leave to be zero as missing initializers
target_compile_options(pv_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual
    -Wformat=2 -Wundef -Wvla -Wswitch-enum -Wnull-dereference -fno-common
    $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation> $<$<C_COMPILER_ID:Clang>:-Wno-missing-field-initializers>
    -fstack-protector-strong -fPIE)
target_link_options(pv_flags INTERFACE -pie -Wl,-z,relro,-z,now)
if(PV_WERROR)
    target_compile_options(pv_flags INTERFACE -Werror)
endif()
if(PV_SANITIZE)
    target_compile_options(pv_flags INTERFACE -fsanitize=${PV_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(pv_flags INTERFACE -fsanitize=${PV_SANITIZE})
    target_compile_definitions(pv_flags INTERFACE PV_SANITIZED=1)
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(pv_flags INTERFACE -D_FORTIFY_SOURCE=2)
endif()
if(PV_FUZZ)
    target_compile_options(pv_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

function(pv_check_headers target)
    foreach(header IN LISTS ARGN)
        string(MAKE_C_IDENTIFIER "${target}_${header}" id)
        set(probe ${CMAKE_CURRENT_BINARY_DIR}/headers/${id}.c)
        file(CONFIGURE OUTPUT ${probe} CONTENT "#include \"${CMAKE_CURRENT_SOURCE_DIR}/${header}\"\n#include \"${CMAKE_CURRENT_SOURCE_DIR}/${header}\"\nextern int pv_header_${id};\n")
        list(APPEND probes ${probe})
    endforeach()
    if(probes)
        add_library(${target}_headers OBJECT ${probes})
        target_link_libraries(${target}_headers PRIVATE pv_flags ${target})
    endif()
endfunction()

function(pv_module name)
    cmake_parse_arguments(M "" "" "SOURCES;HEADERS;LINKS;PRIVATE_LINKS" ${ARGN})
    add_library(${name} STATIC ${M_SOURCES})
    target_include_directories(${name} PUBLIC include PRIVATE src)
    target_link_libraries(${name} PUBLIC ${M_LINKS} PRIVATE pv_flags ${M_PRIVATE_LINKS})
    pv_check_headers(${name} ${M_HEADERS})
endfunction()

function(pv_program name)
    cmake_parse_arguments(P "LIBEXEC" "" "SOURCES;LINKS" ${ARGN})
    add_executable(${name} ${P_SOURCES})
    target_link_libraries(${name} PRIVATE pv_flags ${P_LINKS})
    if(P_LIBEXEC AND PV_SANITIZE)
        target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/role_sanitizer.c)
    endif()
    if(P_LIBEXEC)
        set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PV_LIBEXEC_DIR})
        install(TARGETS ${name} DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/provost)
    else()
        install(TARGETS ${name} DESTINATION ${CMAKE_INSTALL_BINDIR})
    endif()
endfunction()
