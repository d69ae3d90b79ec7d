# Compiled here from its sources, so that all of it is instrumented.
if(BERTH_FUZZ)
  add_executable(fuzz_dns dns.cc ../src/resolver/answer.cc ../src/resolver/directory.cc ../src/resolver/wire/message.cc
    ../src/resolver/zones/zones.cc ../src/base/ipv4.cc ../src/base/random.cc ../src/base/assert.cc)
  target_link_libraries(fuzz_dns PRIVATE fmt)
  target_include_directories(fuzz_dns PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_compile_options(fuzz_dns PRIVATE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -g -O1)
  target_link_options(fuzz_dns PRIVATE -fsanitize=fuzzer,address,undefined)
endif()
