//! Double-entry books of what was set aside and spent: every movement of a
//! counter is the movement of one reservation, caps hold at each of them, and
//! a reservation that is over holds nothing.

use super::amount::Amount;
use super::{Fault, Judged, Read};
use kernel::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

struct Counter {
    hard: Amount,
    consumed: Amount,
    /// What each reservation holds of it.
    held: BTreeMap<String, Amount>,
}

impl Counter {
    fn used(&self) -> Result<Amount, Fault> {
        self.held
            .values()
            .try_fold(self.consumed.clone(), |sum, amount| sum.plus(amount))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Status {
    Held,
    /// It was closed in this way, and cost so much money.
    Over {
        way: &'static str,
        cost: Option<Amount>,
    },
}

struct Reservation {
    status: Status,
    until: Timestamp,
    /// By counter, what it set aside.
    lines: BTreeMap<String, Amount>,
    /// By counter, in which way it was closed there, and what was charged.
    closed: BTreeMap<String, (&'static str, Option<Amount>)>,
}

impl Reservation {
    /// What each counter must say of it once it is over: what was reported is
    /// charged, and a call is a call whatever it cost.
    fn closing(&self) -> BTreeMap<String, (&'static str, Option<Amount>)> {
        let Status::Over { way, cost } = &self.status else {
            return BTreeMap::new();
        };
        let charge = |aside: &Amount| match (*way, cost) {
            ("released", _) => None,
            ("settled", Some(cost)) if cost.same_unit(aside) => Some(cost.clone()),
            _ => Some(aside.clone()),
        };
        let lines = self.lines.iter();
        lines
            .map(|(counter, aside)| (counter.clone(), (*way, charge(aside))))
            .collect()
    }
}

#[derive(Default)]
pub(super) struct Budgets {
    counters: BTreeMap<String, Counter>,
    reservations: BTreeMap<String, Reservation>,
    /// Whose books are to be compared at the end of the look.
    touched: BTreeSet<String>,
}

const RULE: &str = "budget";

impl Budgets {
    pub(super) fn read(&mut self, read: &Read<'_>) -> Judged {
        match read.kind() {
            "budget.opened" => self.open(read),
            "budget.amended" => {
                let hard = Amount::parse(read.need("/terms/hard")?)?;
                self.counter(read)?.hard = hard;
                Ok(())
            }
            "budget.reserved" => self.reserve(read),
            "budget.settled" => self.close(read, "settled", ("/reserved", Some("/charged"))),
            "budget.released" => self.close(read, "released", ("/amount", None)),
            "budget.expired" => self.close(read, "expired", ("/amount", Some("/amount"))),
            "reservation.held" => self.hold(read),
            "reservation.refused" => self.refuse(read),
            "reservation.extended" => {
                let until = instant(read, "/until")?;
                self.open_reservation(read)?.until = until;
                Ok(())
            }
            "reservation.settled" => self.end(read, "settled"),
            "reservation.released" => self.end(read, "released"),
            "reservation.expired" => self.end(read, "expired"),
            _ => Ok(()),
        }
    }

    fn touch(&mut self, reservation: &str) {
        self.touched.insert(reservation.to_owned());
    }

    fn counter(&mut self, read: &Read<'_>) -> Result<&mut Counter, Fault> {
        let found = self.counters.get_mut(read.id());
        found.ok_or_else(|| read.fault(RULE, "the counter was not opened"))
    }

    fn open(&mut self, read: &Read<'_>) -> Judged {
        let hard = Amount::parse(read.need("/terms/hard")?)?;
        let counter = Counter {
            consumed: hard.zero(),
            hard,
            held: BTreeMap::new(),
        };
        match self.counters.insert(read.id().to_owned(), counter) {
            None => Ok(()),
            Some(_) => Err(read.fault(RULE, "the counter was opened before")),
        }
    }

    fn reserve(&mut self, read: &Read<'_>) -> Judged {
        let amount = Amount::parse(read.need("/amount")?)?;
        let reservation = read.need("/reservation")?.to_owned();
        self.touch(&reservation);
        let counter = self.counter(read)?;
        if counter.held.insert(reservation, amount).is_some() {
            return Err(read.fault(RULE, "it is set aside twice"));
        }
        let used = counter.used()?;
        match used.exceeds(&counter.hard) {
            false => Ok(()),
            true => Err(read.fault(RULE, format!("{used} are over the cap {}", counter.hard))),
        }
    }

    fn end(&mut self, read: &Read<'_>, way: &'static str) -> Judged {
        let cost = read.text("/amount").map(Amount::parse).transpose()?;
        self.open_reservation(read)?.status = Status::Over { way, cost };
        self.touch(read.id());
        Ok(())
    }

    /// What was set aside is given back, and charged where it was spent.
    fn close(
        &mut self,
        read: &Read<'_>,
        way: &'static str,
        (aside, charged): (&str, Option<&str>),
    ) -> Judged {
        let aside = Amount::parse(read.need(aside)?)?;
        let charged = charged
            .map(|at| Amount::parse(read.need(at)?))
            .transpose()?;
        let reservation = read.need("/reservation")?;
        self.touch(reservation);
        let counter = self.counter(read)?;
        let held = counter.held.remove(reservation);
        if held.as_ref() != Some(&aside) {
            return Err(read.fault(RULE, format!("{aside} go back, {held:?} were held")));
        }
        if let Some(charged) = &charged {
            counter.consumed = counter.consumed.plus(charged)?;
        }
        if let Some(found) = self.reservations.get_mut(reservation) {
            found.closed.insert(read.id().to_owned(), (way, charged));
        }
        Ok(())
    }

    /// What each counter said, as the judge would have said it.
    fn findings(&self, read: &Read<'_>) -> Result<Vec<(String, Amount, bool)>, Fault> {
        let findings = read.payload["findings"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let mut lines = Vec::new();
        for index in 0..findings.len() {
            let at = |member: &str| format!("/findings/{index}/{member}");
            let counter = read.need(&at("counter"))?.to_owned();
            let amount = Amount::parse(read.need(&at("amount"))?)?;
            let before = Amount::parse(read.need(&at("before"))?)?;
            let hard = Amount::parse(read.need(&at("hard"))?)?;
            let used = match self.counters.get(&counter) {
                Some(counter) => counter.used()?,
                None => amount.zero(),
            };
            if used != before {
                return Err(read.fault(RULE, format!("`{counter}` stood at {used}, not {before}")));
            }
            let is_over = used.plus(&amount)?.exceeds(&hard);
            let is_blocked = read.need(&at("verdict"))? == "BLOCK";
            if is_over != is_blocked {
                return Err(read.fault(
                    RULE,
                    format!(
                        "`{counter}` blocks although it need not, or does not although it must"
                    ),
                ));
            }
            lines.push((counter, amount, is_over));
        }
        Ok(lines)
    }

    fn hold(&mut self, read: &Read<'_>) -> Judged {
        let lines = self.findings(read)?;
        if lines.iter().any(|(_, _, is_over)| *is_over) {
            return Err(read.fault(RULE, "it is held over a cap"));
        }
        let reservation = Reservation {
            status: Status::Held,
            until: instant(read, "/until")?,
            lines: lines
                .into_iter()
                .map(|(counter, amount, _)| (counter, amount))
                .collect(),
            closed: BTreeMap::new(),
        };
        self.touch(read.id());
        match self.reservations.insert(read.id().to_owned(), reservation) {
            None => Ok(()),
            Some(_) => Err(read.fault(RULE, "the reservation was there before")),
        }
    }

    fn refuse(&self, read: &Read<'_>) -> Judged {
        let lines = self.findings(read)?;
        match lines.is_empty() || lines.iter().any(|(_, _, is_over)| *is_over) {
            true => Ok(()),
            false => Err(read.fault(RULE, "it is refused although every cap has room")),
        }
    }

    fn open_reservation(&mut self, read: &Read<'_>) -> Result<&mut Reservation, Fault> {
        let found = self.reservations.get_mut(read.id());
        match found {
            Some(found) if found.status == Status::Held => Ok(found),
            _ => Err(read.fault(RULE, "the reservation is not held")),
        }
    }

    /// Both sides of the books say the same of what has moved since the last
    /// look. A unit is whole by then.
    pub(super) fn agree(&mut self) -> Judged {
        for id in std::mem::take(&mut self.touched) {
            let Some(reservation) = self.reservations.get(&id) else {
                return Err(Fault::new(RULE, format!("`{id}` moved and was never held")));
            };
            let held = self
                .counters
                .iter()
                .filter_map(|(name, counter)| Some((name.clone(), counter.held.get(&id)?.clone())));
            let held: BTreeMap<_, _> = held.collect();
            let expected = match reservation.status {
                Status::Held => reservation.lines.clone(),
                Status::Over { .. } => BTreeMap::new(),
            };
            if held != expected {
                let what = format!("`{id}` holds {held:?}, and should hold {expected:?}");
                return Err(Fault::new(RULE, what));
            }
            let (closed, closing) = (&reservation.closed, reservation.closing());
            if *closed != closing {
                let what = format!("`{id}` was closed as {closed:?}, and should be as {closing:?}");
                return Err(Fault::new(RULE, what));
            }
        }
        Ok(())
    }

    /// Nothing is held beyond its time.
    pub(super) fn rest(&self, now: Timestamp) -> Judged {
        let held = self
            .reservations
            .iter()
            .filter(|(_, r)| r.status == Status::Held);
        match held
            .filter(|(_, r)| r.until <= now)
            .map(|(id, _)| id)
            .next()
        {
            None => Ok(()),
            Some(id) => Err(Fault::new(RULE, format!("`{id}` is stranded"))),
        }
    }
}

fn instant(read: &Read<'_>, pointer: &str) -> Result<Timestamp, Fault> {
    let text = read.need(pointer)?;
    Timestamp::parse(text).map_err(|_| read.fault("shape", format!("`{text}` is no instant")))
}
