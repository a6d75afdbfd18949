//! The inbox: what a person may decide on, and the filters that the API and
//! the pages share.

#[cfg(test)]
mod tests;

use crate::app::App;
use crate::auth::Caller;
use crate::http::cursor::{Page, Paging};
use crate::http::problem::{Answer, Kind, Problem};
use crate::http::query::{Query, fault};
use crate::routes::Parameter;
use crate::view::Resource;
use gate::access::Permission;
use gate::approval::{Status, Vote};
use gate::delegation::{Delegations, Matter};
use gate::{ActionClass, Approval};
use kernel::{Actor, Aggregate, PrincipalKind, Role, Timestamp, limits};
use ledger::{Document, DocumentQuery, Order};
use serde::de::DeserializeOwned;

/// Pages of the store that one filtered page may take.
const READS_MAX: usize = 20;

/// The parameters that filter approvals, besides those of every listing.
pub(crate) const FILTERS: [Parameter; 5] = [
    Parameter {
        name: "type",
        about: "only about directives of this type",
    },
    Parameter {
        name: "class",
        about: "only of this action class",
    },
    Parameter {
        name: "issuer",
        about: "only about directives that this actor issued, `kind:id`",
    },
    Parameter {
        name: "decidable",
        about: "`true`: only those that the caller may decide on now",
    },
    Parameter {
        name: "overdue",
        about: "`true`: only those that nobody answered in time",
    },
];

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// The type of the directive.
    pub(crate) directive_type: Option<String>,
    /// What it does.
    pub(crate) action_class: Option<ActionClass>,
    /// Who issued it.
    pub(crate) issuer: Option<Actor>,
    /// Whether only what the caller may decide on.
    pub(crate) decidable: bool,
    /// Whether only what nobody answered in time.
    pub(crate) overdue: bool,
}

fn yes(query: &Query, name: &str) -> Result<bool, Problem> {
    match query.text(name) {
        None | Some("" | "false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(fault(name, "is neither `true` nor `false`")),
    }
}

impl Filter {
    /// Reads it; an empty parameter filters nothing.
    ///
    /// # Errors
    /// `invalid`, naming the parameter.
    pub(crate) fn read(query: &Query) -> Result<Self, Problem> {
        let text = |name: &str| query.text(name).filter(|t| !t.is_empty());
        Ok(Self {
            directive_type: text("type").map(str::to_owned),
            action_class: match text("class") {
                None => None,
                Some(_) => query.get("class")?,
            },
            issuer: match text("issuer") {
                None => None,
                Some(_) => query.get("issuer")?,
            },
            decidable: yes(query, "decidable")?,
            overdue: yes(query, "overdue")?,
        })
    }

    /// Whether it keeps everything.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.directive_type.is_none()
            && self.action_class.is_none()
            && self.issuer.is_none()
            && !self.decidable
            && !self.overdue
    }

    /// Whether it keeps this one.
    #[must_use]
    pub(crate) fn keeps(&self, approval: &Approval, inbox: &Inbox) -> bool {
        let about = approval.request.about.as_ref();
        let of = |wanted: bool| wanted && about.is_none();
        if of(self.directive_type.is_some()) || of(self.action_class.is_some()) {
            return false;
        }
        let kept = about.is_none_or(|about| {
            let kind = self.directive_type.as_ref();
            kind.is_none_or(|kind| *kind == about.directive_type)
                && self.action_class.is_none_or(|c| c == about.action_class)
                && self.issuer.as_ref().is_none_or(|i| *i == about.issued_by)
        });
        kept && !of(self.issuer.is_some())
            && (!self.decidable || inbox.seats(approval).is_ok())
            && (!self.overdue || inbox.is_overdue(approval))
    }
}

/// A person's view of what waits: who they are, and whatever was delegated.
pub(crate) struct Inbox {
    actor: Actor,
    roles: Vec<Role>,
    may: bool,
    now: Timestamp,
    given: Vec<Delegations>,
}

impl Inbox {
    /// The caller's.
    ///
    /// # Errors
    /// `unavailable` storage.
    pub(crate) async fn of(app: &App, caller: &Caller) -> Answer<Self> {
        let query = DocumentQuery {
            kind: Delegations::KIND.to_owned(),
            order: Order::Descending,
            limit: limits::PAGE_ROWS_MAX,
            ..DocumentQuery::default()
        };
        let found = app.ledger().store().documents(caller.tenant(), &query);
        let given = found.await?.iter().map(parsed).collect::<Answer<_>>()?;
        Ok(Self {
            actor: caller.actor().clone(),
            roles: caller.roles().to_vec(),
            may: caller.may(app, Permission::ApprovalDecide),
            now: app.now(),
            given,
        })
    }

    /// Whether nobody answered in time: it was escalated, or its end has come.
    #[must_use]
    pub(crate) fn is_overdue(&self, approval: &Approval) -> bool {
        approval.status == Status::Pending
            && (approval.escalations > 0 || self.now >= approval.request.expires_at)
    }

    /// Why the person cannot decide on this approval, by themselves or in the
    /// place of another; `None` when they can, as far as a delegation lets them.
    fn closed(&self, approval: &Approval, on_behalf_of: Option<&Actor>) -> Option<String> {
        let request = &approval.request;
        let among = approval.deciders();
        let mut persons = [Some(&self.actor), on_behalf_of].into_iter().flatten();
        let fills = |vote: &Vote, person: &Actor| {
            let behalf = vote.on_behalf_of.as_ref();
            vote.by == *person || behalf.is_some_and(|b| b.principal == *person)
        };
        if approval.status != Status::Pending {
            return Some(format!("the approval is {}", approval.status));
        }
        if !self.may {
            return Some("your roles do not decide on approvals".to_owned());
        }
        if self.actor.kind != PrincipalKind::Human {
            return Some("only a person decides".to_owned());
        }
        if on_behalf_of.is_none() && !self.roles.iter().any(|r| among.contains(r)) {
            let among: Vec<_> = among.iter().map(ToString::to_string).collect();
            return Some(format!("it takes one of the roles: {}", among.join(", ")));
        }
        if persons
            .clone()
            .any(|person| request.barred.contains(person))
        {
            return Some("you wrote it, so another person must agree".to_owned());
        }
        let voted = persons.any(|person| approval.votes.iter().any(|v| fills(v, person)));
        voted.then(|| "you have agreed already; another person must too".to_owned())
    }

    /// In whose places the person may decide on this; `None` stands for their
    /// own.
    ///
    /// # Errors
    /// Why in nobody's.
    pub(crate) fn seats(&self, approval: &Approval) -> Result<Vec<Option<&Actor>>, String> {
        let own = self.closed(approval, None);
        let among = approval.deciders();
        let about = approval.request.about.as_ref();
        let matter = Matter {
            kind: about.map(|a| (a.action_class, a.directive_type.as_str())),
            among: &among,
        };
        let given = self.given.iter().filter(|given| {
            given.to(&self.actor, matter, self.now).is_some()
                && self.closed(approval, Some(&given.by)).is_none()
        });
        let mut seats: Vec<_> = given.map(|given| Some(&given.by)).collect();
        match own {
            None => seats.insert(0, None),
            Some(why) if seats.is_empty() => return Err(why),
            Some(_) => {}
        }
        Ok(seats)
    }
}

fn parsed<A: DeserializeOwned>(document: &Document) -> Answer<A> {
    serde_json::from_str(&document.body).map_err(|e| {
        Problem::new(
            Kind::Integrity,
            format!("state of `{}`: {e}", document.stream),
        )
    })
}

/// A page of approvals, filtered. What the store cannot filter is filtered
/// here, over a bounded number of its pages; the cursor goes on from there.
///
/// # Errors
/// `invalid` parameters; `unavailable` storage.
pub(crate) async fn list(app: &App, caller: &Caller, query: &Query) -> Answer<Page<Resource>> {
    let filter = Filter::read(query)?;
    if filter.is_empty() {
        return crate::routes::documents::list(app, caller, query, Approval::KIND).await;
    }
    let paging = Paging::read(query, caller.tenant(), Approval::KIND, Order::Descending)?;
    let inbox = Inbox::of(app, caller).await?;
    let statuses = query.text("status").unwrap_or_default();
    let mut asked = DocumentQuery {
        kind: Approval::KIND.to_owned(),
        statuses: statuses
            .split(',')
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect(),
        subject: query.get("subject")?,
        directive: query.get("directive")?,
        beyond_seq: paging.beyond_seq,
        order: paging.order,
        limit: limits::PAGE_ROWS_MAX,
    };
    let mut kept = Vec::new();
    for read in 1.. {
        let store = app.ledger().store();
        let rows = store.documents(caller.tenant(), &asked).await?;
        let more = rows.len() == limits::PAGE_ROWS_MAX;
        for row in rows {
            asked.beyond_seq = Some(row.created_seq);
            if filter.keeps(&parsed(&row)?, &inbox) {
                kept.push(row);
            }
            if kept.len() == paging.limit {
                break;
            }
        }
        let full = kept.len() == paging.limit;
        if full || !more || read == READS_MAX {
            let items = kept.into_iter().map(Resource::of).collect::<Answer<_>>()?;
            let next = (full || more).then_some(asked.beyond_seq).flatten();
            return Ok(Page {
                items,
                next_cursor: next.map(|seq| paging.close(seq)),
            });
        }
    }
    Err(Problem::new(Kind::Internal, "a listing without an end"))
}
