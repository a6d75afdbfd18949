//! The first page.

use super::budgets::counters;
use super::common::{Names, in_status};
use super::lists::{incident_row, objective, run_row, waiting};
use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::ledger::EntryRow;
use crate::pages::view::overview::{OverviewView, overview_page};
use crate::pages::visit::{Visit, shown};
use act::Run;
use act::run::RunStatus;
use axum::response::Response;
use gate::access::Permission;
use kernel::names::Name;
use ledger::{EntryQuery, Order};
use sense::incident::{Incident, IncidentStatus};

/// Rows of each part.
const ROWS: usize = 8;

pub(crate) async fn overview(visit: Visit) -> Answer<Response> {
    let names = Names::of(&visit).await?;
    let mut view = OverviewView::default();
    if visit.may(Permission::ApprovalRead) {
        view.approvals = Some(waiting(&visit).await?);
    }
    if visit.may(Permission::IncidentRead) {
        use IncidentStatus::{Acknowledged, Mitigating, Open};
        let open = [Open, Acknowledged, Mitigating].map(Name::name);
        let found = visit.list::<Incident>(in_status(&open, ROWS)).await?;
        view.incidents = Some(found.iter().map(|(_, i)| incident_row(i)).collect());
    }
    if visit.may(Permission::RunRead) {
        let open = [RunStatus::Pending, RunStatus::Running].map(Name::name);
        let mut rows = Vec::new();
        for (_, run) in visit.list::<Run>(in_status(&open, ROWS)).await? {
            rows.push(run_row(&run, objective(&visit, &run).await?));
        }
        view.runs = Some(rows);
    }
    if visit.may(Permission::BudgetRead) {
        let mut fullest = counters(&visit).await?;
        fullest.sort_by_key(|c| std::cmp::Reverse(c.gauge.after));
        fullest.truncate(ROWS / 2);
        view.budgets = Some(fullest);
    }
    if visit.may(Permission::LedgerRead) {
        let store = visit.app.ledger().store();
        let tenant = visit.caller.tenant();
        let head = store.head(tenant).await?;
        view.head = Some((head.seq, head.hash.to_string()));
        let latest = EntryQuery {
            order: Order::Descending,
            limit: ROWS,
            ..EntryQuery::default()
        };
        let entries = store.entries(tenant, &latest).await?;
        let rows: Vec<EntryRow> = entries.iter().map(|e| names.row(e)).collect();
        view.entries = Some(rows);
    }
    let frame = visit.frame(Section::Overview).await?;
    shown(overview_page(&frame, &view))
}
