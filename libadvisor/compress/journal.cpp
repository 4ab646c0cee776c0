#include "compress/journal.h"

#include <fcntl.h>
#include <nettle/sha2.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "compress/outputs.h"
#include "core/error.h"
#include "core/version.h"

namespace advisor {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* schema = "advisor.journal/1";

[[noreturn]] void fail(const std::string& what, const fs::path& path, int error) {
  throw Error(ErrorCode::io_error, what + " " + path.string() + ": " + std::generic_category().message(error));
}

/// SHA-256 of texts and numbers, each behind its length.
class Digest {
 public:
  Digest() { sha256_init(&state_); }
  Digest& operator<<(const std::string& text) {
    *this << static_cast<std::int64_t>(text.size());
    sha256_update(&state_, text.size(), reinterpret_cast<const std::uint8_t*>(text.data()));
    return *this;
  }
  Digest& operator<<(std::int64_t number) {
    std::array<std::uint8_t, 8> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(number) >> (8 * i));
    sha256_update(&state_, bytes.size(), bytes.data());
    return *this;
  }
  std::string hex() {
    std::array<std::uint8_t, SHA256_DIGEST_SIZE> digest{};
    sha256_digest(&state_, digest.size(), digest.data());
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const std::uint8_t byte : digest) (text += digits[byte >> 4]) += digits[byte & 15];
    return text;
  }

 private:
  sha256_ctx state_{};
};

/// Names, sizes and times of change of the files of a model: reading all of it would take as long as the job.
std::string digest_of_files(const fs::path& model) {
  std::vector<fs::path> files;
  if (fs::is_directory(model)) {
    for (const auto& entry : fs::directory_iterator(model))
      if (entry.is_regular_file()) files.push_back(entry.path());
  } else {
    files.push_back(model);
  }
  std::ranges::sort(files);
  Digest digest;
  for (const fs::path& file : files)
    digest << file.filename().string() << static_cast<std::int64_t>(fs::file_size(file))
           << static_cast<std::int64_t>(fs::last_write_time(file).time_since_epoch().count());
  return digest.hex();
}

std::string digest_of_outputs(const PreparedJob& job) {
  Digest digest;
  digest << std::string(job.imatrix ? imatrix_file_name : "");
  for (std::size_t i = 0; i < job.outputs.size(); ++i) {
    const OutputJob& output = job.outputs[i];
    digest << std::string(output.format->id) << output.plan.type << output.subfolder.string()
           << job.plan.outputs[i].bytes;
    for (const PlannedTensor& planned : output.plan.tensors) {
      digest << planned.source.name << (planned.scheme ? planned.scheme->id() : "");
      for (const std::int64_t side : planned.source.shape) digest << side;
    }
  }
  return digest.hex();
}

std::string hex(std::uint64_t value) {
  std::array<char, 16> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, 16).ptr;
  return {text.data(), end};
}

std::uint64_t from_hex(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) throw std::invalid_argument(text);
  return value;
}

/// Per output the fingerprint; where the distance was taken, error, norm and bound too, all as their bits.
Json to_json(const Finished& piece) {
  Json tensors = Json::object();
  for (const Finished::Piece& tensor : piece.tensors) {
    Json& list = tensors[tensor.tensor] = Json::array();
    for (const Expected& expected : tensor.expected) {
      Json& entry = list.emplace_back(Json::array({hex(expected.print)}));
      if (!expected.measured) continue;
      for (const double part : {expected.distance.error, expected.distance.norm, expected.distance.bound})
        entry.push_back(hex(std::bit_cast<std::uint64_t>(part)));
    }
  }
  return {
      {"tensors", tensors}, {"blocks", piece.blocks}, {"activations", hex(piece.activations)}, {"notes", piece.notes}};
}

Expected expected_of(const Json& entry) {
  Expected expected;
  expected.print = from_hex(entry.at(0).get<std::string>());
  expected.measured = entry.size() > 1;
  if (!expected.measured) return expected;
  const auto number = [&](std::size_t i) { return std::bit_cast<double>(from_hex(entry.at(i).get<std::string>())); };
  expected.distance = {number(1), number(2), number(3)};
  return expected;
}

void append(const Json& line, Finished& to) {
  for (const auto& [name, list] : line.at("tensors").items()) {
    Finished::Piece& tensor = to.tensors.emplace_back();
    tensor.tensor = name;
    for (const Json& entry : list) tensor.expected.push_back(expected_of(entry));
  }
  to.blocks = line.at("blocks").get<std::int64_t>();
  to.activations = from_hex(line.at("activations").get<std::string>());
  for (const Json& note : line.at("notes")) to.notes.push_back(note.get<std::string>());
}

struct Contents {
  Identity identity;
  Finished finished;
  std::int64_t bytes = 0;  ///< of whole lines: what follows was being written when the run ended
};

/// nullopt when there is no journal or not even its first line is whole.
std::optional<Contents> read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  Contents contents;
  bool first = true;
  for (std::string text; std::getline(file, text) && !file.eof(); first = false) {
    try {
      const Json line = Json::parse(text);
      if (first) {
        if (line.at("schema") != schema) return std::nullopt;
        contents.identity = line.at("identity").get<Identity>();
      } else {
        append(line, contents.finished);
      }
    } catch (const std::exception&) {  // a line that was not written whole: what it told is done again
      break;
    }
    contents.bytes += static_cast<std::int64_t>(text.size()) + 1;
  }
  return first ? std::nullopt : std::optional(std::move(contents));
}

/// Whether another process works on the folder of this journal.
bool is_locked(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail("cannot open", path, errno);
  const int error = ::flock(descriptor, LOCK_EX | LOCK_NB) != 0 ? errno : 0;
  ::close(descriptor);
  if (error != 0 && error != EWOULDBLOCK) fail("cannot lock", path, error);
  return error != 0;
}

std::string list(const std::vector<std::string>& parts, const char* separator) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : separator) + part;
  return text;
}

struct Run {
  fs::path folder;
  Contents contents;
  bool alive = false;  ///< a process works on it
};

/// All that was begun for `out` and not finished, by name.
std::vector<Run> runs_for(const fs::path& out) {
  const std::string prefix = out.filename().string() + ".partial-";
  std::vector<Run> runs;
  std::error_code error;
  for (fs::directory_iterator it(out.parent_path(), error), end; !error && it != end; it.increment(error)) {
    if (!it->path().filename().string().starts_with(prefix)) continue;
    const fs::path journal = it->path() / journal_file_name;
    if (auto contents = read(journal)) runs.push_back({it->path(), std::move(*contents), is_locked(journal)});
  }
  if (error) throw Error(ErrorCode::io_error, "cannot list " + out.parent_path().string() + ": " + error.message());
  std::ranges::sort(runs, {}, &Run::folder);
  return runs;
}

/// What differs between two identities, in words; empty when nothing does.
std::string difference(const Identity& then, const Identity& now) {
  std::vector<std::string> parts;
  for (const auto& [what, value] : now)
    if (const auto found = then.find(what); found == then.end() || found->second != value) parts.push_back(what);
  return list(parts, ", ");
}

}  // namespace

Identity identity_of(const CompressRequest& request, const PreparedJob& job) {
  Digest recipe, calibration, importance;
  recipe << recipe_to_yaml(request.recipe);
  for (const PreparedStep& step : job.steps.steps)
    for (const auto& [key, value] : step.params) recipe << key << value;
  for (const auto& sequence : job.calibration.sequences) {
    calibration << static_cast<std::int64_t>(sequence.size());
    for (const std::int32_t id : sequence) calibration << std::int64_t{id};
  }
  for (const auto& [tensor, values] : job.importance) {
    importance << tensor;
    for (const float value : values) importance << std::int64_t{std::bit_cast<std::int32_t>(value)};
  }
  return {{"the version of the program", std::string(version())},
          {"the files of the model", digest_of_files(request.model)},
          {"the recipe", recipe.hex()},
          {"the calibration", calibration.hex()},
          {"the importance of inputs", importance.hex()},
          {"the layout of the output", digest_of_outputs(job)}};
}

Journal::Journal(fs::path path, int flags) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | flags, 0666);
  if (descriptor_ < 0) fail("cannot open", path_, errno);
}

Journal::~Journal() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Journal::Journal(Journal&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      finished_(std::move(other.finished_)) {}

Journal Journal::create(const fs::path& folder, const Identity& identity) {
  Journal journal(folder / journal_file_name, O_CREAT | O_EXCL);
  // A file system without locks cannot tell later whether this run still lives; it can still hold the output.
  ::flock(journal.descriptor_, LOCK_EX | LOCK_NB);
  journal.write(Json{{"schema", schema}, {"identity", identity}}.dump());
  return journal;
}

Journal Journal::resume(const fs::path& folder) {
  Journal journal(folder / journal_file_name, 0);
  if (::flock(journal.descriptor_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) fail("cannot lock", journal.path_, errno);
    throw Error(ErrorCode::invalid_argument, "another process works on " + folder.string() + "; wait for its end");
  }
  auto contents = read(journal.path_);
  if (!contents) fail("cannot read", journal.path_, EIO);
  if (::ftruncate(journal.descriptor_, contents->bytes) != 0) fail("cannot write", journal.path_, errno);
  journal.finished_ = std::move(contents->finished);
  return journal;
}

void Journal::add(const Finished& piece) {
  const Json line = to_json(piece);
  write(line.dump(-1, ' ', false, Json::error_handler_t::replace));
  append(line, finished_);
}

void Journal::write(const std::string& line) const {
  const std::string text = line + "\n";
  for (std::span<const char> rest(text); !rest.empty();) {
    const ssize_t n = ::write(descriptor_, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("cannot write", path_, n < 0 ? errno : EIO);
    rest = rest.subspan(static_cast<std::size_t>(n));
  }
  if (::fdatasync(descriptor_) != 0) fail("cannot flush", path_, errno);
}

fs::path find_interrupted(const fs::path& out, const Identity& identity) {
  std::vector<std::string> fitting, others;
  for (const Run& run : runs_for(out)) {
    const std::string differs = difference(run.contents.identity, identity);
    if (!differs.empty()) {
      others.push_back(run.folder.string() + " is a run that differs in " + differs);
    } else if (run.alive) {
      others.push_back("another process still works on " + run.folder.string());
    } else {
      fitting.push_back(run.folder.string());
    }
  }
  if (fitting.size() == 1) return fitting.front();
  if (!fitting.empty())
    throw Error(ErrorCode::invalid_argument,
                "several interrupted runs could be resumed: " + list(fitting, ", ") + "; remove all but one of them");
  if (!others.empty())
    throw Error(ErrorCode::invalid_argument, "there is no run to resume: " + list(others, "; ") +
                                                 "; ask for exactly what was begun, or start anew without resuming");
  throw Error(ErrorCode::not_found, "there is no run to resume: no " + out.string() + ".partial-* with a " +
                                        journal_file_name + "; start anew without resuming");
}

std::vector<fs::path> interrupted_runs(const fs::path& out) {
  std::vector<fs::path> folders;
  for (const Run& run : runs_for(out))
    if (!run.alive) folders.push_back(run.folder);
  return folders;
}

}  // namespace advisor
