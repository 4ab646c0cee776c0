// Files that appear whole or not at all: written beside their place, flushed to the disk, then renamed.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace advisor {

/// Replaces what is there. Throws io_error.
void save_file(const std::filesystem::path& path, const std::string& text);

/// A new folder of files. Throws invalid_argument when `folder` exists and `overwrite` is not set, io_error.
void save_folder(const std::filesystem::path& folder, const std::map<std::string, std::string>& files,
                 bool overwrite = false);

}  // namespace advisor
