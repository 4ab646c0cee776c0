# ADVISOR_SANITIZE=address,undefined or thread: instruments everything that is built here.
if(ADVISOR_SANITIZE)
  add_compile_options(-fsanitize=${ADVISOR_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${ADVISOR_SANITIZE})
endif()
