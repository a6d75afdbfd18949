//! Where data may be and where it went: whether everything that can be reached
//! is attested, and how calls and money were spread over regions. Reads alone.

use crate::control::Control;
use crate::force::checked;
use gate::Rules;
use gate::budget::{Reservation, ReservationEvent};
use gate::residency::{self, Line, Reached, Regions};
use kernel::{Aggregate, Event as _, Money, Ratio, Refusal, TenantId, Timestamp};
use ledger::Store;
use ledger::query::{EntryQuery, Order};
use pack::{Files, Pack};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Entries of one kind that are looked at, the newest.
const ENTRIES_MAX: usize = 5_000;
/// Days that a report goes back, at most.
pub const DAYS_MAX: u32 = 92;

/// What `writ residency check` reports.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// When it was made.
    pub at: Timestamp,
    /// From when on calls are counted; `None` when none are.
    pub since: Option<Timestamp>,
    /// The allowed regions; `None` when the pack declares none.
    pub allowed: Option<Regions>,
    /// How many endpoints nothing is wrong with.
    pub attested: usize,
    /// How many there are.
    pub total: usize,
    /// The share of the first in the second.
    pub share: Ratio,
    /// Everything that is wrong; empty when nothing is.
    pub faults: Vec<String>,
    /// Every endpoint.
    pub endpoints: Vec<Used>,
    /// How calls and money were spread.
    pub distribution: Vec<Spread>,
    /// Whether there were more calls than were counted: the newest were.
    pub truncated: bool,
}

/// An endpoint and how it was used.
#[derive(Clone, Debug, Serialize)]
pub struct Used {
    /// The endpoint.
    #[serde(flatten)]
    pub line: Line,
    /// How often it was called.
    pub calls: u64,
    /// What that cost, by currency.
    pub money: Vec<Money>,
}

/// A region and its share.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Spread {
    /// The region; empty for what nobody says a region of.
    pub region: String,
    /// How many endpoints are in it.
    pub endpoints: usize,
    /// The share of all endpoints.
    pub endpoints_share: Ratio,
    /// How many calls reached it.
    pub calls: u64,
    /// The share of all calls.
    pub calls_share: Ratio,
    /// What they cost, by currency.
    pub money: Vec<Cost>,
}

/// An amount and its share of all that was spent in its currency.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// The amount.
    pub amount: Money,
    /// Its share.
    pub share: Ratio,
}

/// Calls and what they cost.
#[derive(Clone, Debug, Default)]
struct Sum {
    calls: u64,
    money: BTreeMap<String, Money>,
}

impl Sum {
    fn add(&mut self, calls: u64, money: Option<Money>) -> Result<(), Refusal> {
        self.calls = self.calls.saturating_add(calls);
        let Some(money) = money else { return Ok(()) };
        let currency = money.currency().code().to_owned();
        let sum = match self.money.get(&currency) {
            Some(sum) => sum.plus(&money)?,
            None => money,
        };
        self.money.insert(currency, sum);
        Ok(())
    }
}

/// How endpoints were used.
#[derive(Clone, Debug)]
pub struct Usage {
    since: Timestamp,
    by_endpoint: BTreeMap<(String, String), Sum>,
    is_whole: bool,
}

/// How endpoints were used since then, as reservations recorded it. A call
/// that reached several endpoints counts at each, and its money at its own.
///
/// # Errors
/// When storage does not answer, or a record does not parse.
pub async fn usage(
    store: &dyn Store,
    tenant: TenantId,
    since: Timestamp,
) -> Result<Usage, Refusal> {
    let (held, mut is_whole) = events(store, tenant, "reservation.held", since).await?;
    let mut charges: BTreeMap<String, Option<Money>> = BTreeMap::new();
    for kind in [
        "reservation.settled",
        "reservation.expired",
        "reservation.released",
    ] {
        let (found, whole) = events(store, tenant, kind, since).await?;
        is_whole &= whole;
        for (id, event) in found {
            let charge = match event {
                ReservationEvent::Settled(c) | ReservationEvent::Expired(c) => Some(c.amount),
                _ => None,
            };
            charges.insert(id, charge);
        }
    }
    let mut usage = Usage {
        since,
        by_endpoint: BTreeMap::new(),
        is_whole,
    };
    for (id, event) in held {
        let ReservationEvent::Held(held) = event else {
            continue;
        };
        let money = match charges.get(&id) {
            // Given back: the call was not made.
            Some(None) => continue,
            Some(Some(charged)) => *charged,
            None => held.ask.amount,
        };
        for (at, Reached { endpoint, region }) in held.ask.reached.into_iter().enumerate() {
            let sum = usage.by_endpoint.entry((endpoint, region)).or_default();
            sum.add(1, (at == 0).then_some(money))?;
        }
    }
    Ok(usage)
}

/// The newest events of a kind, by reservation, and whether that is all.
async fn events(
    store: &dyn Store,
    tenant: TenantId,
    kind: &str,
    since: Timestamp,
) -> Result<(Vec<(String, ReservationEvent)>, bool), Refusal> {
    let query = EntryQuery {
        kind: Some(kind.to_owned()),
        from: Some(since),
        order: Order::Descending,
        limit: ENTRIES_MAX,
        ..EntryQuery::default()
    };
    let entries = store.entries(tenant, &query).await?;
    let is_whole = entries.len() < ENTRIES_MAX;
    let mut found = Vec::new();
    for entry in entries {
        let payload = serde_json::from_str(&entry.payload)
            .map_err(|e| Refusal::integrity(format!("entry `{}`: {e}", entry.id)))?;
        let event = ReservationEvent::decode(&entry.kind, &payload)?;
        debug_assert_eq!(entry.stream.kind(), Reservation::KIND);
        found.push((entry.stream.id().to_owned(), event));
    }
    Ok((found, is_whole))
}

/// Puts a report together from rules and, where a ledger is at hand, from how
/// endpoints were used.
///
/// # Errors
/// When sums are too large to be counted.
pub fn report(rules: &Rules, at: Timestamp, usage: Option<Usage>) -> Result<Report, Refusal> {
    let since = usage.as_ref().map(|usage| usage.since);
    let usage = usage.unwrap_or(Usage {
        since: at,
        by_endpoint: BTreeMap::new(),
        is_whole: true,
    });
    let lines = residency::coverage(rules, at);
    let allowed = rules
        .residency
        .as_ref()
        .map(|settings| settings.regions.clone());
    let mut faults: Vec<String> = lines
        .iter()
        .flat_map(|line| {
            line.faults
                .iter()
                .map(|f| format!("{}: {f}", line.endpoint))
        })
        .collect();
    faults.extend(astray(&usage, allowed.as_ref(), &lines));
    let attested = lines.iter().filter(|line| line.faults.is_empty()).count();
    let distribution = distribution(&usage, &lines)?;
    let total = lines.len();
    Ok(Report {
        at,
        since,
        allowed,
        attested,
        total,
        share: match total {
            0 => Ratio::ONE,
            _ => ratio(attested, total),
        },
        faults,
        endpoints: lines.into_iter().map(|line| used(&usage, line)).collect(),
        distribution,
        truncated: !usage.is_whole,
    })
}

fn ratio(part: usize, whole: usize) -> Ratio {
    let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    Ratio::of(number(part), number(whole))
}

fn used(usage: &Usage, line: Line) -> Used {
    let own = usage.by_endpoint.iter();
    let own = own.filter(|((endpoint, _), _)| *endpoint == line.endpoint);
    let mut sum = Sum::default();
    for (_, part) in own {
        sum.calls = sum.calls.saturating_add(part.calls);
        for money in part.money.values() {
            // A sum that is too large was refused when regions were summed up.
            drop(sum.add(0, Some(*money)));
        }
    }
    Used {
        line,
        calls: sum.calls,
        money: sum.money.into_values().collect(),
    }
}

/// Calls that went where nothing may go now.
fn astray(usage: &Usage, allowed: Option<&Regions>, lines: &[Line]) -> Vec<String> {
    let known: BTreeSet<&str> = lines.iter().map(|line| line.endpoint.as_str()).collect();
    let mut faults = Vec::new();
    for ((endpoint, region), sum) in &usage.by_endpoint {
        let calls = match sum.calls {
            1 => "1 call".to_owned(),
            calls => format!("{calls} calls"),
        };
        if allowed.is_none_or(|allowed| !allowed.hold(region)) {
            faults.push(format!(
                "{endpoint}: {calls} since {} reached region `{region}`, which is not allowed now",
                usage.since
            ));
        } else if !known.contains(endpoint.as_str()) {
            faults.push(format!(
                "{endpoint}: {calls} since {} reached it, and it has no entry now",
                usage.since
            ));
        }
    }
    faults
}

fn distribution(usage: &Usage, lines: &[Line]) -> Result<Vec<Spread>, Refusal> {
    let mut regions: BTreeMap<String, (usize, Sum)> = BTreeMap::new();
    for line in lines {
        let region = line.region.clone().unwrap_or_default();
        regions.entry(region).or_default().0 += 1;
    }
    let mut all = Sum::default();
    for ((_, region), sum) in &usage.by_endpoint {
        let of_region = &mut regions.entry(region.clone()).or_default().1;
        for into in [of_region, &mut all] {
            into.add(sum.calls, None)?;
            for money in sum.money.values() {
                into.add(0, Some(*money))?;
            }
        }
    }
    let spread = regions
        .into_iter()
        .map(|(region, (endpoints, sum))| Spread {
            region,
            endpoints,
            endpoints_share: ratio(endpoints, lines.len()),
            calls: sum.calls,
            calls_share: Ratio::of(sum.calls, all.calls),
            money: costs(&sum, &all),
        });
    Ok(spread.collect())
}

fn costs(sum: &Sum, all: &Sum) -> Vec<Cost> {
    let each = sum.money.iter().map(|(currency, amount)| {
        let whole = all.money.get(currency).unwrap_or(amount);
        Cost {
            amount: *amount,
            share: amount.share_of(whole),
        }
    });
    each.collect()
}

impl Control {
    /// The report for a tenant, counting the calls since then.
    ///
    /// # Errors
    /// `unavailable` when the tenant has no pack, and what storage says.
    pub async fn residency(&self, tenant: TenantId, since: Timestamp) -> Result<Report, Refusal> {
        let in_force = self.in_force(tenant)?;
        let usage = usage(self.ledger().store(), tenant, since).await?;
        report(&in_force.pack.rules, self.now(), Some(usage))
    }

    /// Refuses while this node keeps data where the first tenant's pack says
    /// that it may not be. Other tenants' packs stop their own tenants only, at
    /// the gate.
    ///
    /// # Errors
    /// `unavailable`, naming every store that is at fault and the rule.
    pub fn may_keep_data(&self) -> Result<(), Refusal> {
        match self.force().first() {
            Some((tenant, in_force)) => {
                let whose = format!("tenant `{tenant}`, pack `{}`", in_force.pack.manifest.name);
                stores_fit(&in_force.pack, &whose, self.now())
            }
            None => Ok(()),
        }
    }

    /// Refuses while this node keeps data where it may not be: by the pack of
    /// the first tenant, or, where none is in force yet, by this one, which is
    /// about to be.
    ///
    /// # Errors
    /// As [`Control::may_keep_data`], and every fault of the pack.
    pub fn may_begin(&self, with: Option<&Files>) -> Result<(), Refusal> {
        let Some(files) = with.filter(|_| self.force().first().is_none()) else {
            return self.may_keep_data();
        };
        let mut pack = checked(files)?;
        pack.kept_in(self.force().stores())?;
        let whose = format!("pack `{}`", pack.manifest.name);
        stores_fit(&pack, &whose, self.now())
    }
}

/// Refuses when this node's stores are not where data of this pack may be.
///
/// # Errors
/// `unavailable`, naming every store that is at fault and the rule.
pub(crate) fn stores_fit(pack: &Pack, whose: &str, at: Timestamp) -> Result<(), Refusal> {
    let faults: Vec<String> = pack
        .check_stores(at)
        .iter()
        .map(ToString::to_string)
        .collect();
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Refusal::unavailable(format!(
            "this node may not keep data where it is started ({whose}): {}",
            faults.join("; ")
        ))
        .hint(format!(
            "start writ on stores in an allowed region, or load a pack whose `{}` names and \
             attests them",
            residency::FILE
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shared_by_currency_and_never_more_than_whole() {
        for (part, whole, ppm) in [
            ("0 EUR", "3 EUR", 0),
            ("1 EUR", "3 EUR", 333_333),
            ("3 EUR", "3 EUR", 1_000_000),
            ("4 EUR", "3 EUR", 1_000_000),
            ("0.000001 EUR", "79228162514264 EUR", 0),
            ("1 USD", "3 EUR", 0),
            ("0 EUR", "0 EUR", 0),
        ] {
            let money = |text| Money::parse(text, None).unwrap();
            let share = money(part).share_of(&money(whole));
            assert_eq!(share.ppm(), ppm, "{part} of {whole}");
        }
    }

    #[test]
    fn a_region_has_its_share_of_endpoints_calls_and_money() {
        let money = |text| Money::parse(text, None).unwrap();
        let mut usage = Usage {
            since: Timestamp::from_micros(0),
            by_endpoint: BTreeMap::new(),
            is_whole: true,
        };
        for (endpoint, region, calls, cost) in [
            ("a", "eu", 1, "1 EUR"),
            ("b", "us", 3, "3 EUR"),
            ("b", "us", 4, "5 USD"),
        ] {
            let key = (endpoint.to_owned(), region.to_owned());
            let sum = usage.by_endpoint.entry(key).or_default();
            sum.add(calls, Some(money(cost))).unwrap();
        }
        let line = |endpoint: &str, region: Option<&str>| Line {
            endpoint: endpoint.to_owned(),
            region: region.map(str::to_owned),
            by: None,
            until: None,
            faults: Vec::new(),
        };
        let lines = [
            line("a", Some("eu")),
            line("b", Some("us")),
            line("c", None),
        ];
        let spread: Vec<_> = distribution(&usage, &lines)
            .unwrap()
            .into_iter()
            .map(|s| {
                let money = s.money.iter();
                let money = money.map(|c| (c.amount.to_string(), c.share.ppm()));
                let calls = (s.calls, s.calls_share.ppm());
                (
                    s.region,
                    s.endpoints_share.ppm(),
                    calls,
                    Vec::from_iter(money),
                )
            })
            .collect();
        let text = |s: &str| s.to_owned();
        let expected = [
            (text(""), 333_333, (0, 0), Vec::new()),
            (
                text("eu"),
                333_333,
                (1, 125_000),
                vec![(text("1.00 EUR"), 250_000)],
            ),
            (
                text("us"),
                333_333,
                (7, 875_000),
                vec![(text("3.00 EUR"), 750_000), (text("5.00 USD"), 1_000_000)],
            ),
        ];
        assert_eq!(spread, expected);
        assert_eq!(used(&usage, line("b", None)).calls, 7);
    }
}
