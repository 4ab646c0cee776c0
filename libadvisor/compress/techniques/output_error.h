// What an error of the weights does to the output of a layer: E[ ||(W - W') x||^2 ] = tr(E G E^T), E = W - W'.
#pragma once

#include <span>

#include "compress/stats.h"
#include "tensor/quantized.h"

namespace advisor {

/// tr(E G E^T) of rows E [n, in] with a symmetric Gram matrix; o i^2 flop. Products in float32, sums in double in an
/// order that does not depend on the number of threads.
double gram_trace(std::span<const float> errors, const Tensor& gram, int threads);

/// tr(E G E^T) / tr(W G W^T), E = W - W': the part of the output's energy that quantization gets wrong; 0 when the
/// output is 0. Both arguments are [n, in].
double relative_output_error(std::span<const float> weights, const QuantizedTensor& quantized, const Tensor& gram,
                             int threads);

}  // namespace advisor
