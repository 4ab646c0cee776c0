# data/ -> share/advisor/advisor.db in the build tree, with rules/ beside it; both are installed together, because the
# library finds its knowledge in one folder (ADVISOR_DATA or the installed share/advisor).
set(ADVISOR_SHARE ${CMAKE_BINARY_DIR}/share/advisor)
file(GLOB_RECURSE data_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/data/*.csv ${PROJECT_SOURCE_DIR}/data/*.sql)
file(GLOB rule_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/rules/*.yaml)

add_custom_command(
  OUTPUT ${ADVISOR_SHARE}/advisor.db
  COMMAND ${CMAKE_COMMAND} -E make_directory ${ADVISOR_SHARE}
  COMMAND build_db data ${ADVISOR_SHARE}/advisor.db
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
  DEPENDS build_db ${data_files}
  COMMENT "Building advisor.db from data/"
  VERBATIM)

set(copied_rules)
foreach(rule ${rule_files})
  get_filename_component(name ${rule} NAME)
  add_custom_command(
    OUTPUT ${ADVISOR_SHARE}/rules/${name}
    COMMAND ${CMAKE_COMMAND} -E copy ${rule} ${ADVISOR_SHARE}/rules/${name}
    DEPENDS ${rule} VERBATIM)
  list(APPEND copied_rules ${ADVISOR_SHARE}/rules/${name})
endforeach()

add_custom_target(advisor_database ALL DEPENDS ${ADVISOR_SHARE}/advisor.db ${copied_rules})

install(FILES ${ADVISOR_SHARE}/advisor.db DESTINATION ${CMAKE_INSTALL_DATADIR}/advisor)
if(rule_files)
  install(FILES ${rule_files} DESTINATION ${CMAKE_INSTALL_DATADIR}/advisor/rules)
endif()
