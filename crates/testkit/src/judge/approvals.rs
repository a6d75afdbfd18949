//! Who said yes to what. An approval that nobody who may has given in time, for
//! exactly what stands in it, approves nothing.

use super::{Fault, Judged, Read};
use kernel::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Pending,
    Approved,
    Used,
    Over,
}

pub(super) struct Approval {
    pub(super) status: Status,
    pub(super) directive: String,
    pub(super) digest: String,
    needed: u64,
    barred: BTreeSet<String>,
    expires_at: Timestamp,
    said_yes: BTreeSet<String>,
}

#[derive(Default)]
pub(super) struct Approvals(BTreeMap<String, Approval>);

const RULE: &str = "approval";

impl Approvals {
    pub(super) fn get(&self, id: &str) -> Option<&Approval> {
        self.0.get(id)
    }

    pub(super) fn read(&mut self, read: &Read<'_>) -> Judged {
        use Status::{Approved, Over, Pending, Used};
        let (from, to): (&[Status], Status) = match read.kind() {
            "approval.requested" => return self.request(read),
            "approval.endorsed" => {
                self.yes(read)?;
                return self.move_to(read, &[Pending], Pending);
            }
            "approval.approved" => {
                self.give(read)?;
                (&[Pending], Approved)
            }
            "approval.escalated" => (&[Pending], Pending),
            "approval.rejected" | "approval.expired" => (&[Pending], Over),
            "approval.voided" => (&[Pending, Approved], Over),
            "approval.used" => (&[Approved], Used),
            _ => return Ok(()),
        };
        self.move_to(read, from, to)
    }

    fn request(&mut self, read: &Read<'_>) -> Judged {
        let texts = |pointer: &str| {
            let found = read.payload.pointer(pointer).and_then(|v| v.as_array());
            let texts = found.into_iter().flatten().filter_map(|v| v.as_str());
            texts.map(ToOwned::to_owned).collect::<BTreeSet<_>>()
        };
        let expires_at = read.need("/expires_at")?;
        let approval = Approval {
            status: Status::Pending,
            directive: read.need("/binding/directive")?.to_owned(),
            digest: read.need("/binding/digest")?.to_owned(),
            needed: read.payload["needed"].as_u64().unwrap_or(u64::MAX),
            barred: texts("/barred"),
            expires_at: Timestamp::parse(expires_at)
                .map_err(|_| read.fault("shape", "no instant"))?,
            said_yes: BTreeSet::new(),
        };
        match self.0.insert(read.id().to_owned(), approval) {
            None => Ok(()),
            Some(_) => Err(read.fault(RULE, "it was requested before")),
        }
    }

    fn one(&mut self, read: &Read<'_>) -> Result<&mut Approval, Fault> {
        let found = self.0.get_mut(read.id());
        found.ok_or_else(|| read.fault(RULE, "it was not requested"))
    }

    fn move_to(&mut self, read: &Read<'_>, from: &[Status], to: Status) -> Judged {
        let approval = self.one(read)?;
        if !from.contains(&approval.status) {
            return Err(read.fault("lifecycle", format!("it is {:?}", approval.status)));
        }
        approval.status = to;
        Ok(())
    }

    /// A person says yes: in time, to what they saw, once, and to nothing of
    /// their own.
    fn yes(&mut self, read: &Read<'_>) -> Judged {
        let seen = read.need("/seen")?.to_owned();
        let by = read.entry.actor.to_string();
        let at = read.entry.at;
        let approval = self.one(read)?;
        let barred = approval.barred.contains(&by);
        let fault = match () {
            () if seen != approval.digest => "another version was seen",
            () if at >= approval.expires_at => "it is too late",
            () if barred => "they may not agree to what they wrote",
            () if !by.starts_with("human:") => "only people agree",
            () if !approval.said_yes.insert(by) => "they said so before",
            () => return Ok(()),
        };
        Err(read.fault(RULE, fault))
    }

    fn give(&mut self, read: &Read<'_>) -> Judged {
        let is_person = read.payload["human_override"].as_bool() == Some(true);
        if is_person {
            self.yes(read)?;
        }
        let approval = self.one(read)?;
        match approval.said_yes.len() as u64 >= approval.needed {
            true => Ok(()),
            false => Err(read.fault(RULE, format!("{} are needed", approval.needed))),
        }
    }
}
