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
