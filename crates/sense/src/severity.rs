//! How bad an observation is, and whether it holds or has ended. The order of
//! the severities is their declaration order, so that the worst of several is
//! their maximum.

kernel::names! {
    /// How bad it is, least first.
    pub enum Severity {
        /// Worth knowing.
        Info = "info",
        /// Worth a look some day.
        Low = "low",
        /// Worth a look today.
        Medium = "medium",
        /// Worth a look now.
        High = "high",
        /// Wake someone.
        Critical = "critical",
    }
}

kernel::names! {
    /// Whether what was observed holds or has ended.
    pub enum SignalStatus {
        /// It holds.
        Firing = "firing",
        /// It has ended.
        Resolved = "resolved",
    }
}
