//! Current states in memory, for the tests of a pack.

use kernel::aggregate::State;
use kernel::unit::Work;
use kernel::{
    Actor, Aggregate, Ctx, EntryId, Held, Reader, Refusal, Role, StreamId, TenantId, Timestamp,
    TraceId, Unit,
};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// States by stream.
#[derive(Default)]
pub(super) struct Memory {
    states: BTreeMap<StreamId, (u64, Arc<dyn State>)>,
    commands: u128,
}

impl Reader for Memory {
    fn held(&self, stream: &StreamId) -> Result<Option<Held>, Refusal> {
        let held = self.states.get(stream);
        Ok(held.map(|(version, state)| Held::Typed(*version, state.clone())))
    }
}

impl Memory {
    /// Runs one command of writ's own at this time and keeps what it changed;
    /// one that is refused changes nothing.
    pub(super) fn command<T>(
        &mut self,
        at: Timestamp,
        cause: Option<EntryId>,
        op: impl FnOnce(&mut Unit<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.command_by(Actor::system("test"), Vec::new(), at, cause, op)
    }

    /// Runs one command of this actor.
    pub(super) fn command_by<T>(
        &mut self,
        actor: Actor,
        roles: Vec<Role>,
        at: Timestamp,
        cause: Option<EntryId>,
        op: impl FnOnce(&mut Unit<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.commands += 1;
        let trace = TraceId::new(self.commands)
            .ok_or_else(|| Refusal::limit("too many commands in one test"))?;
        // Ids need not be unpredictable here, only different: the same test
        // always draws the same ones.
        let tenant = TenantId::from(Uuid::nil());
        let mut ctx = Ctx::new(tenant, at, actor, trace, self.commands).with_roles(roles);
        ctx.causation = cause;
        let (reply, work) = {
            let mut unit = Unit::new(self, &ctx);
            let reply = op(&mut unit)?;
            (reply, unit.finish())
        };
        self.apply(work);
        Ok(reply)
    }

    fn apply(&mut self, work: Work) {
        for changed in work.changed {
            let state = (changed.version, changed.state);
            self.states.insert(changed.stream, state);
        }
    }

    /// All states of one kind, by stream.
    pub(super) fn all<A: Aggregate>(&self) -> Result<Vec<(StreamId, Arc<A>)>, Refusal> {
        let mut found = Vec::new();
        for (stream, (_, state)) in &self.states {
            if stream.kind() == A::KIND {
                let any: Arc<dyn Any + Send + Sync> = state.clone();
                let typed = any
                    .downcast::<A>()
                    .map_err(|_| Refusal::integrity(format!("`{stream}` is another kind")))?;
                found.push((stream.clone(), typed));
            }
        }
        Ok(found)
    }
}
