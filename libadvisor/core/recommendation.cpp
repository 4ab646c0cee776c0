#include "core/recommendation.h"

namespace advisor {

std::string_view name(Outcome outcome) {
  switch (outcome) {
    case Outcome::recommended: return "recommended";
    case Outcome::infeasible: return "infeasible";
    case Outcome::insufficient_evidence: return "insufficient_evidence";
  }
  return "insufficient_evidence";
}

std::string_view name(Verdict verdict) {
  switch (verdict) {
    case Verdict::keep: return "keep";
    case Verdict::compress: return "compress";
    case Verdict::switch_model: return "switch";
    case Verdict::compress_and_switch: return "compress_and_switch";
    case Verdict::portfolio: return "portfolio";
  }
  return "keep";
}

std::string_view name(Judgement judgement) {
  switch (judgement) {
    case Judgement::option: return "option";
    case Judgement::dominated: return "dominated";
    case Judgement::rejected: return "rejected";
    case Judgement::undecided: return "undecided";
  }
  return "undecided";
}

}  // namespace advisor
