//! Bars drawn as SVG: the content security policy allows no style attributes.
//! What they show always stands beside them as text.

use maud::{Markup, html};

/// How far something is used up, in thousandths of the cap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauge {
    /// Used before.
    pub before: u32,
    /// Used afterwards.
    pub after: u32,
    /// Where a warning begins.
    pub soft: Option<u32>,
}

/// A meter: what is used, what this adds, where the caps are.
#[must_use]
pub fn meter(gauge: Gauge) -> Markup {
    let scale = gauge.after.max(gauge.before).max(1_000);
    let x = |value: u32| u64::from(value) * 1_000 / u64::from(scale);
    let more = gauge.after.saturating_sub(gauge.before);
    html! {
        svg.meter.over[gauge.after > 1_000] viewBox="0 0 1000 12" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            rect.track x="0" y="0" width="1000" height="12" {}
            rect.used x="0" y="0" width=(x(gauge.before)) height="12" {}
            @if more > 0 { rect.more x=(x(gauge.before)) y="0" width=(x(more).max(6)) height="12" {} }
            @if let Some(soft) = gauge.soft { rect.soft x=(x(soft)) y="0" width="3" height="12" {} }
            rect.cap x=(x(1_000).saturating_sub(4)) y="0" width="4" height="12" {}
        }
    }
}

/// How a budget is burnt down, in thousandths: of the period to the right, of
/// the cap upwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Burn {
    /// What had been consumed, and when.
    pub points: Vec<(u32, u32)>,
    /// Now, and what is consumed and set aside.
    pub now: (u32, u32),
    /// Where the forecast leads from there.
    pub ahead: Option<(u32, u32)>,
    /// Where a warning begins.
    pub soft: Option<u32>,
}

const BURN_WIDTH: u64 = 600;
const BURN_HEIGHT: u64 = 140;

/// A burn-down: what was consumed as steps, where it leads as a dashed line,
/// under the caps.
#[must_use]
pub fn burn(burn: &Burn) -> Markup {
    let highest = burn.points.iter().chain([&burn.now]).chain(&burn.ahead);
    let top = u64::from(
        highest
            .map(|(_, y)| *y)
            .max()
            .unwrap_or(0)
            .clamp(1_000, 2_000),
    ) * 23
        / 20;
    let x = |at: u32| u64::from(at.min(1_000)) * BURN_WIDTH / 1_000;
    let y = |share: u32| BURN_HEIGHT - (u64::from(share) * BURN_HEIGHT / top).min(BURN_HEIGHT);
    let mut line = format!(
        "M{} {}",
        x(burn.points.first().map_or(burn.now.0, |p| p.0)),
        y(0)
    );
    for (at, share) in &burn.points {
        // Where clocks disagree, nothing is drawn as if it were still to come.
        line.push_str(&format!(" H{} V{}", x((*at).min(burn.now.0)), y(*share)));
    }
    line.push_str(&format!(" H{}", x(burn.now.0)));
    html! {
        svg.burn viewBox={ "0 0 " (BURN_WIDTH) " " (BURN_HEIGHT) } preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            @if let Some(soft) = burn.soft { line.soft x1="0" x2=(BURN_WIDTH) y1=(y(soft)) y2=(y(soft)) {} }
            line.cap x1="0" x2=(BURN_WIDTH) y1=(y(1_000)) y2=(y(1_000)) {}
            line.now x1=(x(burn.now.0)) x2=(x(burn.now.0)) y1="0" y2=(BURN_HEIGHT) {}
            path.area d={ (line) " V" (BURN_HEIGHT) " H0 Z" } {}
            path.line d=(line) {}
            @if let Some((at, share)) = burn.ahead {
                line.ahead x1=(x(burn.now.0)) y1=(y(burn.now.1)) x2=(x(at)) y2=(y(share)) {}
            }
        }
    }
}

/// A bar for a number in [0, 1], given in thousandths.
#[must_use]
pub fn bar(thousandths: u32) -> Markup {
    html! {
        svg.bar viewBox="0 0 1000 12" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            rect.track x="0" y="0" width="1000" height="12" {}
            rect.used x="0" y="0" width=(thousandths.min(1_000)) height="12" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burn_down_never_leaves_its_frame() {
        for share in [0, 500, 1_000, 1_500, 9_000, u32::MAX] {
            let drawn = burn(&Burn {
                points: vec![(0, 10), (400, share / 2), (2_000, share)],
                now: (500, share),
                ahead: Some((1_000, share)),
                soft: Some(800),
            });
            let drawn = drawn.into_string();
            let numbers = drawn.split(|c: char| !c.is_ascii_digit() && c != '-');
            for number in numbers.filter_map(|n| n.parse::<i64>().ok()) {
                assert!((0..=600).contains(&number), "{drawn}");
            }
        }
    }

    #[test]
    fn a_meter_never_leaves_its_frame() {
        for (before, after) in [(0, 0), (500, 700), (900, 1_500), (5_000, 4_000)] {
            let soft = Some(800);
            let markup = meter(Gauge {
                before,
                after,
                soft,
            })
            .into_string();
            for part in markup.split("width=\"").skip(1) {
                let width: u64 = part.split('"').next().unwrap().parse().unwrap();
                assert!(width <= 1_000, "{markup}");
            }
        }
    }
}
