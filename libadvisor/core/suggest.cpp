#include "core/suggest.h"

#include <algorithm>
#include <numeric>

namespace advisor {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

/// Edits that turn a into b: insert, delete, replace, swap two neighbours (optimal string alignment), in three rows.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  std::iota(previous.begin(), previous.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitute = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, substitute});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) current[j] = std::min(current[j], before[j - 2] + 1);
    }
    std::swap(before, previous);
    std::swap(previous, current);
  }
  return previous[b.size()];
}

// A longer text is not a name; comparing it would only cost time.
constexpr std::size_t longest_name = 200;

}  // namespace

std::vector<std::string> nearest(std::string_view unknown, std::span<const std::string> candidates, std::size_t limit) {
  const std::string wanted = lower(unknown);
  if (wanted.empty() || wanted.size() > longest_name) return {};
  struct Match {
    std::size_t cost;
    std::string name;
    auto operator<=>(const Match&) const = default;
  };
  std::vector<Match> matches;
  for (const std::string& candidate : candidates) {
    const std::string known = lower(candidate);
    if (known.size() > longest_name) continue;
    const std::size_t edits = distance(wanted, known);
    // a third of the name may be wrong; a contained name ("llama-3.1-8b" without its organisation) is always near,
    // behind true typing errors
    const bool contained = wanted.size() >= 3 && (known.find(wanted) != std::string::npos ||
                                                  (known.size() >= 3 && wanted.find(known) != std::string::npos));
    if (edits <= std::max<std::size_t>(1, wanted.size() / 3)) {
      matches.push_back({edits, candidate});
    } else if (contained) {
      matches.push_back({wanted.size() / 3 + edits, candidate});
    }
  }
  std::sort(matches.begin(), matches.end());
  std::vector<std::string> names;
  for (const Match& match : matches) {
    if (names.size() == limit) break;
    if (std::find(names.begin(), names.end(), match.name) == names.end()) names.push_back(match.name);
  }
  return names;
}

std::string did_you_mean(std::string_view unknown, std::span<const std::string> candidates) {
  const std::vector<std::string> names = nearest(unknown, candidates);
  if (names.empty()) return "";
  std::string text = "; did you mean ";
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += "\"" + names[i] + "\"";
  }
  return text + "?";
}

std::string join(std::span<const std::string> items, std::string_view separator) {
  std::string text;
  for (const std::string& item : items) {
    if (!text.empty()) text += separator;
    text += item;
  }
  return text;
}

}  // namespace advisor
