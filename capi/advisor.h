/* libadvisor: should a language model be compressed, switched, both or neither on this hardware — and do it.
 *
 * The only promised ABI of the project. C99, no structs cross it, hence no layout to version.
 *
 * Ownership by shape: what comes back through `**out` is yours and is given back to its `_close` / `_release`
 * function; a returned pointer belongs to the handle it came from and lives as long. Releasing NULL is fine.
 * Strings are UTF-8 and NUL-terminated. Out parameters are last and are set to NULL (0) on failure.
 *
 * Call status and answer are different things: "infeasible" is a successful call whose outcome says so.
 *
 * Threads: one `advisor_handle` may be used from many threads at once; every other handle from one thread at a time.
 * advisor_last_error() is per thread.
 */
#ifndef ADVISOR_H
#define ADVISOR_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define ADVISOR_API __attribute__((visibility("default")))
#else
#define ADVISOR_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* 0 or one of the negative codes below. Numbers are never reused. */
typedef int32_t advisor_status;
enum {
  ADVISOR_OK = 0,
  ADVISOR_INVALID_ARGUMENT = -1, /* a value that makes no sense: NULL, unknown field, negative memory */
  ADVISOR_NOT_FOUND = -2,        /* a file, model or hardware that does not exist */
  ADVISOR_PARSE_ERROR = -3,      /* a file that is not what it claims to be */
  ADVISOR_UNSUPPORTED = -4,      /* well formed, but this build cannot do it */
  ADVISOR_IO_ERROR = -5,         /* unwritable output, full disk */
  ADVISOR_CANCELLED = -6,        /* the progress function asked to stop */
  ADVISOR_OUT_OF_MEMORY = -7,
  ADVISOR_INTERNAL = -8 /* a bug in libadvisor */
};

/* The answer of a recommendation. */
enum { ADVISOR_RECOMMENDED = 0, ADVISOR_INFEASIBLE = 1, ADVISOR_INSUFFICIENT_EVIDENCE = 2 };

typedef struct advisor_handle advisor_handle; /* opened knowledge */
typedef struct advisor_profile advisor_profile;
typedef struct advisor_recommendation advisor_recommendation;
typedef struct advisor_job advisor_job;
typedef struct advisor_evaluation advisor_evaluation;

/* Called from one thread at a time with what is done so far. `stage` and `item` are valid during the call only.
 * Return 0 to go on, anything else to cancel. */
typedef int32_t (*advisor_progress_fn)(void* payload, const char* stage, const char* item, int64_t done, int64_t total,
                                       double seconds);

/* Version of the loaded library, 0xMMmmpp. since 0.1, stable */
ADVISOR_API uint32_t advisor_version(void);

/* Message of this thread's last failing call; valid until its next failing call; "" before the first.
 * since 0.1, stable */
ADVISOR_API const char* advisor_last_error(void);

/* Opens the knowledge (advisor.db and rules/) in `data_dir`; NULL = $ADVISOR_DATA, else beside the library.
 * since 0.1, unstable */
ADVISOR_API advisor_status advisor_open(const char* data_dir, advisor_handle** out);
/* since 0.1, unstable */
ADVISOR_API void advisor_close(advisor_handle* handle);

/* An empty profile; set at least "model", "hardware.id" (or "hardware.memory") and "task.type".
 * since 0.1, unstable */
ADVISOR_API advisor_status advisor_profile_create(advisor_profile** out);
/* Reads a profile from JSON with the keys of a profile file; unknown keys are errors. since 0.1, unstable */
ADVISOR_API advisor_status advisor_profile_from_json(const char* json, advisor_profile** out);
/* Sets a field by path, in SI units: "hardware.memory" in bytes, "slo.ttft" in seconds. since 0.1, unstable */
ADVISOR_API advisor_status advisor_profile_set_number(advisor_profile* profile, const char* field, double value);
/* Sets a field from text with units as in a profile file: "24 GiB", "400 ms", "vllm". since 0.1, unstable */
ADVISOR_API advisor_status advisor_profile_set_text(advisor_profile* profile, const char* field, const char* value);
/* since 0.1, unstable */
ADVISOR_API void advisor_profile_release(advisor_profile* profile);

/* Decides. Deterministic: same profile, same knowledge, same bytes. since 0.1, unstable */
ADVISOR_API advisor_status advisor_recommend(const advisor_handle* handle, const advisor_profile* profile,
                                             advisor_recommendation** out);
/* ADVISOR_RECOMMENDED, ADVISOR_INFEASIBLE or ADVISOR_INSUFFICIENT_EVIDENCE; -1 for NULL. since 0.1, unstable */
ADVISOR_API int32_t advisor_recommendation_outcome(const advisor_recommendation* recommendation);
/* Number of ranked options; 0 for NULL. since 0.1, unstable */
ADVISOR_API size_t advisor_recommendation_count(const advisor_recommendation* recommendation);
/* One estimate of one option: "quality" (fraction of 1), "memory" (bytes; low = high = mean),
 * "decode_tokens_per_second", "ttft_seconds", "usd_per_hour", "usd_per_million_tokens".
 * ADVISOR_NOT_FOUND when there is no evidence for it. Any of mean, low, high may be NULL. since 0.1, unstable */
ADVISOR_API advisor_status advisor_recommendation_estimate(const advisor_recommendation* recommendation, size_t option,
                                                           const char* metric, double* mean, double* low, double* high);
/* The whole answer, schema advisor.recommendation/1; "" for NULL. since 0.1, unstable */
ADVISOR_API const char* advisor_recommendation_json(const advisor_recommendation* recommendation);
/* The whole answer as text for people; "" for NULL. since 0.1, unstable */
ADVISOR_API const char* advisor_recommendation_text(const advisor_recommendation* recommendation);
/* since 0.1, unstable */
ADVISOR_API void advisor_recommendation_release(advisor_recommendation* recommendation);

/* Plans the compression of the checkpoint `model` into the folder `out_dir` by a recipe (YAML). Refuses now what could
 * not be done later: wrong shapes, unsupported scheme, too little disk. Nothing is written. since 0.1, unstable */
ADVISOR_API advisor_status advisor_job_create(const advisor_handle* handle, const char* model, const char* out_dir,
                                              const char* recipe_yaml, advisor_job** out);
/* Threads to use; 0 = all cores. The output does not depend on it. since 0.1, unstable */
ADVISOR_API advisor_status advisor_job_set_threads(advisor_job* job, int32_t threads);
/* What will be done, schema advisor.compression_plan/1; "" for NULL. since 0.1, unstable */
ADVISOR_API const char* advisor_job_plan_json(const advisor_job* job);
/* Runs it. The output folder appears whole or not at all. `progress` may be NULL. since 0.1, unstable */
ADVISOR_API advisor_status advisor_job_run(advisor_job* job, advisor_progress_fn progress, void* payload);
/* What was done and verified, schema advisor.compression/1; "" before a successful run. since 0.1, unstable */
ADVISOR_API const char* advisor_job_report_json(const advisor_job* job);
/* since 0.1, unstable */
ADVISOR_API void advisor_job_release(advisor_job* job);

/* Measures the checkpoint `model` (folder or .gguf) on a suite: a folder of *.txt and *.jsonl, or one such file.
 * `threads` 0 = all cores. `progress` may be NULL. since 0.1, unstable */
ADVISOR_API advisor_status advisor_evaluate(const advisor_handle* handle, const char* model, const char* suite,
                                            int32_t threads, advisor_progress_fn progress, void* payload,
                                            advisor_evaluation** out);
/* Schema advisor.evaluation/1; "" for NULL. since 0.1, unstable */
ADVISOR_API const char* advisor_evaluation_json(const advisor_evaluation* evaluation);
/* since 0.1, unstable */
ADVISOR_API void advisor_evaluation_release(advisor_evaluation* evaluation);

#ifdef __cplusplus
}
#endif

#endif /* ADVISOR_H */
