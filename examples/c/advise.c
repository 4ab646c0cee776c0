/* The three verbs from C99: recommend for a profile, compress a checkpoint, evaluate the result.
 *
 *   advise PROFILE.json
 *   advise PROFILE.json MODEL OUT SUITE
 */
#include <advisor.h>
#include <stdio.h>
#include <stdlib.h>

static char* read_file(const char* path) {
  FILE* file = fopen(path, "rb");
  char* text = NULL;
  long size;
  if (file != NULL && fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 && fseek(file, 0, SEEK_SET) == 0) {
    text = malloc((size_t)size + 1);
    if (text != NULL) text[fread(text, 1, (size_t)size, file)] = '\0';
  }
  if (file != NULL) fclose(file);
  return text;
}

static int failed(const char* what) {
  fprintf(stderr, "%s: %s\n", what, advisor_last_error());
  return EXIT_FAILURE;
}

static int32_t print_progress(void* payload, const char* stage, const char* item, int64_t done, int64_t total,
                              double seconds) {
  (void)payload;
  (void)item;
  (void)seconds;
  if (done == total) fprintf(stderr, "%s: done\n", stage);
  return 0; /* go on */
}

static int recommend(const advisor_handle* handle, const char* json) {
  advisor_profile* profile = NULL;
  advisor_recommendation* answer = NULL;
  int result = EXIT_SUCCESS;
  if (advisor_profile_from_json(json, &profile) != ADVISOR_OK ||
      advisor_recommend(handle, profile, &answer) != ADVISOR_OK) {
    result = failed("recommend");
  } else {
    double mean = 0, low = 0, high = 0;
    puts(advisor_recommendation_text(answer));
    if (advisor_recommendation_count(answer) > 0 &&
        advisor_recommendation_estimate(answer, 0, "memory", &mean, &low, &high) == ADVISOR_OK) {
      printf("first option needs %.0f bytes\n", mean);
    }
  }
  advisor_recommendation_release(answer);
  advisor_profile_release(profile);
  return result;
}

static int compress(const advisor_handle* handle, const char* model, const char* out) {
  static const char recipe[] =
      "steps: [{technique: rtn, scheme: W8A16-channel}]\n"
      "formats: [{id: compressed-tensors}]\n";
  advisor_job* job = NULL;
  int result = EXIT_SUCCESS;
  if (advisor_job_create(handle, model, out, recipe, &job) != ADVISOR_OK ||
      advisor_job_run(job, print_progress, NULL) != ADVISOR_OK) {
    result = failed("compress");
  } else {
    puts(advisor_job_report_json(job));
  }
  advisor_job_release(job);
  return result;
}

static int evaluate(const advisor_handle* handle, const char* model, const char* suite) {
  advisor_evaluation* evaluation = NULL;
  int result = EXIT_SUCCESS;
  if (advisor_evaluate(handle, model, suite, 0, print_progress, NULL, &evaluation) != ADVISOR_OK) {
    result = failed("evaluate");
  } else {
    puts(advisor_evaluation_json(evaluation));
  }
  advisor_evaluation_release(evaluation);
  return result;
}

int main(int argc, char** argv) {
  advisor_handle* handle = NULL;
  char* json;
  int result;
  if (argc != 2 && argc != 5) {
    fprintf(stderr, "usage: %s PROFILE.json [MODEL OUT SUITE]\n", argv[0]);
    return EXIT_FAILURE;
  }
  json = read_file(argv[1]);
  if (json == NULL) {
    fprintf(stderr, "cannot read %s\n", argv[1]);
    return EXIT_FAILURE;
  }
  if (advisor_open(NULL, &handle) != ADVISOR_OK) {
    result = failed("open");
  } else {
    result = recommend(handle, json);
    if (result == EXIT_SUCCESS && argc == 5) result = compress(handle, argv[2], argv[3]);
    if (result == EXIT_SUCCESS && argc == 5) result = evaluate(handle, argv[3], argv[4]);
  }
  advisor_close(handle);
  free(json);
  return result;
}
