//! Small marks: status, verdict, severity. Each has a word and a sign, so that
//! none depends on colour.

use super::text;
use kernel::Verdict;
use maud::{Markup, html};

/// What a mark means to someone who is tired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Fine, done.
    Good,
    /// Look at it.
    Warn,
    /// Stopped, failed.
    Bad,
    /// It is going on.
    Live,
    /// It waits for someone or something.
    Wait,
    /// Over, or nothing to say.
    Calm,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Live => "live",
            Self::Wait => "wait",
            Self::Calm => "calm",
        }
    }
    fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Warn => "!",
            Self::Bad => "✕",
            Self::Live => "▸",
            Self::Wait => "…",
            Self::Calm => "·",
        }
    }
}

/// A mark with this word.
#[must_use]
pub fn chip(tone: Tone, word: &str) -> Markup {
    html! {
        span.chip.(tone.class()) { span.sign aria-hidden="true" { (tone.sign()) } " " (text::pieces(&word.replace('_', " "))) }
    }
}

/// A verdict.
#[must_use]
pub fn verdict(verdict: Verdict) -> Markup {
    let tone = match verdict {
        Verdict::Allow => Tone::Good,
        Verdict::Warn => Tone::Warn,
        Verdict::Block => Tone::Bad,
    };
    chip(tone, verdict.name())
}

/// The status of any aggregate, by its word.
#[must_use]
pub fn status(word: &str) -> Markup {
    let word = word.to_lowercase();
    chip(tone_of(&word), &word)
}

fn tone_of(word: &str) -> Tone {
    match word {
        "complete" | "completed" | "approved" | "succeeded" | "success" | "resolved"
        | "compensated" | "active" | "settled" | "within" | "promoted" | "used" | "released"
        | "verified" => Tone::Good,
        "blocked" | "rejected" | "failed" | "failure" | "error" | "engaged" | "exhausted"
        | "aborted" | "refused" | "stuck" | "firing" | "open" => Tone::Bad,
        "expired" | "voided" | "void" | "unknown" | "parked" | "over_soft"
        | "release_requested" | "canceled" | "disabled" | "revoked" | "withheld" => Tone::Warn,
        "pending" | "proposed" | "paused" | "waiting" | "collecting" | "reserved" | "issued" => {
            Tone::Wait
        }
        "executing" | "running" | "started" | "sent" | "acknowledged" | "mitigating"
        | "compensating" | "retrying" | "aborting" | "canceling" => Tone::Live,
        _ => Tone::Calm,
    }
}

/// A severity; the sign grows with it.
#[must_use]
pub fn severity(word: &str) -> Markup {
    let (class, sign) = match word {
        "critical" => ("bad", "▲▲"),
        "high" | "error" | "major" => ("bad", "▲"),
        "warning" | "medium" => ("warn", "△"),
        "low" | "minor" => ("calm", "▽"),
        _ => ("calm", "·"),
    };
    html! {
        span.chip.severity.(class) { span.sign aria-hidden="true" { (sign) } " " span.sr { "severity " } (text::pieces(word)) }
    }
}
