// Any bytes as a folder whose quant_method is "modelopt": opening fails with advisor::Error or gives weights whose rows
// can be read or refused.
#include "model_folder.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return advisor::fuzz::read_as("modelopt", data, size);
}
