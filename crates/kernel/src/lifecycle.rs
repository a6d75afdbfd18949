//! Lifecycles as tables. Code, refusals ("allowed from here: …") and the
//! diagrams in the documents come from the same rows.

use crate::Refusal;
use crate::names::Name;

/// A lifecycle: which event moves which status to which.
pub struct Lifecycle<S: 'static, E: 'static> {
    /// What lives this life, for messages.
    pub noun: &'static str,
    /// (from, event, to). No (from, event) pair stands twice.
    pub rows: &'static [(S, E, S)],
}

impl<S: Name, E: Name> Lifecycle<S, E> {
    /// The status after `event`.
    ///
    /// # Errors
    /// [`crate::Code::IllegalMove`], naming what is allowed from here.
    pub fn next(&self, from: S, event: E) -> Result<S, Refusal> {
        self.rows
            .iter()
            .find(|(f, e, _)| *f == from && *e == event)
            .map(|(_, _, to)| *to)
            .ok_or_else(|| {
                let allowed: Vec<_> = self.allowed(from).into_iter().map(Name::name).collect();
                let hint = if allowed.is_empty() {
                    format!("`{}` is a final status", from.name())
                } else {
                    format!("allowed from here: {}", allowed.join(", "))
                };
                Refusal::illegal_move(format!(
                    "`{}` is not possible for {} in status `{}`",
                    event.name(),
                    self.noun,
                    from.name()
                ))
                .hint(hint)
            })
    }

    /// The events that are possible in this status.
    #[must_use]
    pub fn allowed(&self, from: S) -> Vec<E> {
        let rows = self.rows.iter().filter(|(f, _, _)| *f == from);
        rows.map(|(_, e, _)| *e).collect()
    }

    /// Whether nothing can follow this status.
    #[must_use]
    pub fn is_final(&self, status: S) -> bool {
        self.allowed(status).is_empty()
    }

    /// The diagram, in Mermaid's state diagram language.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut text = String::from("stateDiagram-v2\n");
        for (from, event, to) in self.rows {
            text.push_str(&format!(
                "    {} --> {}: {}\n",
                from.name(),
                to.name(),
                event.name()
            ));
        }
        text
    }
}
