//! The keys that people sign their decisions with.

use super::common::{Names, newest};
use crate::http::problem::Answer;
use crate::pages::view::Section;
use crate::pages::view::signing_keys::{SigningKeyRow, SigningKeysView, signing_keys_page};
use crate::pages::visit::{Visit, shown};
use axum::response::Response;
use gate::SigningKey;
use gate::access::Permission;
use gate::signing_key::{Hand, Status};
use kernel::{PrincipalKind, limits};

pub(crate) async fn signing_keys(visit: Visit) -> Answer<Response> {
    let names = Names::of(&visit).await?;
    let found = visit
        .list::<SigningKey>(newest(limits::PAGE_ROWS_MAX))
        .await?;
    let own = visit.caller.actor();
    let manages = visit.may(Permission::SigningKeyManage);
    let registers = visit.may(Permission::SigningKeyRegister);
    let hand = |hand: &Hand| (names.who(&hand.by), hand.at);
    let keys = found.into_iter().map(|(id, key)| SigningKeyRow {
        id,
        name: key.registered.name,
        owner: names.who(&key.owner),
        status: key.status.to_string(),
        public: key.registered.public.to_string(),
        registered_at: key.registered_at,
        confirmed: key.confirmed.as_ref().map(hand),
        revoked: key.revoked.as_ref().map(hand),
        reason: key.reason,
        may_confirm: manages && key.owner != *own && key.status == Status::Registered,
        may_revoke: (manages || key.owner == *own) && key.status != Status::Revoked,
    });
    let view = SigningKeysView {
        registers: (registers && own.kind == PrincipalKind::Human).then(|| own.to_string()),
        tenant: visit.caller.tenant().to_string(),
        keys: keys.collect(),
    };
    let frame = visit.frame(Section::Approvals).await?;
    shown(signing_keys_page(&frame, &view))
}
