// "Why not X?": variants that a profile asks about by name (Profile::consider). They are judged beside those that are
// looked at by default, and the answer says what became of each. Without any nothing is done, and nothing is paid.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/recommendation.h"
#include "recommend/decide.h"

namespace advisor {

class CellJudge;

/// Techniques that train: only a published checkpoint has been through them.
bool is_retrained(std::string_view technique);

/// One entry of Profile::consider with everything filled in.
struct Asked {
  std::string text;       ///< as it was asked, in short
  Variant variant;        ///< complete
  int treatment = -1;     ///< into the treatments of Considering::tools(); -1: `refused`
  int same_as = -1;       ///< the treatment under which the decision may already have looked at it
  std::string refused{};  ///< why it makes no sense for this model, whatever the question
};

class Considering {
 public:
  /// Completes and checks what is asked about. `tools` must outlive it. Throws, with the place in the profile and
  /// suggestions, not_found for unknown models and techniques and invalid_argument for what says too little.
  Considering(const Toolbox& tools, const Profile& profile, const Hardware& hardware, const Model* checkpoint_model);

  /// What decides: those given, or with the variants asked about beside them.
  const Toolbox& tools() const { return own_ ? *own_ : general_; }
  const std::vector<Asked>& asked() const { return asked_; }

 private:
  const Toolbox& general_;
  std::vector<Asked> asked_;
  std::unique_ptr<const Toolbox> own_;
};

/// What became of each. `decision` was made with considering.tools() and came to `options`, its front in words.
std::vector<Answered> answers(const Considering& considering, const Question& question, CellJudge& judge,
                              const Decision& decision, const std::vector<Option>& options);

/// The cell of what was asked about; nullptr: it was refused.
const Cell* cell_of(const Considering& considering, const Asked& asked, const Question& question,
                    const Decision& decision);

}  // namespace advisor
