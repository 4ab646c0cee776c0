#include "lm/attention.h"

#include <algorithm>
#include <cmath>

#include "tensor/linalg.h"

namespace advisor {
namespace {

/// Rows of queries whose scores are held at once: bounds scratch memory, not the result's meaning.
constexpr std::int64_t block_rows = 64;

/// Columns that a row sees: [begin, head) of the prefix and [tail, end) of its branch.
struct Span {
  std::int64_t begin, head, tail, end;
};

Span seen_by(const Rows& rows, std::int64_t row, std::int64_t window) {
  std::int64_t position = rows.position[static_cast<std::size_t>(row)];
  std::int64_t first = window > 0 ? std::max<std::int64_t>(position - window + 1, 0) : 0;
  if (row < rows.prefix) {
    return {first, row + 1, row + 1, row + 1};
  }
  std::int64_t branch = rows.branch[static_cast<std::size_t>(row)];
  return {std::min(first, rows.prefix), rows.prefix, branch + std::max<std::int64_t>(first - rows.prefix, 0), row + 1};
}

/// Softmax over what is seen of a row of `width` scores; everything else becomes 0.
void masked_softmax(float* row, Span seen, std::int64_t width) {
  float max = row[seen.end - 1];
  for (std::int64_t i = seen.begin; i < seen.head; ++i) {
    max = std::max(max, row[i]);
  }
  for (std::int64_t i = seen.tail; i < seen.end; ++i) {
    max = std::max(max, row[i]);
  }
  double sum = 0;
  auto raise = [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) {
      row[i] = std::exp(row[i] - max);
      sum += static_cast<double>(row[i]);
    }
  };
  raise(seen.begin, seen.head);
  raise(seen.tail, seen.end);
  auto scale = static_cast<float>(1.0 / sum);
  std::fill(row, row + seen.begin, 0.0F);
  for (std::int64_t i = seen.begin; i < seen.end; ++i) {
    row[i] *= scale;
  }
  std::fill(row + seen.head, row + seen.tail, 0.0F);
  std::fill(row + seen.end, row + width, 0.0F);
}

void cap_scores(float* scores, std::int64_t count, double cap) {
  auto c = static_cast<float>(cap);
  for (std::int64_t i = 0; i < count; ++i) {
    scores[i] = c * std::tanh(scores[i] / c);
  }
}

/// One head, a block of rows at a time.
void attend_head(const ModelConfig& config, std::int64_t window, const Rows& rows, const Tensor& qkv, std::int64_t head,
                 std::vector<float>& scores, Tensor& out) {
  std::int64_t dim = config.head_dim, stride = qkv.cols();
  std::int64_t kv_head = head / (config.heads / config.kv_heads);
  const float* query = qkv.data() + head * dim;
  const float* key = qkv.data() + (config.heads + kv_head) * dim;
  const float* value = key + config.kv_heads * dim;
  auto scale = static_cast<float>(config.attention_scale > 0 ? config.attention_scale
                                                             : 1.0 / std::sqrt(static_cast<double>(dim)));
  for (std::int64_t begin = 0; begin < rows.count(); begin += block_rows) {
    std::int64_t end = std::min(begin + block_rows, rows.count()), first = begin;
    for (std::int64_t r = begin; r < end; ++r) {
      Span seen = seen_by(rows, r, window);
      first = std::min(first, seen.begin < seen.head ? seen.begin : seen.tail);
    }
    std::int64_t width = end - first;
    linalg::gemm_nt(end - begin, width, dim, scale, query + begin * stride, stride, key + first * stride, stride, 0,
                    scores.data(), width);
    if (config.attention_cap > 0) {
      cap_scores(scores.data(), (end - begin) * width, config.attention_cap);
    }
    for (std::int64_t r = begin; r < end; ++r) {
      Span seen = seen_by(rows, r, window);
      Span shifted{std::max(seen.begin - first, std::int64_t{0}), std::max(seen.head - first, std::int64_t{0}),
                   seen.tail - first, seen.end - first};
      masked_softmax(scores.data() + (r - begin) * width, shifted, width);
    }
    linalg::gemm(end - begin, dim, width, 1, scores.data(), width, value + first * stride, stride, 0,
                 out.data() + begin * out.cols() + head * dim, out.cols());
  }
}

}  // namespace

void attend(const ModelConfig& config, std::int64_t layer, const Rows& rows, const Tensor& qkv, Tensor& out) {
  std::vector<float> scores(static_cast<std::size_t>(std::min(block_rows, rows.count()) * rows.count()));
  for (std::int64_t head = 0; head < config.heads; ++head) {
    attend_head(config, config.window(layer), rows, qkv, head, scores, out);
  }
}

}  // namespace advisor
