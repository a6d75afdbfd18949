//! What was done, and by which right: directives and their runs, permits, and
//! the kill switch. No step starts but by an approved directive that executes,
//! with a permit of its own, that no engaged scope covers.

use super::approvals::{Approvals, Status as Approval};
use super::{Fault, Judged, Read};
use kernel::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Acts {
    approvals: Approvals,
    directives: BTreeMap<String, Directive>,
    /// Of each run, its directive and the digest that it runs.
    runs: BTreeMap<String, Run>,
    permits: BTreeMap<String, Permit>,
    engaged: BTreeMap<String, Option<String>>,
    attempts: BTreeMap<String, Attempt>,
}

struct Directive {
    status: &'static str,
    digest: String,
    issuer: String,
    approval: Option<String>,
}

struct Run {
    directive: String,
    digest: String,
    /// The step that is in the air: its key, and until when.
    flying: BTreeMap<String, (String, Timestamp)>,
}

struct Permit {
    status: &'static str,
    issued: serde_json::Value,
}

/// Attempts under one idempotency key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempt {
    pub(crate) started: usize,
    pub(crate) idempotent: bool,
    pub(crate) is_compensation: bool,
    /// Whether it succeeded, as the ledger says; by the module's own word.
    pub(crate) succeeded: bool,
    /// Whether the other side said no, as the ledger says.
    pub(crate) refused: bool,
    /// Whether some attempt ended without anybody knowing how.
    pub(crate) unknown: bool,
    pub(crate) module: String,
}

/// What may happen to a directive: what happens, from where, and to where;
/// `-` is where it stays. Written down from the specification, not from the
/// code.
const MOVES: &[(&str, &[&str], &str)] = &[
    ("directive.edited", &["draft", "proposed", "blocked"], "-"),
    ("directive.proposed", &["draft"], "proposed"),
    ("directive.retried", &["blocked"], "proposed"),
    ("directive.approval_awaited", &["proposed"], "-"),
    (
        "directive.queued",
        &["proposed", "approved", "executing", "paused"],
        "-",
    ),
    ("directive.approved", &["proposed"], "approved"),
    ("directive.blocked", &["proposed", "approved"], "blocked"),
    ("directive.started", &["approved"], "executing"),
    ("directive.paused", &["executing"], "paused"),
    ("directive.resumed", &["paused"], "executing"),
    ("directive.completed", &["executing"], "complete"),
    ("directive.aborted", &["executing", "paused"], "aborted"),
    (
        "directive.expired",
        &["draft", "proposed", "approved", "blocked", "paused"],
        "expired",
    ),
];

impl Acts {
    pub(super) fn attempts(&self) -> impl Iterator<Item = (String, Attempt)> + '_ {
        self.attempts
            .iter()
            .map(|(key, attempt)| (key.clone(), attempt.clone()))
    }

    pub(super) fn read(&mut self, read: &Read<'_>) -> Judged {
        self.approvals.read(read)?;
        match read.kind() {
            "directive.drafted" => self.draft(read),
            kind if kind.starts_with("directive.") => self.directive(read),
            "permit.issued" => self.issue(read),
            "permit.used" => self.permit(read, "issued", "used"),
            "permit.voided" => self.permit(read, "issued", "void"),
            "kill_switch.engaged" => {
                self.engaged.insert(read.need("/scope")?.to_owned(), None);
                Ok(())
            }
            "kill_switch.release_requested" => {
                let by = Some(read.entry.actor.to_string());
                self.engaged.insert(read.need("/scope")?.to_owned(), by);
                Ok(())
            }
            "kill_switch.released" => self.release(read),
            "run.created" => self.run(read),
            "run.step_started" => self.start(read),
            "run.step_succeeded"
            | "run.step_failed"
            | "run.step_unknown"
            | "run.step_retry_scheduled" => self.end(read),
            _ => Ok(()),
        }
    }

    fn draft(&mut self, read: &Read<'_>) -> Judged {
        let directive = Directive {
            status: "draft",
            digest: read.need("/digest")?.to_owned(),
            issuer: read.need("/contract/issued_by")?.to_owned(),
            approval: None,
        };
        match self.directives.insert(read.id().to_owned(), directive) {
            None => Ok(()),
            Some(_) => Err(read.fault("lifecycle", "it was drafted before")),
        }
    }

    fn directive(&mut self, read: &Read<'_>) -> Judged {
        let row = MOVES.iter().find(|(kind, ..)| *kind == read.kind());
        let (_, from, to) = row.ok_or_else(|| read.fault("lifecycle", "no such move"))?;
        let found = self.directives.get_mut(read.id());
        let directive = found.ok_or_else(|| read.fault("lifecycle", "it was not drafted"))?;
        if !from.contains(&directive.status) {
            let status = directive.status;
            return Err(read.fault("lifecycle", format!("it is {status}")));
        }
        if *to != "-" {
            directive.status = to;
        }
        match read.kind() {
            "directive.edited" => directive.digest = read.need("/digest")?.to_owned(),
            "directive.approved" => {
                let id = read.need("/approval")?;
                let given = self.approvals.get(id).is_some_and(|approval| {
                    approval.status == Approval::Approved
                        && approval.directive == read.id()
                        && approval.digest == directive.digest
                });
                if !given || read.need("/digest")? != directive.digest {
                    return Err(read.fault("approval", "nobody approved this version"));
                }
                directive.approval = Some(id.to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    fn issue(&mut self, read: &Read<'_>) -> Judged {
        let permit = Permit {
            status: "issued",
            issued: read.payload.clone(),
        };
        match self.permits.insert(read.id().to_owned(), permit) {
            None => Ok(()),
            Some(_) => Err(read.fault("permit", "it was issued before")),
        }
    }

    fn permit(&mut self, read: &Read<'_>, from: &str, to: &'static str) -> Judged {
        let found = self.permits.get_mut(read.id());
        let permit = found.ok_or_else(|| read.fault("permit", "it was not issued"))?;
        if permit.status != from {
            return Err(read.fault("permit", format!("it is {}", permit.status)));
        }
        permit.status = to;
        if to != "used" {
            return Ok(());
        }
        let ends = permit.issued["expires_at"].as_str().unwrap_or_default();
        let ends = Timestamp::parse(ends).map_err(|_| read.fault("shape", "no instant"))?;
        let same = permit.issued["arguments"] == read.payload["arguments"];
        match same && read.entry.at < ends {
            true => Ok(()),
            false => Err(read.fault("permit", "it is used for other arguments, or too late")),
        }
    }

    fn release(&mut self, read: &Read<'_>) -> Judged {
        let scope = read.need("/scope")?;
        let asked = self.engaged.remove(scope).flatten();
        let second = read.entry.actor.to_string();
        match asked {
            Some(first) if first != second => Ok(()),
            _ => Err(read.fault("kill switch", "it is released by one person alone")),
        }
    }

    fn run(&mut self, read: &Read<'_>) -> Judged {
        let (directive, digest) = (read.need("/directive")?, read.need("/digest")?);
        let run = Run {
            directive: directive.to_owned(),
            digest: digest.to_owned(),
            flying: BTreeMap::new(),
        };
        self.runs.insert(read.id().to_owned(), run);
        let found = self.directives.get(directive);
        match found.is_some_and(|d| d.digest == digest) {
            true => Ok(()),
            false => Err(read.fault("approval", "it runs another version")),
        }
    }

    /// What keeps a call of this module in a directive of this issuer. Undoing
    /// is kept by the scope of its own module only.
    fn stopped(&self, module: &str, issuer: &str, is_compensation: bool) -> Option<&str> {
        let tool = format!("tool:{module}");
        let agent = format!("agent:{}", issuer.split_once(':').map_or("", |(_, id)| id));
        let covers = |scope: &&String| match is_compensation {
            true => **scope == tool,
            false => {
                let scope = scope.as_str();
                scope == "global" || scope == "tenant" || scope == tool || scope == agent
            }
        };
        // Undoing is for its own module's switch alone, whatever else is
        // engaged; doing is for any.
        self.engaged.keys().find(covers).map(String::as_str)
    }

    fn start(&mut self, read: &Read<'_>) -> Judged {
        let is_compensation = read.need("/phase")? == "compensation";
        let module = read.need("/module")?;
        let step = read.need("/step")?;
        let run = self.runs.get(read.id());
        let run = run.ok_or_else(|| read.fault("permit", "no such run"))?;
        let directive = self.directives.get(&run.directive);
        let directive = directive.ok_or_else(|| read.fault("permit", "no such directive"))?;
        let approval = directive
            .approval
            .as_ref()
            .and_then(|id| self.approvals.get(id));
        let fits =
            |a: &super::approvals::Approval| a.status == Approval::Used && a.digest == run.digest;
        if !approval.is_some_and(fits) || directive.digest != run.digest {
            return Err(read.fault("approval", "it starts unapproved"));
        }
        if !is_compensation && directive.status != "executing" {
            let status = directive.status;
            return Err(read.fault("approval", format!("its directive is {status}")));
        }
        if let Some(scope) = self.stopped(module, &directive.issuer, is_compensation) {
            return Err(read.fault("kill switch", format!("`{scope}` is engaged")));
        }
        let target = match is_compensation {
            true => format!("compensation/{step}"),
            false => format!("step/{step}"),
        };
        let id = read.need("/permit")?;
        let permit = self.permits.get_mut(id).filter(|p| p.status == "used");
        let permit =
            permit.ok_or_else(|| read.fault("permit", "its permit was not used for it"))?;
        // From here on nobody else can start with it.
        permit.status = "spent";
        let bound = [
            ("run", read.id()),
            ("directive", &run.directive),
            ("digest", &run.digest),
            ("module", module),
            ("arguments", read.need("/arguments")?),
            ("reservation", read.need("/reservation")?),
        ];
        for (member, expected) in bound {
            if permit.issued[member] != expected {
                return Err(read.fault("permit", format!("its permit is for another {member}")));
            }
        }
        let for_target = permit.issued["target"].as_str().unwrap_or_default();
        if for_target.split('#').next() != Some(&target) {
            return Err(read.fault("permit", format!("its permit is for `{for_target}`")));
        }
        self.fly(read, is_compensation)
    }

    fn fly(&mut self, read: &Read<'_>, is_compensation: bool) -> Judged {
        let key = read.need("/idempotency_key")?.to_owned();
        let lease = Timestamp::parse(read.need("/lease_until")?)
            .map_err(|_| read.fault("shape", "no instant"))?;
        let attempt = self.attempts.entry(key.clone()).or_default();
        attempt.started += 1;
        attempt.is_compensation = is_compensation;
        attempt.idempotent = read.payload["idempotent"].as_bool() == Some(true);
        attempt.module = read.need("/module")?.to_owned();
        if let Some(run) = self.runs.get_mut(read.id()) {
            let place = format!("{}/{}", read.need("/phase")?, read.need("/step")?);
            run.flying.insert(place, (key, lease));
        }
        Ok(())
    }

    fn end(&mut self, read: &Read<'_>) -> Judged {
        let place = format!("{}/{}", read.need("/phase")?, read.need("/step")?);
        let run = self.runs.get_mut(read.id());
        let flying = run.and_then(|run| run.flying.remove(&place));
        let (key, _) = flying.ok_or_else(|| read.fault("lifecycle", "nothing was started"))?;
        let attempt = self.attempts.entry(key).or_default();
        match read.need("/ending")? {
            "success" => attempt.succeeded = true,
            "failure" => attempt.refused = true,
            "unknown" | "interrupted" | "cut_off" => attempt.unknown = true,
            _ => {}
        }
        Ok(())
    }

    /// Nothing is in the air beyond its lease, and no permit waits beyond its
    /// time.
    pub(super) fn rest(&self, now: Timestamp) -> Judged {
        for (id, run) in &self.runs {
            if run.flying.values().any(|(_, lease)| *lease <= now) {
                return Err(Fault::new(
                    "lifecycle",
                    format!("a step of `{id}` is in the air"),
                ));
            }
        }
        let waits = |permit: &&Permit| permit.status == "issued";
        let over: BTreeSet<_> = self
            .permits
            .values()
            .filter(waits)
            .map(|p| {
                p.issued["expires_at"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
        match over.first().and_then(|at| Timestamp::parse(at).ok()) {
            Some(at) if at <= now => Err(Fault::new(
                "permit",
                format!("one that ended at {at} waits"),
            )),
            _ => Ok(()),
        }
    }
}
