//! The picture for a browser: a file of its own, in light and dark, for any width.

// Part of concurrent-explained, MIT OR Apache-2.0.

use super::spans::{Span, distinct, extent};
use std::time::Duration;

/// Colours that remain apart for colour-blind readers (the palette of Okabe and Ito, without black,
/// which is the text, and yellow, which is faint on white).
const COLOURS: [&str; 6] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"];

/// All lengths are in the units of the view, which the browser scales to the width of the page.
const WIDTH: f64 = 960.0;
const LEFT: f64 = 130.0;
const ROW: f64 = 30.0;
/// The marks of the axis: no more than this, at round numbers.
const TICKS: f64 = 8.0;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#222}.axis{fill:#8886}\
.row{fill:#8881}.wait{fill:#8888}.name{fill:#fff}.dark{fill:#111}\
@media(max-width:600px){text{font-size:24px}.name,.dark{display:none}}\
@media(prefers-color-scheme:dark){svg{background:#161616}text{fill:#ddd}.name{fill:#fff}.dark{fill:#111}}";

/// Draws `spans` as a standalone SVG: a row for each worker, a colour for each name of a task, the
/// number of waiting tasks below, and the times of a task under the pointer.
pub fn svg(spans: &[Span]) -> String {
    let workers = distinct(spans, |span| &span.worker);
    let tasks = distinct(spans, |span| &span.task);
    let (first, last) = extent(spans);
    let inner = WIDTH - LEFT - 20.0;
    let x = |moment: Duration| LEFT + (moment - first).div_duration_f64(last - first) * inner;
    let top = 20.0 + ROW * tasks.len().div_ceil(4) as f64; // below the legend
    let y = |row: usize| top + row as f64 * ROW;
    let bottom = y(workers.len() + 1);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" width=\"100%\" \
         role=\"img\" aria-label=\"Timeline\"><style>{STYLE}</style>\n",
        bottom + 30.0
    );
    for (place, name) in tasks.iter().enumerate() {
        let (x, y) = (LEFT + (place % 4) as f64 * 200.0, 14.0 + (place / 4) as f64 * ROW);
        out += &rect(&format!("fill=\"{}\"", COLOURS[place % COLOURS.len()]), x, y, 14.0, 14.0);
        out += &text("", x + 20.0, y + 12.0, name);
    }
    for moment in ticks(last - first) {
        let x = x(first + moment);
        out += &rect("class=\"axis\"", x, top, 1.0, bottom - top);
        out += &text("text-anchor=\"middle\"", x, bottom + 18.0, &format!("{moment:?}"));
    }
    for (row, name) in workers.iter().copied().chain(["waiting"]).enumerate() {
        out += &text("text-anchor=\"end\"", LEFT - 10.0, y(row) + 19.0, name);
        out += &rect("class=\"row\"", LEFT, y(row) + 2.0, inner, 26.0);
    }
    for span in spans {
        let place = |names: &[&str], name| names.iter().position(|other| *other == name);
        let y = y(place(&workers, &span.worker).unwrap_or_default());
        let colour = place(&tasks, &span.task).unwrap_or_default() % COLOURS.len();
        let (left, width) = (x(span.started), (x(span.ended) - x(span.started)).max(0.5));
        let (waited, ran) = (span.started - span.queued, span.ended - span.started);
        let title = escaped(&format!("{}: waited {waited:.1?}, ran {ran:.1?}", span.task));
        out += &format!("<g><title>{title}</title>");
        out += &rect(&format!("fill=\"{}\"", COLOURS[colour]), left, y + 2.0, width, 26.0);
        // A name only where it fits: about eight units for each character.
        if width > 8.0 * span.task.chars().count() as f64 + 12.0 {
            let class = if matches!(colour, 1 | 4) { "class=\"dark\"" } else { "class=\"name\"" };
            out += &text(class, left + 6.0, y + 19.0, &span.task);
        }
        out += "</g>\n";
    }
    out + &format!("<path class=\"wait\" d=\"{}\"/>\n</svg>\n", waiting(spans, bottom - 2.0, x))
}

fn rect(attributes: &str, x: f64, y: f64, width: f64, height: f64) -> String {
    let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"");
    format!("<rect {attributes} {place} rx=\"2\"/>\n")
}

fn text(attributes: &str, x: f64, y: f64, text: &str) -> String {
    format!("<text {attributes} x=\"{x:.1}\" y=\"{y:.1}\">{}</text>\n", escaped(text))
}

/// The outline of the number of waiting tasks: one more where a task is queued, one less where one
/// is started.
fn waiting(spans: &[Span], bottom: f64, x: impl Fn(Duration) -> f64) -> String {
    let steps = spans.iter().flat_map(|span| [(span.queued, 1), (span.started, -1)]);
    let mut steps: Vec<(Duration, i32)> = steps.collect();
    steps.sort();
    let mut count = 0;
    for (_, step) in &mut steps {
        count += *step;
        *step = count; // what was a step is now the number of those waiting
    }
    let most = steps.iter().map(|step| step.1).max().unwrap_or_default().max(1);
    let mut path = format!("M{LEFT} {bottom:.1}");
    for (moment, count) in steps {
        let height = 24.0 * f64::from(count) / f64::from(most);
        path += &format!("H{:.1}V{:.1}", x(moment), bottom - height);
    }
    path + &format!("V{bottom:.1}Z")
}

/// Round moments along the axis: one, two or five of a power of ten apart.
fn ticks(total: Duration) -> Vec<Duration> {
    let least = total.as_nanos() as f64 / TICKS;
    let power = 10_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * power >= least).unwrap_or(10.0);
    let step = Duration::from_nanos((step * power).max(1.0) as u64);
    (0..).map(|tick| step * tick).take_while(|moment| *moment <= total).collect()
}

/// A name may hold anything (I2).
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
