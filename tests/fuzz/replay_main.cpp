// Stands in for libFuzzer in ordinary builds: runs the fuzz entry on every file of a corpus, on its truncations and on
// a fixed number of mutations drawn from a fixed seed. Same corpus, same cases. On a crash the input is saved.
//
//   x_fuzz CORPUS_FOLDER [MUTATIONS]     x_fuzz FILE     (one input, as libFuzzer does)
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;

const Bytes* current = nullptr;  // what to save when the entry crashes

extern "C" void save_and_die(int signal) {
  const int file = ::open("crash-input", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file >= 0 && current != nullptr) {
    const char message[] = "crashed; the input is in ./crash-input\n";
    if (::write(file, current->data(), current->size()) >= 0) (void)!::write(2, message, sizeof message - 1);
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(const Bytes& input) {
  current = &input;
  LLVMFuzzerTestOneInput(input.data(), input.size());
  current = nullptr;
}

Bytes read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

// Sizes, offsets and counts are where parsers break, so whole integers at the edges of their range are written too.
constexpr std::array<std::uint64_t, 9> kIntegers = {
    0, 1, 0x7f, 0xff, 0x7fffffff, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0xffffffffffffffff};

Bytes mutate(const Bytes& seed, const Bytes& other, std::mt19937_64& random) {
  Bytes out = seed;
  const auto below = [&](std::size_t n) { return n == 0 ? 0 : static_cast<std::size_t>(random() % n); };
  for (std::size_t steps = 1 + below(4); steps > 0; --steps) {
    const std::size_t at = below(out.size() + 1);
    const auto here = out.begin() + static_cast<std::ptrdiff_t>(at);
    const std::size_t span = std::min(out.size() - at, 1 + below(16));
    switch (below(7)) {
      case 0:
        if (at < out.size()) out[at] = static_cast<std::uint8_t>(out[at] ^ (1U << below(8)));
        break;
      case 1:
        if (at < out.size()) out[at] = static_cast<std::uint8_t>(random());
        break;
      case 2: out.erase(here, here + static_cast<std::ptrdiff_t>(span)); break;
      case 3: {  // repeat a stretch: duplicate keys, deeper nesting
        const Bytes copy(here, here + static_cast<std::ptrdiff_t>(span));
        for (std::size_t n = 1 + below(8); n > 0; --n) {
          out.insert(out.begin() + static_cast<std::ptrdiff_t>(at), copy.begin(), copy.end());
        }
        break;
      }
      case 4: {  // little-endian integer, as binary headers store it
        std::uint64_t value = kIntegers[below(kIntegers.size())] + below(3) - 1;
        for (std::size_t i = at; i < std::min(out.size(), at + 8); ++i, value >>= 8) {
          out[i] = static_cast<std::uint8_t>(value);
        }
        break;
      }
      case 5: {  // the same as digits, as text headers store it
        const std::string digits = std::to_string(kIntegers[below(kIntegers.size())]);
        out.insert(here, digits.begin(), digits.end());
        break;
      }
      default:  // splice with another input
        out.resize(at);
        out.insert(out.end(), other.begin() + static_cast<std::ptrdiff_t>(std::min(at, other.size())), other.end());
    }
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s CORPUS_FOLDER [MUTATIONS] | FILE\n", argv[0]);
    return 2;
  }
  for (const int signal : {SIGABRT, SIGSEGV, SIGFPE, SIGBUS, SIGILL}) std::signal(signal, save_and_die);
  const std::filesystem::path path = argv[1];
  if (std::filesystem::is_regular_file(path)) {
    run(read(path));
    return 0;
  }
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(path)) {
    for (const auto& entry : std::filesystem::directory_iterator(path)) files.push_back(entry.path());
  }
  if (files.empty()) {
    std::fprintf(stderr, "%s: no corpus there\n", argv[1]);
    return 2;
  }
  std::sort(files.begin(), files.end());  // directory order differs between machines
  std::vector<Bytes> seeds;
  for (const auto& file : files) seeds.push_back(read(file));

  std::size_t cases = 0;
  run({});
  for (const Bytes& seed : seeds) {
    run(seed);
    constexpr std::size_t kCuts = 64;
    for (std::size_t cut = 0; cut < kCuts; ++cut, ++cases) {
      run(Bytes(seed.begin(), seed.begin() + static_cast<std::ptrdiff_t>(seed.size() * cut / kCuts)));
    }
  }
  std::mt19937_64 random(20260101);
  const std::size_t mutations = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1000;
  for (std::size_t i = 0; i < mutations; ++i, ++cases) {
    run(mutate(seeds[i % seeds.size()], seeds[random() % seeds.size()], random));
  }
  std::printf("%zu seeds, %zu further cases\n", seeds.size(), cases);
  return 0;
}
