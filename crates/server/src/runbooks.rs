//! The runbooks of `docs/operating`, in the binary: whoever is woken at three
//! needs no other site.

/// The runbooks by name, as Markdown.
const ALL: [(&str, &str); 11] = [
    (
        "approval",
        include_str!("../../../docs/operating/approval.md"),
    ),
    ("budget", include_str!("../../../docs/operating/budget.md")),
    (
        "compliance",
        include_str!("../../../docs/operating/compliance.md"),
    ),
    (
        "conflict",
        include_str!("../../../docs/operating/conflict.md"),
    ),
    (
        "contradiction",
        include_str!("../../../docs/operating/contradiction.md"),
    ),
    (
        "freshness",
        include_str!("../../../docs/operating/freshness.md"),
    ),
    (
        "grounding",
        include_str!("../../../docs/operating/grounding.md"),
    ),
    (
        "kill_switch",
        include_str!("../../../docs/operating/kill_switch.md"),
    ),
    ("policy", include_str!("../../../docs/operating/policy.md")),
    (
        "residency",
        include_str!("../../../docs/operating/residency.md"),
    ),
    ("rule", include_str!("../../../docs/operating/rule.md")),
];

/// The runbook with this name, as Markdown.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    let found = ALL.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| *text)
}

/// The names of the runbooks, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_one() {
        for check in gate::explain::RUNBOOK_OF.iter().chain(&["rule"]) {
            let text = text(check).unwrap_or_else(|| panic!("no runbook `{check}`"));
            assert!(text.starts_with("# "), "{check}");
            assert!(text.contains("## See") && text.contains("## Do"), "{check}");
            assert!(gate::explain::runbook(check).ends_with(check));
        }
        assert_eq!(names().count(), gate::explain::RUNBOOK_OF.len() + 1);
    }
}
