#include "checkpoint/gguf.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <type_traits>
#include <unordered_set>

#include "core/error.h"

namespace advisor::gguf {
namespace {

constexpr std::uint32_t magic = 0x46554747;  // "GGUF" read as a little-endian word
constexpr std::uint32_t version = 3;
constexpr std::uint32_t max_dimensions = 4;          // GGML_MAX_DIMS
constexpr std::int64_t max_name = 63;                // GGML_MAX_NAME less its NUL
constexpr std::int64_t max_key = 65535;              // of the GGUF specification
constexpr std::int64_t max_header = 128 << 20;       // ours: the largest vocabularies need some 20 MB
constexpr std::int64_t max_alignment = 1024 * 1024;  // of no specification: beyond it a file is mostly padding

/// Sequential reader of the header. Every length is compared with what is left of the file before memory is taken.
class Cursor {
 public:
  Cursor(const ReadAt& read, std::int64_t size, const std::string& where)
      : read_(read), size_(std::min(size, max_header)), where_(where) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::parse_error, where_ + ": " + what + " (at byte " + std::to_string(offset_) +
                                            "); the file is damaged or not GGUF, fetch or convert it again");
  }
  std::int64_t offset() const { return offset_; }
  std::int64_t left() const { return size_ - offset_; }

  template <typename T>
  T number(const char* what) {
    T value;
    bytes({reinterpret_cast<std::byte*>(&value), sizeof value}, what);
    return value;
  }

  std::string text(std::int64_t longest, const char* what) {
    const std::uint64_t length = number<std::uint64_t>(what);
    if (length > static_cast<std::uint64_t>(std::min(longest, left()))) {
      fail(std::string("the length of ") + what + " is " + std::to_string(length));
    }
    std::string value(length, '\0');
    bytes({reinterpret_cast<std::byte*>(value.data()), value.size()}, what);
    return value;
  }

  /// A count of things of which each takes at least `least` bytes.
  std::size_t count(std::int64_t least, const char* what) {
    const std::uint64_t n = number<std::uint64_t>(what);
    if (n > static_cast<std::uint64_t>(left() / least)) {
      fail(std::string("the number of ") + what + " is " + std::to_string(n) + ", more than the file can hold");
    }
    return n;
  }

 private:
  void bytes(std::span<std::byte> out, const char* what) {
    if (static_cast<std::int64_t>(out.size()) > left()) fail(std::string("the file ends inside ") + what);
    while (!out.empty()) {
      if (used_ == buffer_.size()) refill();
      const std::size_t n = std::min(out.size(), buffer_.size() - used_);
      std::memcpy(out.data(), buffer_.data() + used_, n);
      out = out.subspan(n);
      used_ += n;
      offset_ += static_cast<std::int64_t>(n);
    }
  }

  void refill() {
    buffer_.resize(static_cast<std::size_t>(std::min<std::int64_t>(left(), 1 << 16)));
    read_(offset_, buffer_);
    used_ = 0;
  }

  const ReadAt& read_;
  std::int64_t size_, offset_ = 0;
  const std::string& where_;
  std::vector<std::byte> buffer_;
  std::size_t used_ = 0;
};

std::int64_t width(ValueType type) {
  switch (type) {
    case ValueType::u8:
    case ValueType::i8:
    case ValueType::boolean: return 1;
    case ValueType::u16:
    case ValueType::i16: return 2;
    case ValueType::u32:
    case ValueType::i32:
    case ValueType::f32: return 4;
    case ValueType::u64:
    case ValueType::i64:
    case ValueType::f64:
    case ValueType::string: return 8;  // the length of an empty one
    case ValueType::array: break;
  }
  return 0;
}

std::int64_t read_integer(Cursor& in, ValueType type) {
  switch (type) {
    case ValueType::u8: return in.number<std::uint8_t>("a value");
    case ValueType::i8: return in.number<std::int8_t>("a value");
    case ValueType::u16: return in.number<std::uint16_t>("a value");
    case ValueType::i16: return in.number<std::int16_t>("a value");
    case ValueType::u32: return in.number<std::uint32_t>("a value");
    case ValueType::i32: return in.number<std::int32_t>("a value");
    case ValueType::boolean: {
      const auto value = in.number<std::uint8_t>("a value");
      if (value > 1) in.fail("a boolean is " + std::to_string(value));
      return value;
    }
    default: return in.number<std::int64_t>("a value");
  }
}

double read_real(Cursor& in, ValueType type) {
  return type == ValueType::f32 ? static_cast<double>(in.number<float>("a value")) : in.number<double>("a value");
}

bool is_real(ValueType type) { return type == ValueType::f32 || type == ValueType::f64; }

ValueType read_type(Cursor& in) {
  const auto type = in.number<std::uint32_t>("a value type");
  if (type > static_cast<std::uint32_t>(ValueType::f64)) in.fail("unknown value type " + std::to_string(type));
  return static_cast<ValueType>(type);
}

Value read_array(Cursor& in) {
  const ValueType type = read_type(in);
  if (type == ValueType::array) in.fail("an array of arrays");
  const std::size_t n = in.count(width(type), "array elements");
  const auto each = [n](auto read) {
    std::vector<decltype(read())> values;
    values.reserve(n);
    for (std::size_t i = 0; i < n; ++i) values.push_back(read());
    return values;
  };
  if (type == ValueType::string) return {type, each([&] { return in.text(in.left(), "a string"); })};
  if (is_real(type)) return {type, each([&] { return read_real(in, type); })};
  return {type, each([&] { return read_integer(in, type); })};
}

Value read_value(Cursor& in) {
  const ValueType type = read_type(in);
  if (type == ValueType::array) return read_array(in);
  if (type == ValueType::string) return {type, in.text(in.left(), "a string")};
  if (is_real(type)) return {type, read_real(in, type)};
  return {type, read_integer(in, type)};
}

Metadata read_metadata(Cursor& in, std::size_t n) {
  Metadata metadata;
  std::unordered_set<std::string> seen;
  for (std::size_t i = 0; i < n; ++i) {
    std::string key = in.text(max_key, "a metadata key");
    if (!seen.insert(key).second) in.fail("the metadata key '" + key + "' appears twice");
    Value value = read_value(in);
    metadata.emplace_back(std::move(key), std::move(value));
  }
  return metadata;
}

/// Sets shape and bytes, refusing what overflows and rows that are no whole blocks.
void check_shape(const Cursor& in, TensorEntry& entry) {
  const kernels::BlockLayout& layout = kernels::layout_of(entry.type);
  if (entry.shape.empty()) in.fail("tensor '" + entry.name + "' has no dimensions");
  std::int64_t elements = 1;
  for (const std::int64_t dimension : entry.shape) {
    if (dimension < 0 || __builtin_mul_overflow(elements, dimension, &elements)) {
      in.fail("tensor '" + entry.name + "' has an impossible shape");
    }
  }
  if (entry.shape.back() % layout.elements != 0) {
    in.fail("tensor '" + entry.name + "' is " + std::string(layout.name) + " with rows of " +
            std::to_string(entry.shape.back()) + ", no multiple of " + std::to_string(layout.elements));
  }
  if (__builtin_mul_overflow(elements / layout.elements, layout.bytes, &entry.bytes)) {
    in.fail("tensor '" + entry.name + "' has an impossible size");
  }
}

TensorEntry read_tensor(Cursor& in, const std::string& where) {
  TensorEntry entry;
  entry.name = in.text(max_name, "a tensor name");
  const auto dimensions = in.number<std::uint32_t>("a tensor");
  if (dimensions > max_dimensions) {
    in.fail("tensor '" + entry.name + "' has " + std::to_string(dimensions) + " dimensions");
  }
  for (std::uint32_t d = 0; d < dimensions; ++d) entry.shape.push_back(in.number<std::int64_t>("a tensor"));
  std::reverse(entry.shape.begin(), entry.shape.end());
  const auto type = in.number<std::uint32_t>("a tensor");
  const auto known = kernels::block_type(type);
  if (!known) {
    throw Error(ErrorCode::unsupported, where + ": tensor '" + entry.name + "' has ggml type " + std::to_string(type) +
                                            ", which this build cannot decode; take a file of another quantization");
  }
  entry.type = *known;
  const auto offset = in.number<std::uint64_t>("a tensor");
  if (offset > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / 2)) {
    in.fail("tensor '" + entry.name + "' starts beyond any file");
  }
  entry.offset = static_cast<std::int64_t>(offset);
  check_shape(in, entry);
  return entry;
}

std::int64_t padded(std::int64_t bytes, std::int64_t to) { return (bytes + to - 1) / to * to; }

std::int64_t read_alignment(const Header& header, const Cursor& in) {
  const Value* value = header.find("general.alignment");
  if (value == nullptr) return alignment;
  const auto* number = std::get_if<std::int64_t>(&value->data);
  if (number == nullptr || *number < 8 || *number > max_alignment || *number % 8 != 0) {
    in.fail("general.alignment must be a multiple of 8 up to " + std::to_string(max_alignment));
  }
  return *number;
}

/// Turns offsets into places in the file; refuses misaligned, overlapping and cut-off data.
void place_tensors(Header& header, std::int64_t align, const Cursor& in, std::int64_t file_size) {
  auto& tensors = header.tensors;
  std::stable_sort(tensors.begin(), tensors.end(),
                   [](const TensorEntry& a, const TensorEntry& b) { return a.offset < b.offset; });
  const std::int64_t data_size = std::max<std::int64_t>(0, file_size - header.data_begin);
  std::int64_t end = 0;
  const TensorEntry* previous = nullptr;
  for (TensorEntry& tensor : tensors) {
    if (tensor.offset % align != 0) in.fail("tensor '" + tensor.name + "' is not aligned");
    if (tensor.offset < end) in.fail("tensors '" + previous->name + "' and '" + tensor.name + "' overlap");
    if (tensor.offset > data_size || tensor.bytes > data_size - tensor.offset) {
      in.fail("tensor '" + tensor.name + "' ends beyond the end of the file");
    }
    end = tensor.offset + tensor.bytes;
    previous = &tensor;
  }
  for (TensorEntry& tensor : tensors) tensor.offset += header.data_begin;
}

// --- writing -----------------------------------------------------------------------------------------------------

class Buffer {
 public:
  template <typename T>
  void number(T value) {
    const auto* from = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), from, from + sizeof value);
  }
  void text(std::string_view value) {
    number(static_cast<std::uint64_t>(value.size()));
    const auto* from = reinterpret_cast<const std::byte*>(value.data());
    bytes_.insert(bytes_.end(), from, from + value.size());
  }
  void scalar(ValueType type, std::int64_t value) {
    const auto* from = reinterpret_cast<const std::byte*>(&value);  // two's complement: the low bytes are the value
    bytes_.insert(bytes_.end(), from, from + width(type));
  }
  void scalar(ValueType type, double value) {
    type == ValueType::f32 ? number(static_cast<float>(value)) : number(value);
  }
  void scalar(ValueType, const std::string& value) { text(value); }

  void value(const Value& v) {
    std::visit(
        [&](const auto& data) {
          if constexpr (std::is_same_v<std::decay_t<decltype(data)>, std::string> ||
                        std::is_arithmetic_v<std::decay_t<decltype(data)>>) {
            number(static_cast<std::uint32_t>(v.type));
            scalar(v.type, data);
          } else {
            number(static_cast<std::uint32_t>(ValueType::array));
            number(static_cast<std::uint32_t>(v.type));
            number(static_cast<std::uint64_t>(data.size()));
            for (const auto& element : data) scalar(v.type, element);
          }
        },
        v.data);
  }
  void pad(std::int64_t to) {
    bytes_.resize(static_cast<std::size_t>(padded(static_cast<std::int64_t>(bytes_.size()), to)));
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace

const Value* Header::find(std::string_view key) const {
  const auto at =
      std::find_if(metadata.begin(), metadata.end(), [key](const auto& entry) { return entry.first == key; });
  return at == metadata.end() ? nullptr : &at->second;
}

Header parse_header(const ReadAt& read, std::int64_t file_size, const std::string& where) {
  Cursor in(read, file_size, where);
  if (in.number<std::uint32_t>("the magic number") != magic) in.fail("it does not begin with 'GGUF'");
  if (const auto v = in.number<std::uint32_t>("the version"); v != version) {
    throw Error(ErrorCode::unsupported,
                where + ": GGUF version " + std::to_string(v) + "; only version 3 is read, convert the file again");
  }
  const std::size_t tensor_count = in.count(8 + 4 + 4 + 8, "tensors");
  const std::size_t value_count = in.count(8 + 4 + 1, "metadata values");
  Header header;
  header.metadata = read_metadata(in, value_count);
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < tensor_count; ++i) header.tensors.push_back(read_tensor(in, where));
  for (const TensorEntry& tensor : header.tensors) {
    if (!names.insert(tensor.name).second) in.fail("tensor '" + tensor.name + "' appears twice");
  }
  const std::int64_t align = read_alignment(header, in);
  header.data_begin = padded(in.offset(), align);
  place_tensors(header, align, in, file_size);
  return header;
}

std::vector<std::byte> write_header(const Metadata& metadata, std::span<const TensorEntry> tensors) {
  Buffer out;
  out.number(magic);
  out.number(version);
  out.number(static_cast<std::uint64_t>(tensors.size()));
  out.number(static_cast<std::uint64_t>(metadata.size()));
  for (const auto& [key, value] : metadata) {
    out.text(key);
    out.value(value);
  }
  for (const TensorEntry& tensor : tensors) {
    out.text(tensor.name);
    out.number(static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto d = tensor.shape.rbegin(); d != tensor.shape.rend(); ++d) out.number(*d);
    out.number(static_cast<std::uint32_t>(tensor.type));
    out.number(tensor.offset);
  }
  out.pad(alignment);
  return out.take();
}

}  // namespace advisor::gguf
