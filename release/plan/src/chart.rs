//! A plan as SVG: jobs hour by hour, and how much of the idle time each job size leaves for work. For browsers and
//! documents, in the light and in the dark; nothing in it comes from elsewhere.

use std::fmt::Write;

use crate::plan::Plan;
use crate::sizes::{Tried, Verdict, figures_of_time};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 70.0;
/// The chart of the hours, and where the one of the sizes begins.
const HOURS_WIDTH: f64 = 520.0;
const SIZES_LEFT: f64 = 650.0;
const CHART_HEIGHT: f64 = 270.0;

const STYLE: &str = "<style>\
text{font:13px system-ui,sans-serif;fill:#222}.title{font-size:17px;font-weight:600}.small{font-size:11px;fill:#555}\
.paper{fill:#fff}.line{stroke:#999;stroke-width:1}.grid{stroke:#ddd;stroke-width:1}\
.pcs{fill:#2a7de1}.server{fill:#8a6bd1}.good{fill:#2e9e5b}.bad{fill:#d2562b}\
@media (prefers-color-scheme:dark){text{fill:#eee}.small{fill:#bbb}.paper{fill:#161a1f}.grid{stroke:#333}}\
</style>";

/// Draws a plan.
pub fn chart(plan: &Plan) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\
         <title>{title}</title>{STYLE}<rect class=\"paper\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\
         <text class=\"title\" x=\"{LEFT}\" y=\"28\">{title}</text>",
        title = title(plan),
    );
    hours(&mut svg, plan);
    sizes(&mut svg, plan);
    svg.push_str("</svg>\n");
    svg
}

fn title(plan: &Plan) -> String {
    format!(
        "{} PCs: {:.0} jobs a day, {:.1} times the server of today",
        plan.office.pcs, plan.figures.jobs_a_day, plan.figures.servers
    )
}

/// Writing into a string cannot fail.
macro_rules! draw {
    ($svg:expr, $($text:tt)*) => { let _ = write!($svg, $($text)*); };
}

/// The jobs of each hour: the server's, and the PCs' on top of them.
fn hours(svg: &mut String, plan: &Plan) {
    let hours = &plan.figures.hours;
    let top = round_up(hours.iter().map(|hour| hour.pcs + hour.server).fold(0.0, f64::max));
    draw!(svg, "<text x=\"{LEFT}\" y=\"52\">Jobs of today's size, hour by hour</text>");
    axis(svg, LEFT, HOURS_WIDTH, top, |value| if top < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") });
    let step = HOURS_WIDTH / hours.len().max(1) as f64;
    let mut bars = |class: &str, of: &dyn Fn(usize) -> (f64, f64)| {
        draw!(svg, "<path class=\"{class}\" d=\"");
        for index in 0..hours.len() {
            let (from, to) = of(index);
            let (y, height) = (down(to, top), down(from, top) - down(to, top));
            if height > 0.0 {
                let x = LEFT + step * index as f64;
                draw!(svg, "M{x:.1} {y:.1}h{step:.2}v{height:.1}h-{step:.2}z");
            }
        }
        draw!(svg, "\"/>");
    };
    bars("server", &|index| (0.0, hours[index].server));
    bars("pcs", &|index| (hours[index].server, hours[index].server + hours[index].pcs));
    let bottom = TOP + CHART_HEIGHT;
    let days = (hours.len() / 24).max(1);
    let every = days.div_ceil(10);
    for day in (0..days).step_by(every) {
        let x = LEFT + HOURS_WIDTH * day as f64 / days as f64;
        draw!(svg, "<path class=\"line\" d=\"M{x:.1} {bottom}v5\"/>");
        draw!(svg, "<text class=\"small\" x=\"{:.1}\" y=\"{:.1}\">day {}</text>", x + 2.0, bottom + 18.0, day + 1);
    }
    let y = bottom + 44.0;
    for (x, class, name) in [(LEFT, "pcs", "idle PCs"), (LEFT + 110.0, "server", "the server of today")] {
        draw!(svg, "<rect class=\"{class}\" x=\"{x}\" y=\"{:.1}\" width=\"12\" height=\"12\"/>", y - 10.0);
        draw!(svg, "<text x=\"{:.1}\" y=\"{y:.1}\">{name}</text>", x + 18.0);
    }
}

/// For each job size, how much of the idle time goes into records that count.
fn sizes(svg: &mut String, plan: &Plan) {
    let width = WIDTH - SIZES_LEFT - 20.0;
    draw!(svg, "<text x=\"{SIZES_LEFT}\" y=\"52\">Idle time that becomes results, by job size</text>");
    axis(svg, SIZES_LEFT, width, 1.0, |value| format!("{:.0} %", value * 100.0));
    let sizes: Vec<(&Tried, f64)> =
        plan.sizes.iter().map(|size| (size, size.figures.as_ref().map_or(0.0, |figures| figures.useful))).collect();
    let step = width / sizes.len().max(1) as f64;
    let bottom = TOP + CHART_HEIGHT;
    for (index, (size, useful)) in sizes.iter().enumerate() {
        let x = SIZES_LEFT + step * index as f64 + step * 0.15;
        let (class, word) = match size.verdict {
            Verdict::Good => ("good", "good"),
            Verdict::TooSmall => ("bad", "too small"),
            Verdict::TooLarge => ("bad", "too large"),
            Verdict::Impossible => ("bad", "impossible"),
        };
        let y = down(*useful, 1.0);
        draw!(
            svg,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}: {word}</title></rect>",
            step * 0.7,
            bottom - y,
            size.name
        );
        let middle = x + step * 0.35;
        let mut label = |y: f64, text: &str| {
            draw!(svg, "<text class=\"small\" text-anchor=\"middle\" x=\"{middle:.1}\" y=\"{y:.1}\">{text}</text>");
        };
        // Neighbours stand on different lines, because they would run into each other.
        let line = bottom + 18.0 + 26.0 * (index % 2) as f64;
        label(line, &figures_of_time(size.job_ms));
        label(line + 13.0, word);
    }
}

/// A scale of four steps with its lines.
fn axis(svg: &mut String, left: f64, width: f64, top: f64, name: impl Fn(f64) -> String) {
    for step in 0..=4 {
        let value = top * f64::from(step) / 4.0;
        let y = down(value, top);
        draw!(svg, "<path class=\"grid\" d=\"M{left} {y:.1}h{width}\"/>");
        let (x, y) = (left - 6.0, y + 4.0);
        draw!(svg, "<text class=\"small\" text-anchor=\"end\" x=\"{x}\" y=\"{y:.1}\">{}</text>", name(value));
    }
}

/// Where a value stands when `top` is the highest.
fn down(value: f64, top: f64) -> f64 {
    TOP + CHART_HEIGHT * (1.0 - value / top)
}

/// The next of 1, 2, 4, 8 and their tens.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let ten = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 8.0, 10.0].into_iter().map(|step| step * ten).find(|top| *top >= value).unwrap_or(10.0 * ten)
}
