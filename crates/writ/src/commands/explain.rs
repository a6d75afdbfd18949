//! A verdict explained, and the runbooks.

use super::{Json, escaped, items, print};
use crate::client::Client;
use crate::failure::Failure;
use crate::render::at;
use serde_json::Value;
use std::fmt::Write as _;

pub(crate) async fn run(client: &Client, output: Json, id: &str) -> Result<(), Failure> {
    let verdict = match id.starts_with("dir_") {
        true => latest(client, id).await?,
        false => id.to_owned(),
    };
    let path = format!("/v1/verdicts/{}/explain", escaped(&verdict));
    let answer = client.get(&path).await?;
    print(output, &answer, |answer| {
        at(answer, "explanation").map_or_else(String::new, explained)
    });
    Ok(())
}

/// The verdict that stopped a directive last; of one that was never stopped,
/// the last.
async fn latest(client: &Client, directive: &str) -> Result<String, Failure> {
    for path in newest(directive) {
        let answer = client.get(&path).await?;
        if let Some(verdict) = items(&answer).first() {
            return Ok(full(verdict, "id").to_owned());
        }
    }
    Err(
        Failure::usage(format!("the gate was never asked about `{directive}`"))
            .hint("it may still be a draft: `writ show` says where it stands"),
    )
}

/// Where the newest block of a directive is asked for, and then its newest
/// verdict.
fn newest(directive: &str) -> [String; 2] {
    ["&status=BLOCK", ""].map(|status| {
        let directive = escaped(directive);
        format!("/v1/verdicts?directive={directive}&order=desc&limit=1{status}")
    })
}

fn texts<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    let list = value.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    let list = at(value, path).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

fn full<'a>(value: &'a Value, path: &str) -> &'a str {
    at(value, path).and_then(Value::as_str).unwrap_or("-")
}

fn explained(of: &Value) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}  {}\n", full(of, "verdict"), full(of, "summary"));
    let _ = writeln!(out, "who    {}", full(of, "who.issued_by"));
    let _ = writeln!(
        out,
        "what   {} ({}) on {}, {} at {}",
        full(of, "what.objective"),
        full(of, "what.type"),
        full(of, "what.subject"),
        full(of, "what.target"),
        full(of, "what.choke_point"),
    );
    let _ = writeln!(out, "when   {}", full(of, "evaluated_at"));
    let _ = writeln!(
        out,
        "under  policy set {} ({})",
        full(of, "under.policy"),
        in_force(of, "under.policy_in_force"),
    );
    let _ = writeln!(out, "bound  snapshot {}", full(of, "what.snapshot"));
    for why in texts(of, "withheld") {
        let _ = writeln!(out, "\npermit withheld: {why}");
    }
    for line in list(of, "checks") {
        check(&mut out, line);
    }
    for policy in list(of, "under.determining") {
        let Some(written) = policy.get("written").filter(|w| !w.is_null()) else {
            let _ = writeln!(
                out,
                "\npolicy {} (of a set that is in force no more)",
                full(policy, "id")
            );
            continue;
        };
        let line = written.get("line").cloned().unwrap_or_default();
        let _ = writeln!(
            out,
            "\npolicy {}  {}:{line}",
            full(policy, "id"),
            full(written, "file")
        );
        for row in full(written, "text").lines() {
            let _ = writeln!(out, "  {row}");
        }
    }
    out
}

fn in_force(of: &Value, path: &str) -> &'static str {
    match at(of, path).and_then(Value::as_bool) {
        Some(true) => "in force",
        _ => "replaced since",
    }
}

/// One check: what it found, what would have to change, and its runbook.
fn check(out: &mut String, line: &Value) {
    let (name, verdict) = (full(line, "check"), full(line, "verdict"));
    let _ = writeln!(out, "\n{verdict:<6} {name}: {}", full(line, "reason"));
    if verdict == "ALLOW" {
        return;
    }
    for remedy in texts(line, "remedies") {
        let _ = writeln!(out, "       → {remedy}");
    }
    let runbook = full(line, "runbook");
    let _ = match runbook.strip_prefix(gate::explain::RUNBOOKS) {
        Some(name) => writeln!(out, "       runbook: writ runbook {name}"),
        None => writeln!(out, "       runbook: {runbook}"),
    };
}

/// Prints a runbook, without a server.
#[allow(clippy::print_stdout, reason = "the runbook goes to standard output")]
pub(crate) fn runbook(name: &str) -> Result<(), Failure> {
    match server::runbooks::text(name) {
        Some(text) => {
            print!("{text}");
            Ok(())
        }
        None => {
            let known: Vec<_> = server::runbooks::names().collect();
            Err(Failure::usage(format!("no runbook `{name}`"))
                .hint(format!("there are: {}", known.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{explained, newest};
    use crate::cli::Cli;
    use clap::Parser as _;
    use serde_json::{Value, json};

    fn check(name: &str, verdict: &str, runbook: &str) -> Value {
        json!({
            "check": name, "verdict": verdict, "reason": format!("why {name}"),
            "remedies": [format!("mend {name}")], "runbook": runbook,
        })
    }

    #[test]
    fn an_explanation_is_told_whole() {
        let of = json!({
            "verdict": "BLOCK", "summary": "it was stopped",
            "evaluated_at": "2026-03-01T00:00:00.000000Z",
            "who": { "issued_by": "agent:scout" },
            "what": {
                "objective": "mend it", "type": "host.mend", "subject": "host/a",
                "target": "plan", "choke_point": "plan_approval", "snapshot": "snp_1",
            },
            "under": {
                "policy": "c0ffee", "policy_in_force": true,
                "determining": [
                    { "id": "no-nights", "written": { "file": "night.cedar", "line": 3, "text": "forbid (\n  all\n);" } },
                    { "id": "former", "written": null },
                ],
            },
            "withheld": ["the kill switch"],
            "checks": [
                check("freshness", "ALLOW", "/runbooks/freshness"),
                check("budget", "BLOCK", "/runbooks/budget"),
                check("own", "WARN", "https://runbooks.example/own"),
            ],
        });
        let expected = "\
BLOCK  it was stopped

who    agent:scout
what   mend it (host.mend) on host/a, plan at plan_approval
when   2026-03-01T00:00:00.000000Z
under  policy set c0ffee (in force)
bound  snapshot snp_1

permit withheld: the kill switch

ALLOW  freshness: why freshness

BLOCK  budget: why budget
       → mend budget
       runbook: writ runbook budget

WARN   own: why own
       → mend own
       runbook: https://runbooks.example/own

policy no-nights  night.cedar:3
  forbid (
    all
  );

policy former (of a set that is in force no more)
";
        assert_eq!(explained(&of), expected);
        let mut replaced = of.clone();
        replaced["under"]["policy_in_force"] = json!(false);
        assert!(explained(&replaced).contains("policy set c0ffee (replaced since)"));
    }

    #[test]
    fn the_newest_block_is_asked_for_before_the_newest_verdict() {
        let asked = "/v1/verdicts?directive=dir_1&order=desc&limit=1";
        assert_eq!(
            newest("dir_1"),
            [format!("{asked}&status=BLOCK"), asked.to_owned()]
        );
    }

    /// The commands that a runbook tells to type, with something in each place
    /// that varies.
    fn commands(text: &str) -> Vec<Vec<String>> {
        let spans = text.split('`').skip(1).step_by(2);
        spans
            .filter(|span| span.starts_with("writ "))
            .map(|span| span.replace('…', "x"))
            .map(|span| span.split_whitespace().map(str::to_owned).collect())
            .collect()
    }

    #[test]
    fn what_runbooks_tell_to_type_is_understood() {
        let mut count = 0;
        for name in server::runbooks::names() {
            for words in commands(server::runbooks::text(name).unwrap()) {
                let parsed = Cli::try_parse_from(&words);
                assert!(
                    parsed.is_ok(),
                    "{name}: `{}`: {}",
                    words.join(" "),
                    parsed.err().unwrap()
                );
                count += 1;
            }
        }
        assert!(count > 20, "only {count} commands");
    }
}
