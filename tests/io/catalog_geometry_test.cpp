// The shipped catalog against itself: parameters counted from the geometry agree with the stated size.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

#include "estimate/layout.h"
#include "io/database.h"

namespace advisor {
namespace {

std::vector<Model> shipped_models() {
  return load_knowledge(std::filesystem::path(ADVISOR_BINARY_DIR) / "share/advisor/advisor.db").models;
}

bool is_text_only(const Model& m) {
  return std::all_of(m.modalities_in.begin(), m.modalities_in.end(), [](const auto& kind) { return kind == "text"; });
}

TEST(CatalogGeometry, CountsAgreeWithStatedSizes) {
  std::vector<double> deviations;
  for (const Model& m : shipped_models()) {
    const auto layout = layout_from_geometry(m);
    if (!layout || !m.params || !is_text_only(m)) continue;
    const double deviation = std::abs(layout->elements() / *m.params - 1);
    deviations.push_back(deviation);
    // Stated sizes are rounded, "7B" of 7.24 and "8B" of 7.6 at the worst.
    EXPECT_LT(deviation, 0.05) << m.id << ": " << layout->elements() << " counted, " << *m.params << " stated";
  }
  ASSERT_GT(deviations.size(), 250u);
  std::sort(deviations.begin(), deviations.end());
  EXPECT_LT(deviations[deviations.size() / 2], 0.001);
  EXPECT_LT(deviations[deviations.size() * 8 / 10], 0.01);
}

TEST(CatalogGeometry, EveryModelOfAKnownSizeHasALayout) {
  for (const Model& m : shipped_models()) {
    const auto layout = layout_of(m);
    EXPECT_EQ(layout.has_value(), m.params.has_value() || layout_from_geometry(m).has_value()) << m.id;
    if (layout && m.params) {
      EXPECT_NEAR(layout->elements() / *m.params, 1, 0.1) << m.id;
    }
  }
}

}  // namespace
}  // namespace advisor
