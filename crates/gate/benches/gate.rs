//! What one decision of policy takes in memory, from the question to the named
//! policies: 10 to 10,000 policies, scoped and not, beside a bare call of Cedar
//! over the whole set. The bare call is given its request and entities ready
//! made, which is what a question costs writ besides.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark measures time and prints it"
)]

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, RestrictedExpression,
};
use gate::policy::{self, Facts, PolicySet, Request, Resource, SCHEMA};
use gate::{ActionClass, CostClass};
use kernel::{Actor, Money, PrincipalKind, Ratio, Role, Span, Subject, Verdict};
use std::collections::{HashMap, HashSet};
use std::hint::black_box;
use std::str::FromStr;
use std::time::{Duration, Instant};

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// Each measurement runs for about this long.
const SPAN: Duration = Duration::from_secs(2);
const QUESTIONS_MAX: usize = 20_000;

/// What all questions are about, permitted by the first policy of each set.
const TOOL: &str = "http.request";
const PERMIT: &str = "@id(\"permit\") permit(principal in Role::\"operator\", action, resource in \
     Tool::\"http.request\") when { context.steps < 5 };\n";

#[derive(Clone, Copy)]
enum Kind {
    /// Each policy names a role or a tool, a type of directive or of subject,
    /// as policies of many teams in one set do.
    Scoped,
    /// Each policy compares what only Cedar can: every question concerns all.
    Unscoped,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Scoped => "scoped",
            Self::Unscoped => "unscoped",
        }
    }

    fn policy(self, n: usize) -> String {
        let forms: &[&str] = match self {
            Self::Scoped => &[
                "forbid(principal, action, resource in Tool::\"tool.N\") when { context.steps > 3 };",
                "permit(principal in Role::\"operator\", action, resource in Tool::\"tool.N\") when { context.human_approved };",
                "forbid(principal, action, resource) when { resource.directive_type == \"type.N\" && context.steps > 3 };",
                "forbid(principal == Agent::\"prn_N\", action, resource in SubjectType::\"service\") unless { context.human_approved };",
                "forbid(principal is Agent, action == Action::\"external_write\", resource in SubjectType::\"kind_N\") unless { context.justified };",
            ],
            Self::Unscoped => &[
                "forbid(principal, action, resource) when { context.steps > M };",
                "forbid(principal, action, resource) when { context.cost.greaterThan(decimal(\"M.0\")) };",
                "forbid(principal, action, resource) when { context.steps > 3 && resource.directive_type == \"type.N\" };",
            ],
        };
        let form = forms[n % forms.len()];
        let form = form.replace('N', &n.to_string());
        format!(
            "@id(\"p{n}\") {}\n",
            form.replace('M', &(n + 50).to_string())
        )
    }

    /// In files that a set takes.
    fn files(self, count: usize) -> Vec<(String, String)> {
        let rest: Vec<String> = (1..count).map(|n| self.policy(n)).collect();
        let files = rest.chunks(500).enumerate();
        let files = files.map(|(n, chunk)| (format!("f{n}.cedar"), chunk.concat()));
        let first = [("a.cedar".to_owned(), PERMIT.to_owned())];
        first.into_iter().chain(files).collect()
    }
}

fn request() -> Request {
    let money = |text: &str| Money::parse(text, None).expect("money");
    let facts = Facts {
        autonomous: false,
        cost: money("10 EUR"),
        budget: money("20 EUR"),
        steps: 2,
        snapshot_age: Span::from_secs(30),
        confidence: Ratio::from_ppm(900_000),
        justification: None,
        approved_by: None,
        destination: Some("status.example.com".to_owned()),
        history: None,
    };
    Request {
        principal: Actor::new(PrincipalKind::Human, "prn_1"),
        roles: vec![Role::Operator],
        action: policy::action::EXTERNAL_WRITE.to_owned(),
        resource: Resource {
            directive_kind: "thing.mend".to_owned(),
            module: TOOL.to_owned(),
            subject: Subject::parse("service/checkout").expect("a subject"),
            action_class: ActionClass::InternalMutation,
            cost_class: CostClass::Medium,
        },
        context: facts.context(),
    }
}

/// The same question, ready made for Cedar.
fn bare() -> (cedar_policy::Request, Entities) {
    let uid = |text: &str| EntityUid::from_str(text).expect("a uid");
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let decimal = RestrictedExpression::new_decimal;
    let context = [
        ("cost", decimal("10.0")),
        ("currency", text("EUR")),
        ("budget", decimal("20.0")),
        ("steps", RestrictedExpression::new_long(2)),
        ("snapshot_age_seconds", RestrictedExpression::new_long(30)),
        ("confidence", decimal("0.9")),
        ("justified", RestrictedExpression::new_bool(false)),
        ("human_approved", RestrictedExpression::new_bool(false)),
        ("autonomous", RestrictedExpression::new_bool(false)),
        ("destination", text("status.example.com")),
    ];
    let context = context.map(|(name, value)| (name.to_owned(), value));
    let entity = |own: &str, attributes: &[(&str, RestrictedExpression)], parents: &[&str]| {
        let attributes: HashMap<_, _> = attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let parents: HashSet<_> = parents.iter().map(|p| uid(p)).collect();
        Entity::new(uid(own), attributes, parents).expect("an entity")
    };
    let operation = [
        ("directive_type", text("thing.mend")),
        ("tool", text(TOOL)),
        ("subject", text("service/checkout")),
        ("subject_type", text("service")),
    ];
    let nodes = [
        entity(
            "Human::\"prn_1\"",
            &[("id", text("prn_1"))],
            &["Role::\"operator\""],
        ),
        entity(
            "Operation::\"http.request\"",
            &operation,
            &["Tool::\"http.request\"", "Subject::\"service/checkout\""],
        ),
        entity(
            "Subject::\"service/checkout\"",
            &[],
            &["SubjectType::\"service\""],
        ),
    ];
    let asked = cedar_policy::Request::new(
        uid("Human::\"prn_1\""),
        uid("Action::\"external_write\""),
        uid("Operation::\"http.request\""),
        Context::from_pairs(context).expect("a context"),
        None,
    );
    let entities = Entities::from_entities(nodes, None).expect("entities");
    (asked.expect("a request"), entities)
}

/// Median and 99th percentile in microseconds.
fn measure(mut once: impl FnMut()) -> (f64, f64) {
    for _ in 0..20 {
        once();
    }
    let began = Instant::now();
    let mut each = Vec::new();
    while began.elapsed() < SPAN && each.len() < QUESTIONS_MAX {
        let began = Instant::now();
        once();
        each.push(began.elapsed());
    }
    each.sort_unstable();
    let at = |share: usize| {
        let index = (each.len() * share / 100).min(each.len() - 1);
        each[index].as_secs_f64() * 1e6
    };
    (at(50), at(99))
}

fn main() {
    println!(
        "{:<10} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "set", "policies", "load ms", "p50 µs", "p99 µs", "bare p50", "bare p99"
    );
    for kind in [Kind::Scoped, Kind::Unscoped] {
        for size in SIZES {
            let files = kind.files(size);
            let began = Instant::now();
            let set = PolicySet::load(SCHEMA, &files).expect("loads");
            let loaded = began.elapsed();
            let asked = request();
            assert_eq!(set.decide(&asked).verdict, Verdict::Allow);
            let (p50, p99) = measure(|| drop(black_box(set.decide(black_box(&asked)))));
            let text: String = files.into_iter().map(|(_, text)| text).collect();
            let whole = cedar_policy::PolicySet::from_str(&text).expect("parses");
            let (authorizer, (asked, entities)) = (Authorizer::new(), bare());
            let ask = || authorizer.is_authorized(black_box(&asked), &whole, &entities);
            assert_eq!(ask().decision(), Decision::Allow);
            let (bare50, bare99) = measure(|| drop(black_box(ask())));
            println!(
                "{:<10} {size:>8} {:>9.0} {p50:>9.1} {p99:>9.1} {bare50:>9.1} {bare99:>9.1}",
                kind.name(),
                loaded.as_secs_f64() * 1e3,
            );
        }
    }
    println!(
        "\np50, p99: from a question to its answer, sliced; bare: Cedar alone over all policies, \
         request and entities ready made"
    );
}
