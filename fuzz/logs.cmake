# Log segments, and what callers ask of them.
if(BERTH_FUZZ)
  add_executable(fuzz_logstore_segment logstore_segment.cc ../src/logstore/segment.cc ../src/logstore/event.cc
    ../src/logstore/writer/crc32c.cc)
  add_executable(fuzz_logs_filter_pattern logs_filter_pattern.cc ../src/services/logs/filter_pattern.cc)
  add_executable(fuzz_logs_line_pattern logs_line_pattern.cc ../src/logstore/writer/line_pattern.cc)
  foreach(target fuzz_logstore_segment fuzz_logs_filter_pattern fuzz_logs_line_pattern)
    target_link_libraries(${target} PRIVATE fmt)
    target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/src)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -g -O1)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer,address,undefined)
  endforeach()
endif()
