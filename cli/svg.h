// Small charts as SVG: axes with ticks and units, points, lines, bars. Written here because Debian 12 has no C++
// library that draws charts without a display, a GUI toolkit or a second program (gnuplot), and this needs three kinds
// of mark.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace advisor::cli {

struct Axis {
  std::string title;  ///< with the unit
  double low = 0, high = 1;
  bool logarithmic = false;  ///< low and high above 0
};

/// Marks outside the axes are drawn at the edge.
class Chart {
 public:
  Chart(std::string title, std::string subtitle, Axis x, Axis y);
  void points(const std::vector<std::pair<double, double>>& at, const std::string& colour, double radius = 2,
              double opacity = 0.35);
  void line(const std::vector<std::pair<double, double>>& through, const std::string& colour, bool dashed = false);
  void bar(double from, double to, double height, const std::string& colour);
  /// Colour and text, below the subtitle.
  void legend(const std::string& colour, const std::string& text);

  static constexpr double width = 560, height = 520;
  /// Its elements, moved `right` user units; for several charts in one file.
  std::string group(double right = 0) const;

 private:
  double place_x(double x) const;
  double place_y(double y) const;
  std::string axes() const;

  std::string title_, subtitle_, marks_, legend_;
  Axis x_, y_;
  int legends_ = 0;
};

/// One file with the charts side by side.
std::string svg(const std::vector<Chart>& charts);

}  // namespace advisor::cli
