#include "core/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "core/error.h"

namespace advisor {
namespace {

using testing::AllOf;
using testing::HasSubstr;

template <class F>
std::string refusal(ErrorCode code, F action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "(no error)";
}

std::string refused(const std::string& path, const std::string& text) {
  return refusal(ErrorCode::invalid_argument, [&] {
    Profile profile;
    set_field(profile, path, text);
  });
}

/// Some texts that each field takes.
std::vector<std::string> samples(const Field& field) {
  switch (field.kind()) {
    case FieldKind::boolean: return {"true", "false"};
    case FieldKind::integer: return {"1", "77", "1024"};
    case FieldKind::number:
      if (field.path == "confidence" || field.path == "cost.utilisation") return {"0.5", "0.95", "99 %"};
      if (field.max <= 2) return {"0", "0.123456789", "97 %"};
      if (field.dimension == Dimension::bytes) return {"24 GiB", "1 B", "24.3 GB", "17"};
      if (field.dimension == Dimension::seconds) return {"50 ms", "3.7", "1 s", "0.0333333333333333"};
      return {"1", "936", "1.23456789e5", "0.7e3"};
    case FieldKind::text:
      if (!field.values.empty()) return {field.values.begin(), field.values.end()};
      return {"meta-llama/Llama-3.1-8B", "a b"};
    case FieldKind::list:
      if (!field.values.empty())
        return {"[" + std::string(field.values[1]) + ", " + std::string(field.values[0]) + "]"};
      return {"[mit, apache-2.0]", "[]"};
  }
  return {};
}

TEST(Fields, GetOfSetReadsBackForEveryField) {
  for (const Field& field : fields()) {
    for (const std::string& text : samples(field)) {
      Profile profile, again;
      set_field(profile, field.path, text);
      set_field(again, field.path, get_field(profile, field.path));
      EXPECT_EQ(get_field(again, field.path), get_field(profile, field.path)) << field.path << " = " << text;
      EXPECT_EQ(get_number(again, field.path), get_number(profile, field.path)) << field.path << " = " << text;
      EXPECT_EQ(profile.given, std::set<std::string>{std::string(field.path)});
    }
  }
}

TEST(Fields, DefaultsReadBackToo) {
  const Profile defaults;
  for (const Field& field : fields()) {
    const std::string text = get_field(defaults, field.path);
    if (text.empty()) continue;
    Profile profile;
    set_field(profile, field.path, text);
    EXPECT_EQ(get_field(profile, field.path), text) << field.path;
  }
}

TEST(Fields, NumbersCountInTheFieldsUnit) {
  Profile profile;
  set_field(profile, "budget.usd_per_hour", 4.0);
  set_field(profile, "budget.hours_to_compress", "30 min");
  set_field(profile, "slo.tpot", 0.05);
  set_field(profile, "workload.context", 8192.0);
  set_field(profile, "task.critical", 1.0);
  EXPECT_EQ(profile.budget.usd_per_hour, 4.0);
  EXPECT_EQ(profile.budget.hours_to_compress, 0.5);
  EXPECT_EQ(profile.slo.tpot, 0.05);
  EXPECT_EQ(profile.workload.context, 8192);
  EXPECT_TRUE(profile.task.critical);
  EXPECT_EQ(get_field(profile, "budget.usd_per_hour"), "4 USD/h");
  EXPECT_EQ(get_field(profile, "slo.tpot"), "50 ms");
}

TEST(Fields, TableIsSound) {
  std::set<std::string_view> paths;
  for (const Field& field : fields()) {
    EXPECT_TRUE(paths.insert(field.path).second) << field.path;
    EXPECT_FALSE(field.doc.empty()) << field.path;
    if (!field.unit.empty()) {
      ASSERT_NE(find_unit(field.unit), nullptr) << field.path;
      EXPECT_EQ(find_unit(field.unit)->dimension, field.dimension) << field.path;
    }
    if (field.kind() == FieldKind::integer || field.kind() == FieldKind::number) {
      EXPECT_LT(field.min, field.max) << field.path;
    }
  }
}

TEST(Fields, ListsAsTextOrItems) {
  Profile profile;
  set_field(profile, "modality.in", "text, image");
  EXPECT_THAT(profile.modality.in, testing::ElementsAre("text", "image"));
  set_field(profile, "modality.in", std::vector<std::string>{"audio"});
  EXPECT_THAT(profile.modality.in, testing::ElementsAre("audio"));
}

TEST(Fields, OptionalNumbersCanBeUnset) {
  Profile profile;
  set_field(profile, "slo.ttft", "1 s");
  set_field(profile, "slo.ttft", "");
  EXPECT_FALSE(profile.slo.ttft.has_value());
  EXPECT_EQ(get_field(profile, "slo.ttft"), "");
}

TEST(Fields, HardwareIsShortForItsId) {
  Profile profile;
  set_field(profile, "hardware", "auto");
  EXPECT_EQ(profile.hardware.id, "auto");
  EXPECT_EQ(profile.given.count("hardware.id"), 1u);
}

TEST(FieldsRefuse, OutOfBoundsNamingFieldValueAndBound) {
  EXPECT_THAT(refused("hardware.memory", "-24 GiB"),
              AllOf(HasSubstr("hardware.memory"), HasSubstr("-24 GiB"), HasSubstr("1 B")));
  EXPECT_THAT(refused("confidence", "1.5"), AllOf(HasSubstr("confidence"), HasSubstr("0.999")));
  EXPECT_THAT(refused("workload.concurrency", "0"), HasSubstr("least allowed value, 1"));
  EXPECT_THAT(refused("slo.ttft", "0"), HasSubstr("slo.ttft"));
  EXPECT_THAT(refused("accuracy.min", "75"), HasSubstr("largest allowed value, 1"));
}

TEST(FieldsRefuse, WrongTypes) {
  EXPECT_THAT(refused("workload.context", "1.5"), HasSubstr("whole number"));
  EXPECT_THAT(refused("workload.context", "many"), HasSubstr("workload.context"));
  EXPECT_THAT(refused("workload.context", "8 GiB"), HasSubstr("expected a plain number"));
  EXPECT_THAT(refused("hardware.memory", "24 GB/s"), HasSubstr("expected bytes"));
  EXPECT_THAT(refused("task.critical", "maybe"), HasSubstr("true or false"));
  EXPECT_THAT(refused("workload.context", ""), HasSubstr("must start with a number"));
  const auto number = [](const char* path, double value) {
    return refusal(ErrorCode::invalid_argument, [&] {
      Profile profile;
      set_field(profile, path, value);
    });
  };
  EXPECT_THAT(number("model", 3), HasSubstr("takes text"));
  EXPECT_THAT(number("licence", 3), HasSubstr("list"));
  EXPECT_THAT(number("task.critical", 2), HasSubstr("true"));
  EXPECT_THAT(number("confidence", std::nan("")), HasSubstr("finite"));
  EXPECT_THAT(number("workload.context", std::numeric_limits<double>::infinity()), HasSubstr("finite"));
  EXPECT_THAT(number("workload.context", 1e300), HasSubstr("largest"));
  EXPECT_THAT(refusal(ErrorCode::invalid_argument,
                      [] {
                        Profile profile;
                        set_field(profile, "model", std::vector<std::string>{"a"});
                      }),
              HasSubstr("takes one value"));
}

TEST(FieldsRefuse, WordsOutsideTheClosedSet) {
  EXPECT_THAT(refused("task.type", "closed_book"), AllOf(HasSubstr("closed_book_qa"), HasSubstr("did you mean")));
  EXPECT_THAT(refused("engine", "vLLM"), HasSubstr("\"vllm\""));
  EXPECT_THAT(refused("priority", "[quality, speed]"), HasSubstr("speed"));
  EXPECT_THAT(refused("priority", "[cost, cost]"), HasSubstr("twice"));
  EXPECT_THAT(refused("modality.in", "[]"), HasSubstr("at least one"));
  EXPECT_THAT(refused("licence", "[mit,,apache-2.0]"), HasSubstr("empty"));
  EXPECT_THAT(refused("model", std::string(5000, 'x')), HasSubstr("longer than"));
}

TEST(FieldsRefuse, UnknownFieldWithSuggestion) {
  EXPECT_THAT(refusal(ErrorCode::not_found, [] { find_field("workload.contxt"); }), HasSubstr("\"workload.context\""));
  EXPECT_THAT(refusal(ErrorCode::not_found, [] { find_field(""); }), HasSubstr("unknown field"));
}

TEST(TaskFields, ReadBackForEveryFieldOfEachTask) {
  Profile profile;
  set_field(profile, "tasks.0.task", "chat");
  set_field(profile, "tasks.1.task.type", "legal");
  for (const Field& field : task_fields()) {
    for (const int task : {0, 1}) {
      const std::string path = "tasks." + std::to_string(task) + "." + std::string(field.path);
      for (const std::string& text : samples(field)) {
        if (field.path == "share" && text == "0") continue;
        set_field(profile, path, text);
        const std::string written = get_field(profile, path);
        Profile again = profile;
        set_field(again, path, written);
        EXPECT_EQ(get_field(again, path), written) << path << " = " << text;
        EXPECT_TRUE(again.given.contains(path));
        EXPECT_EQ(get_number(again, path), get_number(profile, path));
      }
    }
  }
  EXPECT_EQ(profile.tasks.size(), 2u);
  EXPECT_TRUE(profile.task.type.empty()) << "the profile's own task is another field";
}

TEST(TaskFields, ShareBoundsAndWordsWithTheFieldOfTheSameName) {
  for (const Field& field : task_fields()) {
    EXPECT_EQ(&find_field("tasks.7." + std::string(field.path)), &field);
    if (field.path == "share") continue;
    const Field& same = find_field(field.path);
    EXPECT_EQ(field.min, same.min) << field.path;
    EXPECT_EQ(field.max, same.max) << field.path;
    EXPECT_EQ(field.values.size(), same.values.size()) << field.path;
    EXPECT_EQ(field.kind(), same.kind()) << field.path;
  }
}

TEST(TaskFields, RefuseAndThenLeaveTheProfileAsItWas) {
  Profile profile;
  set_field(profile, "tasks.0.task", "chat");
  const auto bad = [&](ErrorCode code, const std::string& path, const std::string& text) {
    const auto message = refusal(code, [&] { set_field(profile, path, text); });
    EXPECT_EQ(profile.tasks.size(), 1u);
    EXPECT_EQ(profile.given.size(), 1u);
    EXPECT_EQ(get_field(profile, "tasks.0.share"), "1");
    return message;
  };
  EXPECT_THAT(bad(ErrorCode::invalid_argument, "tasks.1.accuracy.min", "80"),
              AllOf(testing::StartsWith("tasks.1.accuracy.min: "), HasSubstr("above the largest")));
  EXPECT_THAT(bad(ErrorCode::invalid_argument, "tasks.0.share", "0"), HasSubstr("tasks.0.share"));
  EXPECT_THAT(bad(ErrorCode::invalid_argument, "tasks.0.task", "chatt"), HasSubstr("\"chat\""));
  EXPECT_THAT(bad(ErrorCode::not_found, "tasks.0.accuracy.mim", "0.8"),
              AllOf(HasSubstr("tasks.0.accuracy.mim"), HasSubstr("\"accuracy.min\"")));
  EXPECT_THAT(bad(ErrorCode::not_found, "tasks.0.zzz", "1"), HasSubstr("known of a task: task.type"));
  EXPECT_THAT(bad(ErrorCode::not_found, "tasks.2.share", "1"), HasSubstr("has 1 tasks"));
  EXPECT_THAT(bad(ErrorCode::invalid_argument, "tasks.8.share", "1"), HasSubstr("at most 8"));
  for (const char* path : {"tasks", "tasks.", "tasks.share", "tasks.-1.share", "tasks.0", "tasks.0x.share",
                           "tasks.99999999999999999999999.share"})
    EXPECT_THAT(bad(ErrorCode::invalid_argument, path, "1"), HasSubstr("tasks.0.accuracy.min")) << path;
  EXPECT_THAT(refusal(ErrorCode::not_found, [&] { get_field(profile, "tasks.3.share"); }), HasSubstr("has 1 tasks"));
  EXPECT_THAT(refusal(ErrorCode::not_found, [] { get_field(Profile(), "tasks.0.share"); }), HasSubstr("no `tasks`"));
}

TEST(Defaults, ListsWhatNobodySet) {
  Profile profile;
  set_field(profile, "model", "m");
  set_field(profile, "workload.context", "4096");  // set to what happens to be the default
  const auto defaults = applied_defaults(profile);
  EXPECT_EQ(defaults.count("model"), 0u);
  EXPECT_EQ(defaults.count("workload.context"), 0u);
  EXPECT_EQ(defaults.at("workload.concurrency"), "1");
  EXPECT_EQ(defaults.at("confidence"), "0.9");
  EXPECT_EQ(defaults.at("modality.in"), "[text]");
  EXPECT_EQ(defaults.at("slo.ttft"), "no limit");
  EXPECT_EQ(defaults.at("licence"), "any, unknown ones too");
  EXPECT_EQ(defaults.count("hardware.memory"), 0u);
}

TEST(Defaults, OfEachTaskInsteadOfTheOneTask) {
  Profile profile;
  set_field(profile, "tasks.0.task", "chat");
  set_field(profile, "tasks.1.task.benchmark", "medqa");
  set_field(profile, "tasks.1.accuracy.min", "0.8");
  const auto defaults = applied_defaults(profile);
  EXPECT_EQ(defaults.at("tasks.0.share"), "1");
  EXPECT_EQ(defaults.at("tasks.0.task.critical"), "false");
  EXPECT_EQ(defaults.at("tasks.0.accuracy.min"), "the profile's accuracy.min");
  EXPECT_FALSE(defaults.contains("tasks.1.accuracy.min"));
  EXPECT_FALSE(defaults.contains("tasks.0.task.type"));
  EXPECT_FALSE(defaults.contains("task.critical"));
  EXPECT_FALSE(defaults.contains("task.benchmark"));
  for (const auto& [path, value] : applied_defaults(Profile())) EXPECT_FALSE(path.starts_with("tasks")) << value;
}

TEST(Validate, Portfolio) {
  Profile profile;
  profile.model = "m", profile.hardware.memory = 24e9;
  const auto why = [&] { return refusal(ErrorCode::invalid_argument, [&] { validate(profile); }); };
  set_field(profile, "tasks.0.task", "chat");
  EXPECT_THAT(why(), HasSubstr("at least two tasks"));
  profile.tasks.resize(2);
  EXPECT_THAT(why(), HasSubstr("tasks.1.task: missing"));
  set_field(profile, "tasks.1.task.benchmark", "medqa");
  validate(profile);
  profile.tasks[1].share = -1;
  EXPECT_THAT(why(), AllOf(HasSubstr("tasks.1.share"), HasSubstr("not positive")));
  profile.tasks[1].share = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(why(), HasSubstr("tasks.1.share"));
  profile.tasks[1].share = 3;
  profile.tasks[0].accuracy.min = 0.5, profile.tasks[0].accuracy.retain = 0.9;
  EXPECT_THAT(why(), AllOf(HasSubstr("tasks.0.accuracy"), HasSubstr("not both")));
  profile.tasks[0].accuracy.min.reset();
  profile.task.type = "chat";
  EXPECT_THAT(why(), HasSubstr("either one `task` or several `tasks`"));
  profile.task.type.clear();
  validate(profile);
  profile.tasks.resize(max_tasks + 1, profile.tasks[1]);
  EXPECT_THAT(why(), HasSubstr("are the most"));
}

TEST(Validate, AsksForModelHardwareAndTask) {
  Profile profile;
  const auto why = [&] { return refusal(ErrorCode::invalid_argument, [&] { validate(profile); }); };
  EXPECT_THAT(why(), HasSubstr("model"));
  profile.model = "m";
  EXPECT_THAT(why(), HasSubstr("hardware"));
  profile.hardware.memory = 24e9;
  EXPECT_THAT(why(), HasSubstr("task"));
  profile.task.benchmark = "mmlu";
  validate(profile);
  profile.accuracy.min = 0.7;
  profile.accuracy.retain = 0.9;
  EXPECT_THAT(why(), HasSubstr("not both"));
  profile.accuracy.retain.reset();
  profile.workload.context = 100;
  EXPECT_THAT(why(), HasSubstr("1280"));
}

}  // namespace
}  // namespace advisor
