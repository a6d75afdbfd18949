//! The picture and the table of a soak.

use crate::Fault;
use crate::check::Found;
use crate::tally::Tally;
use crate::watch::Sample;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// A curve: its name and its points over minutes.
type Curve = (String, Vec<(f64, f64)>);

const WIDTH: u32 = 1_000;
const HEIGHT_OF_ONE: u32 = 210;
const COLOURS: [RGBColor; 4] = [
    RGBColor(31, 90, 160),
    RGBColor(190, 80, 20),
    RGBColor(40, 130, 70),
    RGBColor(130, 60, 140),
];

/// Writes `soak.svg` and `soak.md` into the folder.
pub(crate) fn write(
    folder: &Path,
    samples: &[Sample],
    tally: &Tally,
    found: &Found,
) -> Result<(), Fault> {
    fs::create_dir_all(folder)?;
    let picture = folder.join("soak.svg");
    draw(&picture, samples, tally).map_err(|e| format!("{}: {e}", picture.display()))?;
    let table = table(samples, tally, found)?;
    print!("\n{table}");
    fs::write(folder.join("soak.md"), table)?;
    println!("the picture: {}", picture.display());
    Ok(())
}

fn minutes(sample: &Sample) -> f64 {
    sample.at.as_secs_f64() / 60.0
}

fn curve(name: &str, samples: &[Sample], of: impl Fn(&Sample) -> f64) -> Curve {
    let points = samples.iter().map(|s| (minutes(s), of(s))).collect();
    (name.to_owned(), points)
}

fn latency(samples: &[Sample], kind: &'static str, p99: bool) -> Curve {
    let of = |s: &Sample| {
        let q = s.latencies.get(kind).filter(|q| q.count > 0)?;
        Some((minutes(s), if p99 { q.p99 } else { q.p50 }))
    };
    let name = format!("{kind} {}", if p99 { "p99" } else { "p50" });
    (name, samples.iter().filter_map(of).collect())
}

fn draw(path: &Path, samples: &[Sample], tally: &Tally) -> Result<(), Fault> {
    let charts: Vec<(&str, Vec<Curve>)> = vec![
        (
            "resident memory, MiB",
            vec![curve("memory", samples, |s| s.memory)],
        ),
        (
            "file handles and threads",
            vec![
                curve("handles", samples, |s| s.handles),
                curve("threads", samples, |s| s.threads),
            ],
        ),
        (
            "write-ahead log, MiB",
            vec![curve("wal", samples, |s| s.wal)],
        ),
        (
            "data directory, MiB",
            vec![curve("data", samples, |s| s.data)],
        ),
        (
            "commands, ms in windows of 10 s",
            vec![
                latency(samples, "delivery", true),
                latency(samples, "approval", true),
                latency(samples, "reserve", true),
                latency(samples, "delivery", false),
            ],
        ),
        (
            "reads and health, ms in windows of 10 s",
            vec![
                latency(samples, "listing", true),
                latency(samples, "page", true),
                latency(samples, "health", true),
                latency(samples, "listing", false),
            ],
        ),
    ];
    let height = HEIGHT_OF_ONE * u32::try_from(charts.len())?;
    let root = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let kills: Vec<f64> = tally
        .kills()
        .iter()
        .map(|k| k.at.as_secs_f64() / 60.0)
        .collect();
    let end = samples.last().map_or(1.0, minutes);
    for (area, (title, curves)) in root.split_evenly((charts.len(), 1)).iter().zip(&charts) {
        one(area, title, curves, &kills, end)?;
    }
    root.present()?;
    Ok(())
}

fn one(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    title: &str,
    curves: &[Curve],
    kills: &[f64],
    end: f64,
) -> Result<(), Fault> {
    let points = curves.iter().flat_map(|(_, points)| points);
    let top = points.map(|(_, y)| *y).fold(1.0, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 15))
        .margin(8)
        .margin_right(20)
        .x_label_area_size(28)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..end, 0.0..top)
        .map_err(|e| e.to_string())?;
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12));
    mesh.x_desc("minutes; a grey line is a kill")
        .label_style(("sans-serif", 12));
    mesh.draw().map_err(|e| e.to_string())?;
    for at in kills {
        let line = LineSeries::new([(*at, 0.0), (*at, top)], BLACK.mix(0.3));
        chart.draw_series(line).map_err(|e| e.to_string())?;
    }
    for ((name, points), colour) in curves.iter().zip(COLOURS) {
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(1));
        let drawn = chart.draw_series(line).map_err(|e| e.to_string())?;
        drawn
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour));
    }
    let mut labels = chart.configure_series_labels();
    labels
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(("sans-serif", 12));
    labels
        .background_style(WHITE.mix(0.8))
        .draw()
        .map_err(|e| e.to_string())?;
    Ok(())
}

fn table(samples: &[Sample], tally: &Tally, found: &Found) -> Result<String, Fault> {
    let mut text =
        String::from("| request | answers | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|\n");
    for (name, (kind, q)) in tally.all() {
        let answers: Vec<String> = kind
            .answers
            .iter()
            .map(|(status, count)| match status {
                0 => format!("{count} without an answer"),
                status => format!("{count} x {status}"),
            })
            .collect();
        writeln!(
            text,
            "| {name} | {} | {:.1} | {:.1} | {:.1} |",
            answers.join(", "),
            q.p50,
            q.p99,
            q.max
        )?;
    }
    let kills = tally.kills();
    let away = kills.iter().map(|k| k.away.as_millis());
    writeln!(
        text,
        "\n{} kills; served again after {} to {} ms",
        kills.len(),
        away.clone().min().unwrap_or_default(),
        away.max().unwrap_or_default()
    )?;
    let most = |of: fn(&Sample) -> f64| samples.iter().map(of).fold(0.0, f64::max);
    writeln!(
        text,
        "at most {:.0} MiB of memory, {:.0} handles, {:.0} threads, {:.1} MiB of write-ahead log",
        most(|s| s.memory),
        most(|s| s.handles),
        most(|s| s.threads),
        most(|s| s.wal)
    )?;
    for (name, (kind, _)) in tally.all() {
        for (status, said) in &kind.refusals {
            writeln!(text, "the first {status} of {name}: {said}")?;
        }
    }
    for line in &found.lines {
        writeln!(text, "{line}")?;
    }
    for fault in &found.faults {
        writeln!(text, "FAULT: {fault}")?;
    }
    Ok(text)
}
