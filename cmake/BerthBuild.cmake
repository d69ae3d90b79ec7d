# One CMake library a folder. `berth_library(state KNOWS base LINKS sqlite3)` takes every *.cc of the folder,
# makes the library `berth_state` and, where there are *_test.cc files, the test program `state_test`.
# EXCEPT names subfolders that are programs of their own.
# KNOWS lists our own folders (the tidy test checks includes against docs/architecture), LINKS foreign libraries.

option(BERTH_SANITIZE "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(BERTH_FUZZ "Build the libFuzzer targets (clang only)" OFF)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
endif()

add_compile_options(-Wall -Wextra -Wno-missing-field-initializers -fno-omit-frame-pointer)
if(BERTH_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

find_package(Threads REQUIRED)
find_package(GTest REQUIRED)
include(GoogleTest)

# Everything that runs without root's rights and without other machines: what the sanitizers are for.
add_custom_target(berth_unit_tests)

function(berth_library name)
  cmake_parse_arguments(ARG "" "" "KNOWS;LINKS;EXCEPT" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  foreach(except ${ARG_EXCEPT})
    list(FILTER sources EXCLUDE REGEX "^${CMAKE_CURRENT_SOURCE_DIR}/${except}/")
  endforeach()
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  if(sources)
    add_library(berth_${name} STATIC ${sources})
    set(visibility PUBLIC)
  else()
    add_library(berth_${name} INTERFACE)
    set(visibility INTERFACE)
  endif()
  target_include_directories(berth_${name} ${visibility} ${CMAKE_SOURCE_DIR}/src)
  foreach(known ${ARG_KNOWS})
    target_link_libraries(berth_${name} ${visibility} berth_${known})
  endforeach()
  target_link_libraries(berth_${name} ${visibility} ${ARG_LINKS})
  if(tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE berth_${name} GTest::gmock GTest::gtest_main)
    add_dependencies(berth_unit_tests ${name}_test)
    gtest_discover_tests(${name}_test TEST_PREFIX ${name}: DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 300)
  endif()
endfunction()
