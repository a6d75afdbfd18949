//! A control loop with machines whose state is known, over some store.

use flow::Control;
use gate::{Contract, GateEnv, Step};
use kernel::{Refusal, Span, Subject, TenantId, Unit};
use ledger::Store;
use std::sync::Arc;
use testkit::alerts::{Alert, webhook};
use testkit::{Person, Sample, World, sample};

/// The sample with so many policies, of which each names the type of directive
/// that it is about, and none decides.
fn pack(policies: usize) -> Sample {
    let more = (2..policies).map(|n| {
        format!(
            "@id(\"limit-{n}\") forbid (principal, action, resource) when {{ \
             resource.directive_type == \"machine.type_{n}\" && context.steps > {n} }};\n"
        )
    });
    Sample {
        policies: more.collect(),
        tenant_hard: "100000000 EUR".into(),
        machine_hard: "100000000 EUR".into(),
        timebox: "20h".into(),
        ..Sample::default()
    }
}

pub(crate) struct Bench {
    pub(crate) world: World,
    pub(crate) control: Arc<Control>,
    pub(crate) tenant: TenantId,
}

impl Bench {
    /// A loop over this store.
    pub(crate) async fn over(store: Arc<dyn Store>, policies: usize) -> Self {
        let world = World::new(1);
        let control = Arc::new(world.control(store).await.expect("opens"));
        let founded = control.first_start().await.expect("founds");
        let tenant = founded.expect("an empty store").tenant;
        let ctx = control.system_ctx(tenant, "bench");
        let loaded = control.load_pack(ctx, None, pack(policies).files()).await;
        loaded.expect("the pack loads");
        Self {
            world,
            control,
            tenant,
        }
    }

    pub(crate) async fn run<R: Send + 'static>(
        &self,
        person: &Person,
        work: impl Fn(&mut Unit<'_>, &GateEnv<'_>) -> Result<R, Refusal> + Send + 'static,
    ) -> R {
        let in_force = self.control.in_force(self.tenant).expect("a pack");
        let capabilities = self.control.capabilities().clone();
        let decide = move |unit: &mut Unit<'_>| {
            let env = GateEnv {
                rules: &in_force.pack.rules,
                capabilities: &capabilities,
                everywhere: None,
            };
            work(unit, &env)
        };
        let mut ctx = self.control.system_ctx(self.tenant, "bench");
        ctx.actor = person.actor.clone();
        ctx.roles.clone_from(&person.roles);
        let done = self.control.ledger().run(ctx, decide).await;
        done.expect("no refusal").answer
    }

    /// Machines of these numbers become known.
    pub(crate) async fn heat(&self, numbers: std::ops::Range<usize>) {
        let numbers: Vec<usize> = numbers.collect();
        for some in numbers.chunks(50) {
            let pairs = some
                .iter()
                .flat_map(|n| Alert::pair(&machine(*n), self.control.now()));
            let delivery = flow::Delivery {
                source: sample::SOURCE.into(),
                content_type: "application/json".into(),
                body: webhook(&pairs.collect::<Vec<_>>()),
            };
            let ctx = self.control.system_ctx(self.tenant, "bench");
            self.control.receive(ctx, delivery).await.expect("received");
        }
    }
}

fn machine(number: usize) -> String {
    format!("press-{number}")
}

/// A contract on the state of this machine as it is now.
pub(crate) fn contract(
    unit: &mut Unit<'_>,
    in_force: &flow::InForce,
    issuer: &Person,
    number: usize,
) -> Result<Contract, Refusal> {
    let subject = Subject::parse(&format!("machine/{}", machine(number)))?;
    let snapshot = world::take(unit, in_force.pack.schema_of(&subject)?, &subject)?;
    let taken = unit.get::<kernel::Snapshot>(snapshot)?;
    let ground = taken.grounds.first().expect("evidence");
    let step = Step {
        id: "cool".into(),
        module: "http.request".into(),
        input: serde_json::json!({
            "method": "PUT",
            "url": "http://plant.example/machines/press/mode",
            "json": { "mode": "cool" },
        })
        .as_object()
        .expect("an object")
        .clone(),
        cost: kernel::Money::parse("1 EUR", None)?,
        evidence: vec![gate::Grounding::Source {
            source_type: ground.source_type.clone(),
            source_id: ground.source_id.clone(),
        }],
    };
    Ok(Contract {
        issued_by: issuer.actor.clone(),
        role: "operator".into(),
        kind: "machine.cool_down".into(),
        objective: "cool it down".into(),
        scope: gate::contract::Scope {
            subjects: vec![subject],
        },
        constraints: std::collections::BTreeMap::new(),
        success_metrics: vec!["it is cool".into()],
        budget: kernel::Money::parse("2 EUR", None)?,
        timebox: Span::parse("10h")?,
        action_class: gate::ActionClass::InternalMutation,
        steps: vec![step],
        snapshot,
    })
}
