#include "recommend/decide.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <thread>
#include <type_traits>

#include "core/json.h"
#include "recommend/cell_judge.h"
#include "recommend/detail.h"
#include "recommend/fixture.h"
#include "recommend/recommend.h"

namespace advisor {
namespace {

using testing::Contains;
using testing::Field;

/// With everything that an answer may rest on: caches of 8 bits, a retrained and two published checkpoints.
Knowledge rich_knowledge() {
  auto k = small_knowledge();
  for (const char* model : {"x", "y", "z"}) {
    auto cache = measured(model, "kv-quant", "W16A16", 16, *model == 'x' ? 0.99 : 1.0);
    cache.model = model, cache.kv_bits = 8;
    k.quality.push_back(cache);
    auto retrained = measured(model, "qat", "Q4_0", 4, *model == 'x' ? 0.97 : 0.98);
    retrained.model = model, retrained.retrained = true;
    k.quality.push_back(retrained);
  }
  const auto& id = k.models[0].id;
  k.published = {{id, "somebody/awq", "awq", "W4A16", "autoawq", "somebody", false, "u1", ""},
                 {id, "publisher/awq", "awq", "W4A16", "autoawq", "publisher", true, "u2", ""},
                 {id, "publisher/qat", "qat", "Q4_0", "gguf", "publisher", true, "u3", ""}};
  return k;
}

struct Decide : testing::Test {
  Knowledge knowledge = rich_knowledge();
  Profile profile;
  Hardware hardware = a100();
  Decide() {
    profile.model = knowledge.models[0].id;
    profile.task.type = "closed_book_qa";
    profile.task.benchmark = "mmlu";
  }
  Recommendation answer() const { return recommend(profile, hardware, knowledge); }
};

TEST_F(Decide, EveryQualityNumberHasASourceAndEveryRejectionAReason) {
  for (const double gib : {6, 16, 40, 80}) {
    hardware.device.memory = gib * (1 << 30);
    const auto said = answer();
    for (const auto& option : said.options) {
      ASSERT_TRUE(option.quality);
      EXPECT_FALSE(option.quality->value.sources.empty()) << option.variant.id();
      ASSERT_TRUE(option.quality->retention);
      EXPECT_FALSE(option.quality->retention->sources.empty()) << option.variant.id();
      EXPECT_FALSE(option.decided_by.empty());
      EXPECT_FALSE(option.route.steps.empty() && option.action != "keep") << option.variant.id();
    }
    for (const auto& rejection : said.rejections) {
      EXPECT_FALSE(rejection.because.empty()) << rejection.code;
      EXPECT_FALSE(rejection.code.empty());
      EXPECT_GE(rejection.count, 1);
    }
  }
}

TEST_F(Decide, EveryCellIsAccountedFor) {
  hardware.device.memory = 16.0 * (1 << 30);
  const Toolbox tools(knowledge);
  const auto question = ask(tools, profile, hardware, nullptr);
  const auto decision = decide(tools, question);
  EXPECT_EQ(decision.variants_considered, static_cast<std::int64_t>(decision.cells.size()));
  std::int64_t turned_away = 0, feasible = 0;
  for (const auto& cell : decision.cells) {
    turned_away += cell.fate == Fate::forbidden || cell.fate == Fate::limit;
    feasible += cell.fate == Fate::feasible;
    EXPECT_EQ(cell.fate == Fate::forbidden, cell.rule != nullptr);
    EXPECT_EQ(cell.fate == Fate::undecided,
              cell.fate != Fate::forbidden && cell.fate != Fate::limit && cell.missing != Missing::nothing);
  }
  EXPECT_EQ(decision.ranked.size(), static_cast<std::size_t>(feasible));
  const auto said = recommend(profile, hardware, tools);
  std::int64_t told = 0;
  for (const auto& rejection : said.rejections)
    told += rejection.action == "switch" && rejection.scheme.empty() ? 0 : rejection.count;
  EXPECT_EQ(told, turned_away);
  std::int64_t listed = static_cast<std::int64_t>(said.options.size());
  for (const auto& group : said.dominated) listed += static_cast<std::int64_t>(group.variants.size());
  EXPECT_EQ(listed, feasible);
}

TEST_F(Decide, NumbersAndWordsAgree) {
  const Toolbox tools(knowledge);
  const auto question = ask(tools, profile, hardware, nullptr);
  const auto decision = decide(tools, question);
  ASSERT_FALSE(decision.ranked.empty());
  const Load load{profile.workload.input_tokens, profile.workload.output_tokens, profile.workload.concurrency};
  for (const int index : decision.ranked) {
    const auto& cell = decision.cells[static_cast<std::size_t>(index)];
    const auto variant = variant_of(tools, question, cell);
    if (variant.technique == "mixed") continue;  // its bytes are between those of two schemes
    const auto& model = *question.at(tools, cell.model).model;
    const auto memory = estimate_memory(model, variant, hardware, profile.workload.context, 1);
    ASSERT_TRUE(memory);
    EXPECT_DOUBLE_EQ(cell.memory_total, memory->total) << variant.id();
    EXPECT_DOUBLE_EQ(*cell.chances.memory, memory_distribution(*memory).probability_below(memory->available));
    const auto decode = tools.estimator.speed().decode(model, variant, hardware, load);
    ASSERT_EQ(cell.has_speed, decode.has_value()) << variant.id();
    if (!decode) continue;
    EXPECT_NEAR(cell.log_decode.mean, decode->log.mean, 1e-12) << variant.id();
    EXPECT_FLOAT_EQ(cell.log_decode.sd, static_cast<float>(decode->log.sd)) << variant.id();  // a Kept keeps a float
  }
}

TEST_F(Decide, TheFrontIsNotDominatedAndDominatesTheRest) {
  profile.priority = {"cost", "quality"};
  const Toolbox tools(knowledge);
  const auto decision = decide(tools, ask(tools, profile, hardware, nullptr));
  const auto by = dominating(decision);
  ASSERT_EQ(by.size(), decision.ranked.size());
  const std::set<int> front(decision.front.begin(), decision.front.end());
  EXPECT_EQ(decision.front.front(), decision.ranked.front()) << "the first by priority is not dominated";
  for (std::size_t i = 0; i < by.size(); ++i) {
    EXPECT_TRUE(front.contains(by[i]));
    EXPECT_EQ(by[i] == decision.ranked[i], front.contains(decision.ranked[i]));
  }
}

/// Hardware, limits and orders under which different candidates lead, or none.
void vary(std::mt19937& random, Profile& profile, Hardware& hardware, const Knowledge& knowledge) {
  const auto one_of = [&](auto... all) {
    const std::common_type_t<decltype(all)...> values[] = {all...};
    return values[random() % std::size(values)];
  };
  profile.model = knowledge.models[random() % knowledge.models.size()].id;
  profile.accuracy.min.reset(), profile.accuracy.retain.reset();
  (random() % 2 ? profile.accuracy.min : profile.accuracy.retain) = one_of(0.6, 0.7, 0.8, 0.9, 0.99);
  profile.slo.tpot.reset();
  if (random() % 2) profile.slo.tpot = one_of(0.001, 0.02, 0.05);
  profile.allow.switch_model = random() % 4 != 0;
  profile.allow.compress = random() % 4 != 0;
  profile.priority = random() % 3 ? std::vector<std::string>{"quality", "cost", "latency"}
                                  : std::vector<std::string>{"latency", "effort", "quality"};
  hardware.device.memory = one_of(6.0, 16.0, 24.0, 48.0, 80.0, 200.0) * (1 << 30);
}

TEST_F(Decide, TheLeaderIsTheFirstOfTheWholeDecision) {
  const Toolbox tools(knowledge);
  std::mt19937 random(7);
  int led = 0, kept = 0, nobody = 0;
  for (int i = 0; i < 300; ++i) {
    vary(random, profile, hardware, knowledge);
    const auto question = ask(tools, profile, hardware, nullptr);
    const auto whole = decide(tools, question);
    const auto leader = find_leader(tools, question);
    ASSERT_EQ(leader.has_value(), !whole.ranked.empty()) << i;
    if (!leader) {
      ++nobody;
      continue;
    }
    EXPECT_EQ(leader->cell.model, whole.first().model) << i;
    EXPECT_EQ(leader->cell.treatment, whole.first().treatment) << i;
    const bool keeps = std::any_of(whole.ranked.begin(), whole.ranked.end(), [&](int index) {
      return whole.cells[static_cast<std::size_t>(index)].action == Action::keep;
    });
    EXPECT_EQ(leader->keeps, keeps) << i;
    ++(keeps ? kept : led);
  }
  EXPECT_GT(std::min({led, kept, nobody}), 20);
}

TEST_F(Decide, KeepingIsDecidedAsAmongAllOthers) {
  const Toolbox tools(knowledge);
  std::mt19937 random(8);
  int feasible = 0, not_feasible = 0;
  for (int i = 0; i < 100; ++i) {
    vary(random, profile, hardware, knowledge);
    const auto question = ask(tools, profile, hardware, nullptr);
    const auto alone = decide_keeping(tools, question);
    auto among = decide(tools, question).cells;
    std::erase_if(among, [](const Cell& cell) { return cell.action != Action::keep; });
    ASSERT_EQ(alone.cells.size(), among.size()) << i;
    for (std::size_t k = 0; k < among.size(); ++k) {
      EXPECT_EQ(alone.cells[k].treatment, among[k].treatment);
      EXPECT_EQ(alone.cells[k].fate, among[k].fate);
      EXPECT_EQ(alone.cells[k].memory_total, among[k].memory_total);
      ++(among[k].fate == Fate::feasible ? feasible : not_feasible);
    }
  }
  EXPECT_GT(std::min(feasible, not_feasible), 20);
}

TEST_F(Decide, OfficialCheckpointsAreTakenBeforeOthersAndCostNoWork) {
  profile.allow.switch_model = false;
  profile.engine = "vllm";
  const Toolbox tools(knowledge);
  const auto question = ask(tools, profile, hardware, nullptr);
  const auto decision = decide(tools, question);
  CellJudge judge(tools, question);
  bool seen = false;
  for (const auto& cell : decision.cells) {
    const auto variant = variant_of(tools, question, cell);
    if (variant.technique != "awq" || cell.fate != Fate::feasible) continue;
    seen = true;
    ASSERT_NE(judge.applied(cell).published, nullptr);
    EXPECT_EQ(judge.applied(cell).published->checkpoint, "publisher/awq");
    EXPECT_EQ(cell.objectives.effort, 0);
  }
  EXPECT_TRUE(seen);
}

TEST_F(Decide, RetrainedCheckpointsAreOnlyOfferedWherePublished) {
  profile.engine = "llama.cpp";
  const Toolbox tools(knowledge);
  const auto question = ask(tools, profile, hardware, nullptr);
  std::set<std::string> models;
  for (const auto& cell : decide(tools, question).cells)
    if (const auto variant = variant_of(tools, question, cell); variant.technique == "qat")
      models.insert(variant.model);
  EXPECT_THAT(models, testing::ElementsAre(knowledge.models[0].id));
}

TEST_F(Decide, MixedPrecisionUsesWhatFitsAndNoMore) {
  profile.model = knowledge.models[1].id;  // 70B
  profile.allow.switch_model = false;
  profile.engine = "vllm";
  double last = 0;
  for (const double gib : {48, 56, 64, 72, 96}) {
    hardware.device.memory = gib * (1 << 30);
    const Toolbox tools(knowledge);
    const auto question = ask(tools, profile, hardware, nullptr);
    for (const auto& cell : decide(tools, question).cells) {
      if (cell.mixed_bits <= 0 || variant_of(tools, question, cell).kv != "fp16" || cell.fate != Fate::feasible)
        continue;
      EXPECT_GE(cell.mixed_bits, last);
      EXPECT_LE(cell.memory_total, cell.memory_available);
      last = cell.mixed_bits;
    }
  }
  EXPECT_EQ(last, 8) << "where all layers fit at 8 bits they have them";
}

TEST_F(Decide, HoursOfWorkAreALimit) {
  profile.allow.switch_model = false;
  profile.model = knowledge.models[1].id;
  profile.engine = "vllm";
  std::set<std::string> last;
  for (const double hours : {1e-6, 0.1, 1.0, 10.0, 1e4}) {
    profile.budget.hours_to_compress = hours;
    const auto said = answer();
    std::set<std::string> now;
    for (const auto& option : said.options) now.insert(option.variant.id());
    for (const auto& group : said.dominated) now.insert(group.variants.begin(), group.variants.end());
    EXPECT_TRUE(std::includes(now.begin(), now.end(), last.begin(), last.end())) << hours;
    last = now;
  }
  EXPECT_FALSE(last.empty());
  profile.budget.hours_to_compress = 1e-6;
  EXPECT_THAT(answer().rejections, Contains(Field(&Rejection::code, "budget")));
}

TEST_F(Decide, OrderOfNothingMatters) {
  const auto expected = to_json(answer());
  std::mt19937 random(11);
  for (int i = 0; i < 2; ++i) {
    std::shuffle(knowledge.published.begin(), knowledge.published.end(), random);
    std::shuffle(knowledge.quality.begin(), knowledge.quality.end(), random);
    std::shuffle(knowledge.models.begin(), knowledge.models.end(), random);
    std::shuffle(knowledge.rules.begin(), knowledge.rules.end(), random);
    std::shuffle(knowledge.speed.begin(), knowledge.speed.end(), random);
    std::shuffle(knowledge.techniques.begin(), knowledge.techniques.end(), random);
    EXPECT_EQ(to_json(answer()), expected);
  }
}

TEST_F(Decide, OneToolboxServesManyThreads) {
  const Toolbox tools(knowledge);
  std::vector<std::string> answers(4);
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < answers.size(); ++i)
      threads.emplace_back([&, i] { answers[i] = to_json(recommend(profile, hardware, tools)); });
  }
  for (const auto& one : answers) EXPECT_EQ(one, answers.front());
  EXPECT_EQ(answers.front(), to_json(answer()));
}

}  // namespace
}  // namespace advisor
