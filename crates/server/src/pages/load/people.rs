//! Principals and their keys.

use super::common::newest;
use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::people::{KeyRow, PrincipalRow, principals_page};
use crate::pages::visit::{Visit, shown};
use axum::response::Response;
use flow::identity::{Key, Principal};
use kernel::limits;

pub(crate) async fn principals(visit: Visit) -> Answer<Response> {
    let keys = visit.list::<Key>(newest(limits::PAGE_ROWS_MAX)).await?;
    let found = visit
        .list::<Principal>(newest(limits::PAGE_ROWS_MAX))
        .await?;
    let keys_of = |id: &str| {
        let own = keys.iter().filter(|(_, k)| k.principal.to_string() == id);
        own.map(|(key, k)| KeyRow {
            id: key.clone(),
            name: k.name.clone(),
            status: k.status.to_string(),
            issued_at: k.issued_at,
            expires_at: k.expires_at,
        })
        .collect()
    };
    let rows: Vec<PrincipalRow> = found
        .iter()
        .map(|(id, principal)| PrincipalRow {
            id: id.clone(),
            name: principal.name.clone(),
            kind: principal.kind.to_string(),
            roles: principal.roles.iter().map(ToString::to_string).collect(),
            status: principal.status.to_string(),
            keys: keys_of(id),
        })
        .collect();
    let frame = visit.frame(Section::Principals).await?;
    shown(principals_page(&frame, &rows))
}
