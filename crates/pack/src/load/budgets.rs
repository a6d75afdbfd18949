//! Which book of budgets holds: `budgets.yaml`, or the one of `budgets/` that
//! the manifest names, for example that of a phase. Each is checked, and each
//! must count as the others do, so that going from one to another forgets
//! nothing that was used.

use super::read::{Parts, Whole};
use crate::fault::Fault;
use crate::files;
use crate::yaml::Document;
use gate::budget::Book;
use kernel::Refusal;

/// The book that holds; `None` when there is none, with the reason among the
/// faults.
pub(super) fn book<'p>(parts: &'p Parts, faults: &mut Vec<Fault>) -> Option<&'p Document<Book>> {
    let first = parts.budgets.as_ref();
    for document in first.into_iter().chain(&parts.books.found) {
        if let Err(refusal) = document.value.check() {
            let path = refusal.message.clone();
            faults.push(document.places.fault_at(&[], &path, refusal));
        }
    }
    for document in &parts.books.found {
        let follows = first.map(|first| document.value.may_follow(&first.value));
        if let Some(Err(refusal)) = follows {
            let path = refusal.message.clone();
            faults.push(document.places.fault_at(&[], &path, refusal));
        }
    }
    let manifest = parts.manifest.as_ref()?;
    let Some(name) = &manifest.value.budgets else {
        return first;
    };
    let path = format!("{}{name}.yaml", files::BOOKS);
    let books = &parts.books;
    let found = books.found.iter().find(|d| d.places.file() == path);
    if found.is_none() && books.whole == Whole::Yes {
        let known: Vec<_> = books.found.iter().map(|d| d.places.file()).collect();
        let refusal = Refusal::invalid(format!("`{path}` is missing")).hint(match known.len() {
            0 => "take the line out: `budgets.yaml` holds then".to_owned(),
            _ => format!("there are: {}", known.join(", ")),
        });
        faults.push(manifest.places.fault(&["budgets"], refusal));
    }
    found
}
