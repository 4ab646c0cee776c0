// A page of words, tables and commands before it is known where it is shown. Pages are made by the other files of this
// folder; terminals get text, files and notebooks get Markdown. Knows values only: nothing here decides anything.
#pragma once

#include <string>
#include <vector>

namespace advisor {

struct Block {
  enum class Kind {
    heading,
    paragraph,
    pairs,  ///< rows of {label, text}
    table,  ///< the first row is the header
    list,   ///< rows of one text
    code    ///< commands and files, kept as they are
  };
  Kind kind = Kind::paragraph;
  std::string text{};
  std::vector<std::vector<std::string>> rows{};
};

using Page = std::vector<Block>;

/// UTF-8 in lines of at most about 110 characters, no final newline.
std::string as_text(const Page& page);
/// GitHub-flavoured Markdown, no final newline.
std::string as_markdown(const Page& page);

}  // namespace advisor
