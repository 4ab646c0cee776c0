#include "cli/svg.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace advisor::cli {
namespace {

constexpr double left = 74, right = 18, top = 84, bottom = 62;
constexpr double plot_width = Chart::width - left - right, plot_height = Chart::height - top - bottom;

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string tick_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.7g", std::abs(value) < 1e-12 ? 0.0 : value);
  return text;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else
      out += c;
  }
  return out;
}

std::string text_at(double x, double y, const std::string& text, const std::string& attributes) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" " + attributes + ">" + escaped(text) + "</text>\n";
}

double share_of(const Axis& axis, double value) {
  if (axis.logarithmic) {
    value = std::log(std::max(value, axis.low));
    return std::clamp((value - std::log(axis.low)) / (std::log(axis.high) - std::log(axis.low)), 0.0, 1.0);
  }
  return std::clamp((value - axis.low) / (axis.high - axis.low), 0.0, 1.0);
}

/// Round numbers, about six of them: multiples of 1, 2 or 5 · 10^k; decades (with 2 and 5 when there are few).
std::vector<double> ticks_of(const Axis& axis) {
  std::vector<double> ticks;
  if (axis.logarithmic) {
    const double decades = std::log10(axis.high / axis.low);
    const int every = std::max(1, static_cast<int>(std::ceil(decades / 7)));
    for (int k = static_cast<int>(std::floor(std::log10(axis.low))); std::pow(10, k) <= axis.high * 1.001; k += every) {
      for (const double factor : {1.0, 2.0, 5.0}) {
        const double tick = factor * std::pow(10, k);
        if ((factor == 1 || decades < 2.5) && tick >= axis.low * 0.999 && tick <= axis.high * 1.001)
          ticks.push_back(tick);
      }
    }
    return ticks;
  }
  const double rough = (axis.high - axis.low) / 6, power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0})
    if (factor * power >= rough * 0.8) step = factor * power;
  for (double k = std::ceil(axis.low / step - 1e-9); k * step <= axis.high + 1e-9 * step; ++k)
    ticks.push_back(k * step);
  return ticks;
}

}  // namespace

Chart::Chart(std::string title, std::string subtitle, Axis x, Axis y)
    : title_(std::move(title)), subtitle_(std::move(subtitle)), x_(std::move(x)), y_(std::move(y)) {}

double Chart::place_x(double x) const { return left + share_of(x_, x) * plot_width; }
double Chart::place_y(double y) const { return top + (1 - share_of(y_, y)) * plot_height; }

void Chart::points(const std::vector<std::pair<double, double>>& at, const std::string& colour, double radius,
                   double opacity) {
  marks_ += "<g fill=\"" + colour + "\" fill-opacity=\"" + tick_text(opacity) + "\">\n";
  for (const auto& [x, y] : at)
    marks_ +=
        "<circle cx=\"" + number(place_x(x)) + "\" cy=\"" + number(place_y(y)) + "\" r=\"" + number(radius) + "\"/>\n";
  marks_ += "</g>\n";
}

void Chart::line(const std::vector<std::pair<double, double>>& through, const std::string& colour, bool dashed) {
  marks_ += "<polyline fill=\"none\" stroke=\"" + colour + "\" stroke-width=\"1.5\"" +
            (dashed ? " stroke-dasharray=\"5 4\"" : "") + " points=\"";
  for (const auto& [x, y] : through) marks_ += number(place_x(x)) + "," + number(place_y(y)) + " ";
  marks_ += "\"/>\n";
}

void Chart::bar(double from, double to, double height, const std::string& colour) {
  const double x = place_x(from), y = place_y(height);
  marks_ += "<rect x=\"" + number(x) + "\" y=\"" + number(y) + "\" width=\"" + number(place_x(to) - x - 1) +
            "\" height=\"" + number(top + plot_height - y) + "\" fill=\"" + colour + "\"/>\n";
}

void Chart::legend(const std::string& colour, const std::string& text) {
  const double x = left + 10, y = top + 16 + 18 * legends_++;
  // A veil keeps the text readable over points; 6.6 units a character are enough at this size.
  legend_ += "<rect x=\"" + number(x - 8) + "\" y=\"" + number(y - 13) + "\" width=\"" +
             number(26 + 6.6 * static_cast<double>(text.size())) +
             "\" height=\"18\" fill=\"white\" fill-opacity=\"0.8\"/>\n<circle cx=\"" + number(x) + "\" cy=\"" +
             number(y - 4) + "\" r=\"4.5\" fill=\"" + colour + "\"/>\n" + text_at(x + 11, y, text, "font-size=\"12\"");
}

std::string Chart::axes() const {
  std::string out;
  const double floor = top + plot_height;
  for (const double tick : ticks_of(x_)) {
    const double x = place_x(tick);
    out += "<line x1=\"" + number(x) + "\" y1=\"" + number(top) + "\" x2=\"" + number(x) + "\" y2=\"" + number(floor) +
           "\" stroke=\"#e3e3e3\"/>\n" +
           text_at(x, floor + 18, tick_text(tick), "font-size=\"12\" text-anchor=\"middle\"");
  }
  for (const double tick : ticks_of(y_)) {
    const double y = place_y(tick);
    out += "<line x1=\"" + number(left) + "\" y1=\"" + number(y) + "\" x2=\"" + number(left + plot_width) + "\" y2=\"" +
           number(y) + "\" stroke=\"#e3e3e3\"/>\n" +
           text_at(left - 8, y + 4, tick_text(tick), "font-size=\"12\" text-anchor=\"end\"");
  }
  out += "<rect x=\"" + number(left) + "\" y=\"" + number(top) + "\" width=\"" + number(plot_width) + "\" height=\"" +
         number(plot_height) + "\" fill=\"none\" stroke=\"#555\"/>\n";
  out += text_at(left + plot_width / 2, Chart::height - 20, x_.title, "font-size=\"13\" text-anchor=\"middle\"");
  const std::string middle = number(top + plot_height / 2);
  out += text_at(18, top + plot_height / 2, y_.title,
                 "font-size=\"13\" text-anchor=\"middle\" transform=\"rotate(-90 18 " + middle + ")\"");
  return out;
}

std::string Chart::group(double move) const {
  return "<g transform=\"translate(" + number(move) + " 0)\">\n" +
         text_at(left, 30, title_, "font-size=\"16\" font-weight=\"bold\"") +
         text_at(left, 52, subtitle_, "font-size=\"12\" fill=\"#555\"") + axes() + marks_ + legend_ + "</g>\n";
}

std::string svg(const std::vector<Chart>& charts) {
  const std::string width = number(Chart::width * static_cast<double>(charts.size())), height = number(Chart::height);
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + width + "\" height=\"" + height +
                    "\" viewBox=\"0 0 " + width + " " + height +
                    "\" font-family=\"sans-serif\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  for (std::size_t i = 0; i < charts.size(); ++i) out += charts[i].group(Chart::width * static_cast<double>(i));
  return out + "</svg>\n";
}

}  // namespace advisor::cli
