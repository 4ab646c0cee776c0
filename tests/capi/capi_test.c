/* The C API from C99: every function, its refusals, and the three verbs on the bundled model. */
#define _POSIX_C_SOURCE 200809L
#include <advisor.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int failures = 0;

#define CHECK(condition)                                                                                     \
  do {                                                                                                       \
    if (!(condition)) {                                                                                      \
      fprintf(stderr, "%s:%d: %s (last error: %s)\n", __FILE__, __LINE__, #condition, advisor_last_error()); \
      ++failures;                                                                                            \
    }                                                                                                        \
  } while (0)

static void test_null_is_harmless(void) {
  advisor_profile* profile = (advisor_profile*)&failures;
  advisor_close(NULL);
  advisor_profile_release(NULL);
  advisor_recommendation_release(NULL);
  advisor_job_release(NULL);
  advisor_evaluation_release(NULL);
  CHECK(advisor_recommendation_outcome(NULL) == -1);
  CHECK(advisor_recommendation_count(NULL) == 0);
  CHECK(strcmp(advisor_recommendation_json(NULL), "") == 0);
  CHECK(strcmp(advisor_recommendation_text(NULL), "") == 0);
  CHECK(strcmp(advisor_job_plan_json(NULL), "") == 0);
  CHECK(strcmp(advisor_job_report_json(NULL), "") == 0);
  CHECK(strcmp(advisor_evaluation_json(NULL), "") == 0);
  CHECK(advisor_open(NULL, NULL) == ADVISOR_INVALID_ARGUMENT);
  CHECK(advisor_profile_create(NULL) == ADVISOR_INVALID_ARGUMENT);
  CHECK(advisor_recommend(NULL, NULL, NULL) == ADVISOR_INVALID_ARGUMENT);
  CHECK(advisor_job_run(NULL, NULL, NULL) == ADVISOR_INVALID_ARGUMENT);
  CHECK(advisor_profile_from_json(NULL, &profile) == ADVISOR_INVALID_ARGUMENT);
  CHECK(profile == NULL); /* out is NULL after a failure */
  CHECK(strstr(advisor_last_error(), "NULL") != NULL);
}

static void test_profile_refusals(void) {
  advisor_profile* profile = NULL;
  CHECK(advisor_profile_create(&profile) == ADVISOR_OK);
  CHECK(advisor_profile_set_number(profile, "workload.context", 8192) == ADVISOR_OK);
  CHECK(advisor_profile_set_text(profile, "hardware.memory", "24 GiB") == ADVISOR_OK);
  CHECK(advisor_profile_set_number(profile, "hardware.memory", -1) == ADVISOR_INVALID_ARGUMENT);
  CHECK(strstr(advisor_last_error(), "hardware.memory") != NULL);
  CHECK(advisor_profile_set_text(profile, "workload.contxt", "1") == ADVISOR_NOT_FOUND);
  CHECK(strstr(advisor_last_error(), "workload.context") != NULL); /* a suggestion */
  CHECK(advisor_profile_set_text(profile, NULL, "1") == ADVISOR_INVALID_ARGUMENT);
  advisor_profile_release(profile);
  CHECK(advisor_profile_from_json("{\"modle\": \"x\"}", &profile) != ADVISOR_OK);
  CHECK(advisor_profile_from_json("{", &profile) == ADVISOR_PARSE_ERROR);
}

static void test_recommend(const advisor_handle* handle) {
  advisor_profile* profile = NULL;
  advisor_recommendation *answer = NULL, *again = NULL;
  double mean = 0, low = 0, high = 0;
  CHECK(advisor_profile_create(&profile) == ADVISOR_OK);
  CHECK(advisor_profile_set_text(profile, "model", "meta-llama/Llama-3.1-8B-Instruct") == ADVISOR_OK);
  CHECK(advisor_profile_set_text(profile, "hardware.id", "nvidia-a100-sxm4-80gb") == ADVISOR_OK);
  CHECK(advisor_profile_set_text(profile, "task.type", "chat") == ADVISOR_OK);
  CHECK(advisor_recommend(handle, profile, &answer) == ADVISOR_OK);
  CHECK(advisor_recommendation_outcome(answer) == ADVISOR_RECOMMENDED);
  CHECK(advisor_recommendation_count(answer) > 0);
  CHECK(advisor_recommendation_estimate(answer, 0, "memory", &mean, &low, NULL) == ADVISOR_OK);
  CHECK(mean > 0 && low == mean);
  CHECK(advisor_recommendation_estimate(answer, 0, "memry", &mean, &low, &high) == ADVISOR_INVALID_ARGUMENT);
  CHECK(advisor_recommendation_estimate(answer, 100000, "memory", &mean, &low, &high) == ADVISOR_INVALID_ARGUMENT);
  CHECK(strstr(advisor_recommendation_json(answer), "advisor.recommendation/1") != NULL);
  CHECK(strlen(advisor_recommendation_text(answer)) > 100);
  CHECK(advisor_recommend(handle, profile, &again) == ADVISOR_OK);
  CHECK(strcmp(advisor_recommendation_json(answer), advisor_recommendation_json(again)) == 0);
  advisor_recommendation_release(again);
  advisor_recommendation_release(answer);

  CHECK(advisor_profile_set_text(profile, "model", "meta-llama/Llama-3.1-8B-Instrukt") == ADVISOR_OK);
  CHECK(advisor_recommend(handle, profile, &answer) == ADVISOR_NOT_FOUND);
  CHECK(answer == NULL);
  CHECK(strstr(advisor_last_error(), "Llama-3.1-8B-Instruct") != NULL); /* a suggestion */
  advisor_profile_release(profile);
}

static int32_t count_calls(void* payload, const char* stage, const char* item, int64_t done, int64_t total,
                           double seconds) {
  (void)stage;
  (void)item;
  (void)seconds;
  ++*(int*)payload;
  return done > total; /* 0: go on */
}

static int32_t stop(void* payload, const char* stage, const char* item, int64_t done, int64_t total, double seconds) {
  (void)payload;
  (void)stage;
  (void)item;
  (void)done;
  (void)total;
  (void)seconds;
  return 1;
}

static void test_compress_and_evaluate(const advisor_handle* handle, const char* source) {
  static const char recipe[] =
      "steps: [{technique: rtn, scheme: W4A16-g32}]\n"
      "formats: [{id: compressed-tensors}]\n";
  char model[1024], out[1024], suite[1024], folder[] = "/tmp/advisor-capi-XXXXXX", command[1100];
  struct stat info;
  advisor_job* job = NULL;
  advisor_evaluation* evaluation = NULL;
  int calls = 0;
  CHECK(mkdtemp(folder) != NULL);
  snprintf(model, sizeof model, "%s/examples/models/tiny", source);
  snprintf(suite, sizeof suite, "%s/examples/suites/tiny/intent.jsonl", source);
  snprintf(out, sizeof out, "%s/out", folder);

  CHECK(advisor_job_create(handle, model, out, "steps: [{technique: rnt}]", &job) != ADVISOR_OK);
  CHECK(job == NULL);
  CHECK(advisor_job_create(handle, "/nonexistent", out, recipe, &job) == ADVISOR_NOT_FOUND);

  CHECK(advisor_job_create(handle, model, out, recipe, &job) == ADVISOR_OK);
  CHECK(advisor_job_set_threads(job, -1) == ADVISOR_INVALID_ARGUMENT);
  CHECK(advisor_job_set_threads(job, 2) == ADVISOR_OK);
  CHECK(strlen(advisor_job_plan_json(job)) > 2);
  CHECK(strcmp(advisor_job_report_json(job), "") == 0); /* nothing done yet */
  CHECK(advisor_job_run(job, stop, NULL) == ADVISOR_CANCELLED);
  CHECK(stat(out, &info) != 0); /* cancelled: nothing is left */
  CHECK(advisor_job_run(job, count_calls, &calls) == ADVISOR_OK);
  CHECK(calls > 0);
  CHECK(stat(out, &info) == 0);
  CHECK(strstr(advisor_job_report_json(job), "advisor.compression/1") != NULL);
  advisor_job_release(job);

  calls = 0;
  CHECK(advisor_evaluate(handle, out, suite, 0, count_calls, &calls, &evaluation) == ADVISOR_OK);
  CHECK(calls > 0);
  CHECK(strstr(advisor_evaluation_json(evaluation), "advisor.evaluation/1") != NULL);
  advisor_evaluation_release(evaluation);
  CHECK(advisor_evaluate(handle, out, "/nonexistent", 0, NULL, NULL, &evaluation) == ADVISOR_NOT_FOUND);
  CHECK(advisor_evaluate(handle, out, suite, 0, stop, NULL, &evaluation) == ADVISOR_CANCELLED);

  snprintf(command, sizeof command, "rm -rf %s", folder);
  CHECK(system(command) == 0);
}

int main(int argc, char** argv) {
  advisor_handle* handle = NULL;
  if (argc != 2) {
    fprintf(stderr, "usage: %s SOURCE_DIR\n", argv[0]);
    return 2;
  }
  CHECK(advisor_version() >= 0x000100);
  test_null_is_harmless();
  test_profile_refusals();
  CHECK(advisor_open("/nonexistent", &handle) == ADVISOR_NOT_FOUND);
  CHECK(handle == NULL);
  CHECK(advisor_open(NULL, &handle) == ADVISOR_OK);
  if (handle != NULL) {
    test_recommend(handle);
    test_compress_and_evaluate(handle, argv[1]);
  }
  advisor_close(handle);
  printf("%s\n", failures == 0 ? "ok" : "failed");
  return failures == 0 ? 0 : 1;
}
