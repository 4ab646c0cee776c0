// What a program that links advisor_light (facade_light.cpp) has to know: where the compression side would be needed,
// its facade throws this.
#pragma once

namespace advisor {

/// Not an Error: nothing is wrong with the question, another program has to answer it. Thrown before anything is
/// printed or written.
struct NeedsCompressionSide {};

}  // namespace advisor
