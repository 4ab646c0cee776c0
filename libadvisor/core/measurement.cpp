#include "core/measurement.h"

namespace advisor {

std::string_view name(Basis basis) {
  switch (basis) {
    case Basis::measured: return "measured";
    case Basis::transferred: return "transferred";
    case Basis::modelled: return "modelled";
    case Basis::prior: return "prior";
  }
  return "prior";
}

}  // namespace advisor
